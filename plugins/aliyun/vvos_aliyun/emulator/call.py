"""One request on its way through the emulator, and what every operation needs of it."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from vvos_core.testing.server import Request

from . import tags
from .blobs import PIECE, Blob, Content
from .credentials import Credential
from .errors import NotModified, OssError
from .store import Store, Stored
from .times import from_http

MAX_PUT = 5 * 1024**3
"""Bytes of one PutObject, AppendObject or part."""
MAX_XML = 8 * 1024 * 1024
MAX_METADATA = 8 * 1024
KEPT = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
"""The headers of a write that come back with the object, besides ``x-oss-meta-*``."""
STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
OBJECT_ACLS = ("default", "private", "public-read", "public-read-write")
EMPTY = Content(())


@dataclass
class Call:
    """A request, who sent it, and where it goes."""

    request: Request
    bucket: str
    key: str
    params: dict[str, str]
    store: Store
    request_id: str
    clock: Callable[[], float]
    caller: Credential | None = None
    operation: str = ""
    may: Callable[[str, str, str], None] = field(default=lambda action, bucket, key: None)
    """Raises ``OssError`` unless the caller may do the action there."""
    keeps_what_is_there: bool = True
    """``x-oss-forbid-overwrite`` is obeyed."""

    def header(self, name: str) -> str | None:
        return self.request.headers.get(name)

    @property
    def host(self) -> str:
        return self.header("host") or "127.0.0.1"

    @property
    def endpoint(self) -> str:
        """The service's host, without the bucket's label."""
        return self.host.removeprefix(f"{self.bucket}.") if self.bucket else self.host

    @property
    def forbids_overwrite(self) -> bool:
        """``x-oss-forbid-overwrite``. Raises ``OssError`` for another value than true and false."""
        value = (self.header("x-oss-forbid-overwrite") or "false").lower()
        if value not in ("true", "false"):
            raise OssError(
                "InvalidArgument",
                "The value of x-oss-forbid-overwrite must be true or false.",
                ec="0017-00000279",
                ArgumentName="x-oss-forbid-overwrite",
                ArgumentValue=value,
            )
        return value == "true" and self.keeps_what_is_there

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A number of the query. Raises ``OssError`` when it is none, or out of its range."""
        text = self.params.get(name) or str(default)
        if not re.fullmatch(r"[0-9]{1,18}", text) or not low <= int(text) <= high:
            raise OssError(
                "InvalidArgument",
                f"Argument {name} must be an integer between {low} and {high}.",
                ArgumentName=name,
                ArgumentValue=text,
            )
        return int(text)

    def receive(self, limit: int = MAX_PUT) -> Blob:
        """The body, stored; checked against ``Content-MD5``. Raises ``OssError``."""
        body = self.request.body
        expected = _content_md5(self.header("content-md5"))
        if body.length is not None and body.length > limit:
            raise OssError("EntityTooLarge", MaxSizeAllowed=str(limit), ProposedSize=str(body.length))

        def pieces() -> Iterator[bytes]:
            while piece := body.read(PIECE):
                if body.received > limit:
                    raise OssError("EntityTooLarge", MaxSizeAllowed=str(limit), ProposedSize=str(body.received))
                yield piece

        blob = self.store.blobs.write(pieces())
        if expected is not None and expected != blob.md5:
            raise OssError("InvalidDigest", ContentMD5=self.header("content-md5") or "")
        return blob

    def require_length(self) -> None:
        """Raises ``OssError`` for a body without a length that is not chunked either."""
        if self.header("content-length") is None and self.header("transfer-encoding") is None:
            raise OssError("MissingContentLength")

    def document(self) -> bytes:
        """A small body, whole."""
        blob = self.receive(MAX_XML)
        return b"".join(blob.read(0, blob.size))

    def draft(self, kind: str = "Normal") -> Stored:
        """What the headers say of the object that is written, still without bytes. Raises ``OssError``."""
        kept, metadata = {"content-type": "application/octet-stream"}, 0
        for name in sorted(self.request.headers.names()):
            value = self.header(name) or ""
            if name.startswith("x-oss-meta-"):
                metadata += len(name) + len(value)
                if not re.fullmatch(r"[a-z0-9-]+", name):
                    raise OssError("InvalidArgument", "The name of a metadata header is invalid.", ArgumentName=name)
            if name in KEPT or name.startswith(("x-oss-meta-", "x-oss-server-side-encryption")):
                kept[name] = value
        if metadata > MAX_METADATA:
            raise OssError("MetadataTooLarge")
        acl = self.header("x-oss-object-acl") or "default"
        storage_class = self.header("x-oss-storage-class") or self.store.bucket(self.bucket).storage_class
        if acl not in OBJECT_ACLS:
            raise OssError("InvalidArgument", "no such object access control exists", ArgumentName="x-oss-object-acl")
        if storage_class not in STORAGE_CLASSES:
            raise OssError("InvalidArgument", "no such storage class exists", ArgumentName="x-oss-storage-class")
        return Stored(EMPTY, "", 0, kind, kept, acl, storage_class, tags.of_header(self.header("x-oss-tagging")))

    def finished(self, draft: Stored, content: Content, etag: str) -> Stored:
        """``draft`` with its bytes, as of now."""
        return replace(draft, content=content, etag=etag, modified=self.clock())


def check_conditions(call: Call, found: Stored, prefix: str = "") -> None:
    """If-Match and its like, of a read or, with ``prefix``, of the source of a copy. Raises."""
    names = {name: call.header(prefix + name) for name in _CONDITIONS}
    modified = int(found.modified)
    etag = found.etag
    match, none_match = names["if-match"], names["if-none-match"]
    since, unmodified = (from_http(names[name] or "") for name in ("if-modified-since", "if-unmodified-since"))
    if match and etag not in _etags(match):
        raise _failed("If-Match")
    if unmodified is not None and modified > unmodified:
        raise _failed("If-Unmodified-Since")
    if none_match and etag in _etags(none_match):
        raise NotModified
    if since is not None and modified <= since:
        raise NotModified


_CONDITIONS = ("if-match", "if-none-match", "if-modified-since", "if-unmodified-since")


def copy_source(call: Call) -> tuple[str, str, Stored]:
    """Bucket, key and object of ``x-oss-copy-source``, which the caller may read. Raises ``OssError``."""
    raw = (call.header("x-oss-copy-source") or "").partition("?")[0]
    bucket, slash, key = unquote(raw.encode("latin-1").decode("utf-8", "replace")).lstrip("/").partition("/")
    if not slash or not key:
        raise OssError(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey.",
            ec="0017-00000220",
            ArgumentName="x-oss-copy-source",
            ArgumentValue=raw,
        )
    call.may("oss:GetObject", bucket, key)
    found = call.store.followed(bucket, key)
    check_conditions(call, found, "x-oss-copy-source-")
    return bucket, key, found


def _failed(condition: str) -> OssError:
    return OssError(
        "PreconditionFailed",
        f"At least one of the pre-conditions you specified did not hold. (condition: {condition})",
        Condition=condition,
    )


def _etags(text: str) -> list[str]:
    return [item.strip().strip('"') for item in text.split(",")]


def _content_md5(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        raise OssError("InvalidDigest", ContentMD5=text)
    return digest
