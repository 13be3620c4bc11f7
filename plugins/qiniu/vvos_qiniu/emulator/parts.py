"""Resumable upload v2: begin, put parts, list them, complete, abort."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct

from ..checksum import combined, digest_of
from . import errors
from .blobs import Blob, BlobStore
from .errors import KodoError
from .finish import Arrived, Finish, metadata
from .messages import Request, Response, answer, done
from .policy import Policy

LIFE = 7 * 24 * 3600
"""Seconds that an upload may take."""
MAX_PARTS = 10_000
MIN_PART = 1024 * 1024
MAX_PART = 1024 * 1024 * 1024
_LIST_MOST = 1000


class _Part(Struct):
    etag: str
    part_number: int = msgspec.field(name="partNumber")


class _Complete(Struct, rename="camel"):
    parts: list[_Part]
    fname: str | None = None
    mime_type: str | None = None
    metadata: dict[str, str] | None = None
    custom_vars: dict[str, str] | None = None


@dataclass
class _Upload:
    bucket: str
    key: str | None
    expires_at: int
    parts: dict[int, tuple[Blob, int]] = field(default_factory=dict)
    """By number: the bytes, and when they came (in units of 100 ns)."""


class Parts:
    """Answers v2 calls; one per emulator."""

    def __init__(self, blobs: BlobStore, finish: Finish, clock: Callable[[], float]) -> None:
        self._blobs = blobs
        self._finish = finish
        self._clock = clock
        self._lock = threading.Lock()
        self._uploads: dict[str, _Upload] = {}

    def reset(self) -> None:
        with self._lock:
            self._uploads.clear()

    def begin(self, policy: Policy, key: str | None) -> Response:
        upload = _Upload(policy.bucket, key, int(self._clock()) + LIFE)
        name = secrets.token_hex(12)
        with self._lock:
            self._uploads[name] = upload
        return answer({"uploadId": name, "expireAt": upload.expires_at})

    def put(self, request: Request, policy: Policy, key: str | None, name: str, number: str) -> Response:
        upload = self._find(policy, key, name)
        if not re.fullmatch(r"[0-9]{1,5}", number) or not 1 <= int(number) <= MAX_PARTS:
            raise errors.invalid("invalid part number")  # [?] the text
        wanted = request.headers.get("Content-MD5", "").lower()
        if wanted and not re.fullmatch(r"[0-9a-f]{32}", wanted):
            raise errors.invalid("invalid Content-MD5")  # [?] the text
        blob = self._blobs.take(request.body.read, MAX_PART, lambda: KodoError(413, "part is too large"))
        if wanted and wanted != blob.md5:
            raise errors.wrong_md5()
        with self._lock:
            if self._uploads.get(name) is not upload:  # completed or aborted meanwhile
                raise errors.no_such_upload()
            upload.parts[int(number)] = (blob, int(self._clock() * 10_000_000))
        return answer({"etag": blob.etag, "md5": blob.md5})

    def complete(self, request: Request, policy: Policy, key: str | None, name: str) -> tuple[str, Response]:
        upload = self._find(policy, key, name)
        try:
            said = msgspec.convert(request.json(), _Complete)
        except msgspec.ValidationError:
            raise errors.invalid("invalid parts") from None
        blobs = self._chosen(upload, said)
        variables = {**(said.custom_vars or {}), **(said.metadata or {})}
        metadata(variables)
        with self._lock:
            # Taken out first: of two that complete at once, one finds nothing.
            if self._uploads.pop(name, None) is not upload:
                raise errors.no_such_upload()
        try:
            return self._finish(
                policy,
                Arrived(
                    key=key,
                    blobs=tuple(blobs),
                    etag=combined([blob.size for blob in blobs], [digest_of(blob.etag) for blob in blobs]),
                    mime=said.mime_type or "",
                    fname=said.fname or "",
                    variables=variables,
                ),
            )
        except KodoError:
            with self._lock:
                self._uploads[name] = upload
            raise

    def listing(self, request: Request, policy: Policy, key: str | None, name: str) -> Response:
        upload = self._find(policy, key, name)
        params = request.params()
        most, marker = (
            _within(params, "max-parts", 1, _LIST_MOST, _LIST_MOST),
            _within(params, "part-number-marker", 0, MAX_PARTS, 0),
        )
        with self._lock:
            found = sorted((number, *part) for number, part in upload.parts.items() if number > marker)
        shown = found[:most]
        listed: list[dict[str, Any]] = [
            {"size": blob.size, "etag": blob.etag, "partNumber": number, "putTime": when // 10_000_000}
            for number, blob, when in shown
        ]
        return answer(
            {
                "uploadId": name,
                "expireAt": upload.expires_at,
                "partNumberMarker": shown[-1][0] if len(found) > most else 0,
                "parts": listed,
            }
        )

    def abort(self, policy: Policy, key: str | None, name: str) -> Response:
        self._find(policy, key, name)
        with self._lock:
            self._uploads.pop(name, None)
        return done()

    def _find(self, policy: Policy, key: str | None, name: str) -> _Upload:
        with self._lock:
            upload = self._uploads.get(name)
            if upload is not None and upload.expires_at <= self._clock():
                del self._uploads[name]
                upload = None
        if upload is None or (upload.bucket, upload.key) != (policy.bucket, key):
            raise errors.no_such_upload()
        return upload

    def _chosen(self, upload: _Upload, said: _Complete) -> list[Blob]:
        numbers = [part.part_number for part in said.parts]
        if not numbers or len(numbers) > MAX_PARTS or any(a >= b for a, b in pairwise(numbers)):
            raise errors.invalid("invalid parts")  # [?] the text
        with self._lock:
            there = dict(upload.parts)
        blobs = []
        for part in said.parts:
            blob, _ = there.get(part.part_number, (None, 0))
            if blob is None or blob.etag != part.etag:
                raise errors.invalid("invalid part")  # [?] status and text
            blobs.append(blob)
        if any(blob.size < MIN_PART for blob in blobs[:-1]):
            raise errors.invalid("part size is too small")  # [?] the text
        return blobs


def _within(params: dict[str, str], name: str, least: int, most: int, default: int) -> int:
    text = params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise errors.invalid(f"invalid {name}")
    return int(text)
