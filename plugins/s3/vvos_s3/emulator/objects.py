"""Operations on whole objects: put, get, head, copy.

Source: AWS S3 API Reference, PutObject, GetObject, HeadObject, CopyObject.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from vvos_core.testing.server import Headers, Request, Response

from . import checksums
from .blobs import Blob, BlobStore, Checksum, Content
from .errors import XMLNS, S3Error
from .moto_store import MotoStore
from .receive import receive
from .sigv4 import Verified

MAX_PUT = 5 * 1024**3
# Read by the gate; moto would store some of them as metadata, and act on others a second time.
_OURS = frozenset(
    [
        "authorization",
        "content-length",
        "content-md5",
        "expect",
        "connection",
        "host",
        "transfer-encoding",
        "range",
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-trailer",
        "x-amz-decoded-content-length",
        "x-amz-checksum-mode",
        "x-amz-checksum-algorithm",
        "x-amz-checksum-type",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-mp-object-size",
        "x-moto-account-id",
    ]
)
_RESPONSE_OVERRIDES = (
    "content-type",
    "content-language",
    "expires",
    "cache-control",
    "content-disposition",
    "content-encoding",
)


@dataclass
class Call:
    """A request on its way through the gate, and what is known about it so far."""

    request: Request
    headers: Headers
    params: dict[str, str]
    bucket: str = ""
    key: str = ""
    operation: str = "Refused"
    verified: Verified | None = None
    form: str | None = None

    def receive(self, store: BlobStore, limit: int, also: Iterable[str] = ()) -> tuple[Blob, checksums.Declared]:
        """Takes in the body."""
        assert self.verified is not None
        return receive(self.request, self.headers, self.verified, store, limit=limit, also=also)

    def moto_headers(self) -> list[tuple[str, str]]:
        """The headers that mean something to moto."""
        result = []
        for name, value in self.headers:
            lower = name.lower()
            if lower == "content-encoding":
                value = ",".join(item.strip() for item in value.split(",") if item.strip() != "aws-chunked")
                if not value:
                    continue
            if lower not in _OURS and not lower.startswith(checksums.PREFIX):
                result.append((name, value))
        return result

    def moto_params(self) -> dict[str, str]:
        """The query that means something to moto: without the signature and what presigning hoisted."""
        return {name: value for name, value in self.params.items() if not name.lower().startswith("x-amz-")}

    def require_unconditional(self) -> None:
        """S3 knows `If-None-Match: *` on writes, no other value."""
        condition = self.headers.get("if-none-match")
        if condition is not None and condition != "*":
            raise S3Error("NotImplemented", Header="If-None-Match")


class Objects:
    """The operations, over one account."""

    def __init__(self, moto: MotoStore, blobs: BlobStore) -> None:
        self._moto = moto
        self._blobs = blobs

    def put(self, call: Call) -> Response:
        """PutObject. moto checks If-Match and If-None-Match, under its lock, in the moment it stores the name."""
        call.operation = "PutObject"
        call.require_unconditional()
        require_length(call.request)
        self._require_bucket(call.bucket)
        blob, declared = call.receive(self._blobs, MAX_PUT)
        checksum = stored_checksum(blob, declared)
        content = Content((blob,), blob.digests["md5"].hex(), checksum)
        response = self._moto.put(call.bucket, call.key, call.moto_params(), call.moto_headers(), content)
        if response.status == 200:
            set_checksum(response, checksum)
        return response

    def get(self, call: Call) -> Response:
        """GetObject and HeadObject: conditions and metadata by moto, bytes and ranges by us."""
        head = call.request.method == "HEAD"
        call.operation = "HeadObject" if head else "GetObject"
        params = {k: v for k, v in call.moto_params().items() if k != "partNumber"}
        with self._moto.lock:
            response = self._moto.call("HEAD", call.bucket, call.key, params, call.moto_headers())
            if response.status != 200:
                if not head:  # the same refusal again, with its body
                    response = self._moto.call("GET", call.bucket, call.key, params, call.moto_headers())
                if head or response.status == 304:
                    response.body = b""
                return response
            content = self._moto.content(call.bucket, call.key, params.get("versionId"))
        assert content is not None
        return self._send(call, content, response, head)

    def _send(self, call: Call, content: Content, response: Response, head: bool) -> Response:
        for name in _RESPONSE_OVERRIDES:
            if (value := call.params.get(f"response-{name}")) is not None:
                response.set(name.title(), value)
        start, stop = 0, content.size
        wanted = byte_range(call.headers.get("range"), content.size)
        if "partNumber" in call.params:
            wanted = self._part_range(call, content, response)
        if wanted is not None:
            start, stop = wanted
            response.status = 206
            response.set("Content-Range", f"bytes {start}-{stop - 1}/{content.size}")
        elif (call.headers.get("x-amz-checksum-mode") or "").upper() == "ENABLED":
            set_checksum(response, content.checksum)
        response.length = stop - start
        response.body = b"" if head else content.read(start, stop)
        return response

    @staticmethod
    def _part_range(call: Call, content: Content, response: Response) -> tuple[int, int] | None:
        if not re.fullmatch(r"\d{1,5}", call.params["partNumber"], re.ASCII):
            raise S3Error("InvalidArgument", "partNumber must be an integer", ArgumentName="partNumber")
        found = content.part(int(call.params["partNumber"]))
        if found is None:
            raise S3Error("InvalidPartNumber")
        if content.multipart:
            response.set("x-amz-mp-parts-count", str(len(content.blobs)))
        return found if found[0] < found[1] else None

    def copy(self, call: Call) -> Response:
        """CopyObject. moto checks and copies the metadata; the bytes are shared, not copied."""
        call.operation = "CopyObject"
        self._require_bucket(call.bucket)
        call.receive(self._blobs, 0)
        with self._moto.lock:
            source = source_content(self._moto, call.headers)
            response = self._moto.call("PUT", call.bucket, call.key, call.moto_params(), call.moto_headers())
            if response.status != 200 or source is None:
                return response
            algorithm = (call.headers.get("x-amz-checksum-algorithm") or source.checksum.algorithm).lower()
            checksum = source.checksum
            if checksum.kind == "COMPOSITE" or checksum.algorithm != algorithm:
                checksum = whole_checksum(algorithm, source)
            made = self._moto.content(call.bucket, call.key)  # with the MD5 of the whole as its ETag
            assert made is not None
            self._moto.replace(call.bucket, call.key, Content(source.blobs, made.etag, checksum))
            modified = self._moto.modified(call.bucket, call.key)
        name = f"Checksum{checksum.algorithm.upper()}"
        response.body = (
            f'<CopyObjectResult xmlns="{XMLNS}"><ETag>&quot;{made.etag}&quot;</ETag>'
            f"<LastModified>{modified}</LastModified><{name}>{checksum.text}</{name}>"
            f"<ChecksumType>{checksum.kind}</ChecksumType></CopyObjectResult>"
        ).encode()
        return response

    def _require_bucket(self, bucket: str) -> None:
        if not self._moto.bucket_exists(bucket):
            raise S3Error("NoSuchBucket", BucketName=bucket)


def require_length(request: Request) -> None:
    """S3 wants to know how long a body is before it comes."""
    if request.headers.get("content-length") is None and request.headers.get("transfer-encoding") is None:
        raise S3Error("MissingContentLength")


def source_content(moto: MotoStore, headers: Headers) -> Content | None:
    """The object named by x-amz-copy-source."""
    path, _, query = (headers.get("x-amz-copy-source") or "").partition("?versionId=")
    bucket, _, key = unquote(path.lstrip("/")).partition("/")
    if not bucket or not key:
        raise S3Error("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey")
    if not moto.bucket_exists(bucket):
        raise S3Error("NoSuchBucket", BucketName=bucket)
    return moto.content(bucket, key, unquote(query) or None)


def stored_checksum(blob: Blob, declared: checksums.Declared) -> Checksum:
    """What S3 keeps for a body: the checksum that came with it, or a CRC64NVME of its own."""
    algorithm = declared.algorithm or checksums.DEFAULT
    return Checksum(algorithm, checksums.encode(blob.digests[algorithm]), "FULL_OBJECT")


def whole_checksum(algorithm: str, content: Content) -> Checksum:
    """A checksum over all bytes, computed now."""
    if algorithm not in checksums.SIZES:
        raise S3Error("InvalidRequest", f"Checksum algorithm provided is unsupported: {algorithm.upper()}")
    digest = checksums.new(algorithm)
    for piece in content.read(0, content.size):
        digest.update(piece)
    return Checksum(algorithm, checksums.encode(digest.digest()), "FULL_OBJECT")


def set_checksum(response: Response, checksum: Checksum) -> None:
    """Reports a checksum in the headers of an answer."""
    response.set(f"{checksums.PREFIX}{checksum.algorithm}", checksum.text)
    response.set("x-amz-checksum-type", checksum.kind)


def byte_range(text: str | None, size: int) -> tuple[int, int] | None:
    """The range [start, stop) a Range header asks for; None if it asks for none that S3 understands.

    RFC 9110 section 14.1.2; S3 answers the whole object to several ranges at once.
    """
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", text or "", re.ASCII)
    if match is None or not (match[1] or match[2]):
        return None
    if match[1]:
        start, stop = int(match[1]), min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    else:
        start, stop = max(size - int(match[2]), 0), size
    if start >= size or start >= stop:
        raise S3Error("InvalidRange", RangeRequested=text or "", ActualObjectSize=str(size))
    return start, stop
