"""What the account's service ("uc") answers: where a bucket's region is, the buckets, and their domains."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from . import errors
from .errors import KodoError
from .messages import Request, Response, answer, done
from .store import Bucket, Store

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{1,61}[A-Za-z0-9]")
_TTL = 86400


class Buckets:
    """Answers calls about buckets; one per emulator."""

    def __init__(self, store: Store, knows: Callable[[str], bool]) -> None:
        self._store = store
        self._knows = knows

    def query(self, request: Request) -> Response:
        """The hosts of a bucket's region; asked without a signature."""
        params = request.params()
        if not self._knows(params.get("ak", "")):
            raise KodoError(612, "app/accesskey is not found")
        bucket = self._store.bucket(params.get("bucket", ""))
        host = request.headers.get("Host", "")
        here = {"domains": [host]}
        region = {
            "region": bucket.region,
            "ttl": _TTL,
            "up": {"domains": [host], "acc_domains": [], "old": []},
            **dict.fromkeys(("io", "io_src", "rs", "rsf", "api", "uc"), here),
            "s3": {"domains": [], "region_alias": bucket.region},
        }
        return answer({"hosts": [region]})

    def find(self, path: str) -> Callable[[Request], Response] | None:
        """Who answers a signed call of this path; None when it is none of these."""
        if path.startswith("/mkbucketv3/"):
            return self._create
        return {
            "/buckets": self._names,
            "/v3/buckets": self._all,
            "/v2/bucketInfo": self._info,
            "/v2/domains": self._domains,
            "/v6/domain/list": self._domains,
            "/private": self._private,
        }.get(path)

    def _create(self, request: Request) -> Response:
        match = re.fullmatch(r"/mkbucketv3/([^/]+)(?:/region/([^/]+))?(?:/.*)?", request.path)
        if match is None or not _NAME.fullmatch(match[1]):
            raise errors.invalid("invalid bucket name")
        if match[1] in self._store.names():
            raise KodoError(614, "the bucket already exists")
        self._store.create(match[1])
        return done()

    def _names(self, request: Request) -> Response:
        return answer(self._store.names())

    def _all(self, request: Request) -> Response:
        region = request.params().get("region", "")
        found = [self._store.bucket(name) for name in self._store.names()]
        return answer([_told(bucket) for bucket in found if region in ("", bucket.region)])

    def _info(self, request: Request) -> Response:
        return answer(_told(self._store.bucket(request.params().get("bucket", ""))))

    def _domains(self, request: Request) -> Response:
        self._store.bucket(request.params().get("tbl", ""))
        return answer([request.headers.get("Host", "")])

    def _private(self, request: Request) -> Response:
        params = request.params()
        if params.get("private") not in ("0", "1"):
            raise errors.invalid("invalid private")
        self._store.bucket(params.get("bucket", "")).private = params["private"] == "1"
        return done()


def _told(bucket: Bucket) -> dict[str, Any]:
    return {"tbl": bucket.name, "region": bucket.region, "private": int(bucket.private), "protected": 0}
