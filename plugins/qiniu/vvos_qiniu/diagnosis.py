"""What can be wrong with a Kodo bucket: it is not there, its hosts shut out browsers, the keys may do too much.

Facts: Qiniu, "Query hosts", "Delete", "List buckets", "Kodo IAM actions"; an unfinished upload ends after 7 days
("Initiate multipart upload"), and no request of an upload knows a header that would make it a copy.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from vvos_core import (
    Answer,
    DiagnoseRequest,
    Diagnosis,
    Finding,
    Http,
    NotFound,
    Unavailable,
    VVOSError,
    check_cors,
)

from .hosts import Sender
from .service import Service
from .settings import WEEK, Settings

_DAY = 86400
_CALLS = {"POST": ("authorization", "content-type"), "PUT": ("authorization", "content-md5", "content-type")}
"""What a browser sends with an upload token."""
_CORS = "let whoever stands before the upload hosts pass OPTIONS on; Kodo itself lets every page upload."
_GONE = 612
"""No such object: who is told so may look, or delete."""


def diagnose(settings: Settings, service: Service, sender: Sender, request: DiagnoseRequest) -> Diagnosis:
    """What was found. Where the bucket cannot be had at all, only that."""
    looking = _Looking(settings, service, sender, request)
    findings = tuple(looking.findings())
    hosts = [settings.endpoint.rstrip("/"), *looking.up, *looking.rs, "/".join(settings.domain.split("/")[:3])]
    return Diagnosis(hosts=tuple(dict.fromkeys(hosts)), findings=findings)


class _Looking:
    """One look at a bucket, with its owner's keys."""

    def __init__(self, settings: Settings, service: Service, sender: Sender, request: DiagnoseRequest) -> None:
        self.up: tuple[str, ...] = settings.up_hosts
        self.rs: tuple[str, ...] = settings.rs_hosts
        self._settings = settings
        self._service = service
        self._sender = sender
        self._request = request
        self._http = Http(timeout=(10.0, 10.0))

    def findings(self) -> Iterator[Finding]:
        bucket = self._bucket()
        yield bucket
        if bucket.verdict != "ok":
            return
        yield _told("lifecycle", "ok", f"Kodo itself deletes unfinished uploads after {WEEK // _DAY} days.")
        yield from check_cors(self._http, f"{self.up[0]}/", self._request.origins, _CALLS, mend=_CORS)
        yield self._rights()
        yield self._removal()

    def _bucket(self) -> Finding:
        bucket, key = self._settings.bucket, self._request.key
        what = f"looking for the bucket {bucket}"
        try:
            self.up = self._service.up_hosts(what, key)
            self.rs = self._service.rs_hosts(what, key)
        except Unavailable as error:
            return _told("bucket", "unknown", error.message)
        except NotFound:
            mend = "correct access_key and bucket in the profile."
            return _told("bucket", "fail", f"the service knows no bucket {bucket} of these keys.", mend)
        except VVOSError as error:
            return _told("bucket", "fail", error.message)
        return _told("bucket", "ok", f"the bucket {bucket} is uploaded to at {self.up[0].partition('://')[2]}.")

    def _rights(self) -> Finding:
        more = []
        if self._status("GET", (self._settings.endpoint.rstrip("/"),), "/buckets") == 200:
            more.append("list all buckets")
        # Nothing is there under this name.
        if self._delete(f"outside{self._request.key}") == _GONE:
            more.append("delete any object")
        if more:
            mend = "take the keys of an IAM user with the policy in the provider's README."
            return _told("rights", "warn", f"the keys may do more than uploads need: {' and '.join(more)}.", mend)
        return _told("rights", "ok", "the keys may not do more than was tried.")

    def _removal(self) -> Finding:
        key = self._request.key
        if self._delete(key) in (200, _GONE):
            return _told("removal", "ok", "what was tried has been removed.")
        mend = "delete it; or let the keys delete what begins with .vvos-doctor-, as the README's policy does."
        return _told("removal", "warn", f"the keys may not remove {key}.", mend)

    def _delete(self, key: str) -> int:
        entry = base64.urlsafe_b64encode(f"{self._settings.bucket}:{key}".encode()).decode()
        return self._status("POST", self.rs, f"/delete/{entry}")

    def _status(self, method: str, hosts: tuple[str, ...], path: str) -> int:
        """The status of the answer to a signed request; 0 for none."""
        headers = {"Authorization": self._service.signature(f"{hosts[0]}{path}")}
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer: Answer
        try:
            body = b"" if method == "POST" else None
            _, answer = self._sender.send(method, hosts, path, headers=headers, body=body, what="looking at the rights")
        except VVOSError:
            return 0
        return answer.status


def _told(check: str, verdict: Any, message: str, mend: str = "") -> Finding:
    return Finding(check=check, verdict=verdict, message=message, mend=mend)
