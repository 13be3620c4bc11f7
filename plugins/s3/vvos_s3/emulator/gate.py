"""What stands before moto: authenticates each request, takes in its body, checks it, and records it.

The order is the one a client can observe: signature (nothing is read before it holds), address, declared digests
(while the body comes in), then the rules of the operation. An answer is moto's, or ours where moto knows too little.
"""

from __future__ import annotations

import hashlib
import logging
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass

from vvos_core.testing.server import BodyCut, BodyStalled, Headers, Request, Response

from . import rights
from .address import locate
from .blobs import BlobStore
from .checksums import PREFIX
from .cors import cors_headers
from .errors import S3Error
from .moto_store import MotoStore, with_request_id
from .objects import Call, Objects
from .sigv4 import Verified, verify
from .sts import Credentials
from .uploads import Uploads

_log = logging.getLogger("vvos_s3.emulator")
_SECRET_PARAMS = ("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token")
_CONTROL_LIMIT = 8 * 1024 * 1024
_SUBRESOURCES = frozenset(
    [
        "acl",
        "attributes",
        "legal-hold",
        "restore",
        "retention",
        "select",
        "select-type",
        "tagging",
        "torrent",
        "renameObject",
        "encryption",
    ]
)


@dataclass(frozen=True)
class Record:
    """One line of the access log. `query` is without signature and credentials, `error` is the S3 code if any."""

    method: str
    path: str
    query: str
    status: int
    bytes_in: int
    operation: str
    bucket: str
    key: str
    error: str | None
    headers: tuple[tuple[str, str], ...]


class Gate:
    """Answers requests; one per emulator."""

    def __init__(
        self,
        *,
        region: str,
        credentials: Credentials,
        clock: Callable[[], float],
        moto: MotoStore,
        blobs: BlobStore,
        log: Callable[[Record], None],
        flaws: Collection[str] = (),
    ) -> None:
        self._region = region
        self._credentials = credentials
        self._clock = clock
        self._moto = moto
        self._blobs = blobs
        self._log = log
        self._flaws = flaws
        self._objects = Objects(moto, blobs)
        self._uploads = Uploads(moto, blobs, clock)

    def reset(self) -> None:
        """Forgets every multipart upload."""
        self._uploads.reset()

    def __call__(self, request: Request) -> Response:
        """Answers one request; never raises."""
        request_id = secrets.token_hex(8).upper()
        call = Call(request, request.headers, request.params())
        error = None
        try:
            response = self._answer(call)
        except (S3Error, BodyCut, BodyStalled) as failure:
            refusal = _refusal_of(failure)
            error = refusal.code
            response = self._refusal(call, refusal, request_id)
        except Exception:  # noqa: BLE001  # a fault of ours is the answer 500, and its trace is in the log
            _log.exception("%s %s failed", request.method, request.path)
            error = "InternalError"
            response = self._refusal(call, S3Error("InternalError"), request_id)
        if response.status >= 400 and error is None:
            error = _code(response)
        if isinstance(response.body, bytes):
            response.body = with_request_id(response.body, request_id)
        response.set("x-amz-request-id", request_id)
        if "checksum" in self._flaws:
            response.headers = [pair for pair in response.headers if not pair[0].lower().startswith(PREFIX)]
        if call.bucket:
            for name, value in cors_headers(request, self._moto.cors_rules(call.bucket)):
                response.set(name, value)
        self._log(self._record(call, response.status, error))
        return response

    def _answer(self, call: Call) -> Response:
        request = call.request
        if request.method == "OPTIONS":
            return self._preflight(call)
        verified = self._verify(call)
        if verified.service == "sts":
            call.operation = "AssumeRole"
            return self._credentials.assume_role(self._sts_form(call))
        call.verified = verified
        call.bucket, call.key = locate(request)
        if verified.presigned:
            call.headers = _with_hoisted(request.headers, call.params)
        if "overwrite" in self._flaws:
            call.headers = Headers(pair for pair in call.headers if pair[0].lower() != "if-none-match")
        rights.check(call)
        if not call.key:
            return self._bucket_call(call)
        response = self._object_call(call)
        if response.status == 404 and call.operation in _LOOKS and rights.hides_absence(call):
            raise S3Error("AccessDenied")
        return response

    def _verify(self, call: Call) -> Verified:
        request = call.request

        def body_sha256() -> str:
            return hashlib.sha256(self._sts_form(call).encode("latin-1")).hexdigest()

        return verify(
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            region=self._region,
            now=self._clock(),
            credentials=self._credentials.find,
            body_sha256=body_sha256,
            unsigned=("x-amz-copy-source",) if "copy-header" in self._flaws else (),
        )

    def _sts_form(self, call: Call) -> str:
        """The body of an STS call; kept, because the signature covers it and the answer needs it."""
        if call.form is None:
            data = b""
            while piece := call.request.body.read(_CONTROL_LIMIT):
                data += piece
                if len(data) > _CONTROL_LIMIT:
                    raise S3Error("EntityTooLarge")
            call.form = data.decode("latin-1")
        return call.form

    def _object_call(self, call: Call) -> Response:
        method, params = call.request.method, call.params
        if _SUBRESOURCES.isdisjoint(params):
            if "abort" in self._flaws and method == "DELETE" and "uploadId" in params:
                call.operation = "AbortMultipartUpload"
                return Response(204)
            if "uploadId" in params or "uploads" in params:
                return self._uploads.answer(call)
            if method in ("GET", "HEAD"):
                return self._objects.get(call)
            if method == "PUT":
                return self._objects.copy(call) if call.headers.get("x-amz-copy-source") else self._objects.put(call)
        return self._through(call, "DeleteObject" if method == "DELETE" else "Object")

    def _bucket_call(self, call: Call) -> Response:
        method, params = call.request.method, call.params
        if not call.bucket:
            if method != "GET":
                raise S3Error("MethodNotAllowed")
            return self._through(call, "ListBuckets")
        if method == "GET" and "uploads" in params:
            return self._uploads.list_uploads(call)
        if method == "POST" and "delete" not in params:
            raise S3Error("NotImplemented", "POST of a form is not emulated.")
        if method == "POST":
            return self._through(call, "DeleteObjects")
        if method == "GET" and not params.keys() - _LIST_PARAMS:
            return self._through(call, "ListObjectsV2" if params.get("list-type") == "2" else "ListObjects")
        return self._through(call, "HeadBucket" if method == "HEAD" else "Bucket")

    def _through(self, call: Call, operation: str) -> Response:
        """A request that moto answers, once signature and body are right."""
        call.operation = operation
        blob, declared = call.receive(self._blobs, _CONTROL_LIMIT)
        if operation == "DeleteObjects" and declared.md5 is None and declared.algorithm is None:
            raise S3Error("InvalidRequest", "Missing required header for this request: Content-MD5")
        body = b"".join(blob.read(0, blob.size))
        if operation == "Bucket" and call.request.method == "PUT" and not call.moto_params():
            call.operation = "CreateBucket"
            return self._moto.request_bucket(call.bucket, call.moto_headers(), body)
        return self._moto.call(
            call.request.method, call.bucket, call.key, call.moto_params(), call.moto_headers(), body
        )

    def _preflight(self, call: Call) -> Response:
        """CORS preflight, which browsers send without a signature."""
        call.operation = "Preflight"
        call.bucket, call.key = locate(call.request)
        if not cors_headers(call.request, self._moto.cors_rules(call.bucket)):
            raise S3Error("AccessForbidden")
        return Response(200)

    def _refusal(self, call: Call, error: S3Error, request_id: str) -> Response:
        body = error.xml(call.request.path, request_id)
        if call.form is not None:
            # STS wraps its errors: AWS STS API Reference, "Common errors".
            inner = body.partition(b"\n")[2]
            body = b"<ErrorResponse>" + inner + b"<RequestId>" + request_id.encode() + b"</RequestId></ErrorResponse>"
        if call.request.method == "HEAD":
            body = b""
        return Response(error.status, [("Content-Type", "application/xml")], body)

    def _record(self, call: Call, status: int, error: str | None) -> Record:
        pieces = [piece for piece in call.request.query.split("&") if piece.partition("=")[0] not in _SECRET_PARAMS]
        return Record(
            method=call.request.method,
            path=call.request.path,
            query="&".join(pieces),
            status=status,
            bytes_in=call.request.body.received,
            operation=call.operation,
            bucket=call.bucket,
            key=call.key,
            error=error,
            headers=tuple(pair for pair in call.request.headers if pair[0].lower() not in _SECRET_HEADERS),
        )


_LIST_PARAMS = frozenset(
    [
        "list-type",
        "prefix",
        "delimiter",
        "marker",
        "max-keys",
        "encoding-type",
        "continuation-token",
        "start-after",
        "fetch-owner",
    ]
)
_LOOKS = ("GetObject", "HeadObject")
_SECRET_HEADERS = ("authorization", "x-amz-security-token")
_CODE = re.compile(rb"<Code>([^<]*)</Code>")


def _code(response: Response) -> str | None:
    match = _CODE.search(response.body) if isinstance(response.body, bytes) else None
    return match[1].decode() if match else None


def _with_hoisted(headers: Headers, params: dict[str, str]) -> Headers:
    """A presigned query may carry x-amz-* headers as signed parameters; S3 reads them as if they were headers."""
    hoisted = [(name.lower(), value) for name, value in params.items() if name.lower().startswith("x-amz-")]
    present = headers.names()
    return Headers([*headers, *((name, value) for name, value in hoisted if name not in present)])


def _refusal_of(failure: S3Error | BodyCut | BodyStalled) -> S3Error:
    if isinstance(failure, S3Error):
        return failure
    return S3Error("RequestTimeout" if isinstance(failure, BodyStalled) else "IncompleteBody")
