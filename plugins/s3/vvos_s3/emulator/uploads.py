"""The multipart operations, over one account: create, put a part, list, complete, abort."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from vvos_core.testing.server import Response

from . import checksums, multipart
from .blobs import BlobStore, Content
from .errors import XMLNS, S3Error
from .list_uploads import list_uploads_xml
from .moto_store import MotoStore
from .multipart import Completed, Part, Upload
from .objects import MAX_PUT, Call, require_length, set_checksum, source_content, stored_checksum

if TYPE_CHECKING:
    from .blobs import Blob

_XML_LIMIT = 8 * 1024 * 1024
_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)</UploadId>")
_XML_HEADERS = (("Content-Type", "application/xml"),)


class Uploads:
    """All uploads, under way or completed. moto knows each by its id and metadata, and never sees a part."""

    def __init__(self, moto: MotoStore, blobs: BlobStore, clock: Callable[[], float]) -> None:
        self._moto = moto
        self._blobs = blobs
        self._clock = clock
        self._open: dict[str, Upload] = {}
        self._completed: dict[str, Completed] = {}

    def reset(self) -> None:
        """Forgets all."""
        with self._moto.lock:
            self._open.clear()
            self._completed.clear()

    def answer(self, call: Call) -> Response:
        """Any request on an object with `uploads` or `uploadId` in its query."""
        method = call.request.method
        if "uploads" in call.params:
            if method == "POST":
                return self._create(call)
        elif method == "PUT":
            return self._put_part(call)
        elif method == "POST":
            return self._complete(call)
        elif method == "GET":
            return self._list_parts(call)
        elif method == "DELETE":
            return self._abort(call)
        raise S3Error("MethodNotAllowed")

    def list_uploads(self, call: Call) -> Response:
        """ListMultipartUploads."""
        call.operation = "ListMultipartUploads"
        if not self._moto.bucket_exists(call.bucket):
            raise S3Error("NoSuchBucket", BucketName=call.bucket)
        with self._moto.lock:
            found = [upload for upload in self._open.values() if upload.bucket == call.bucket]
            return _xml(list_uploads_xml(call.bucket, found, call.params))

    def _create(self, call: Call) -> Response:
        call.operation = "CreateMultipartUpload"
        algorithm, kind = multipart.checksum_mode(call.headers)
        call.receive(self._blobs, 0)
        if not self._moto.bucket_exists(call.bucket):
            raise S3Error("NoSuchBucket", BucketName=call.bucket)
        with self._moto.lock:
            response = self._moto.call("POST", call.bucket, call.key, {"uploads": ""}, call.moto_headers())
            match = _UPLOAD_ID.search(response.body) if isinstance(response.body, bytes) else None
            if match is not None:
                upload_id = match[1].decode()
                self._open[upload_id] = Upload(call.bucket, call.key, upload_id, self._clock(), algorithm, kind)
                if algorithm is not None:
                    response.set("x-amz-checksum-algorithm", algorithm.upper())
                    response.set("x-amz-checksum-type", kind)
        return response

    def _put_part(self, call: Call) -> Response:
        copying = call.headers.get("x-amz-copy-source") is not None
        call.operation = "UploadPartCopy" if copying else "UploadPart"
        number = multipart.part_number(call.params.get("partNumber", ""))
        upload = self._find(call)
        if copying:
            return self._copy_part(call, upload, number)
        require_length(call.request)
        multipart.check_part_algorithm(upload, checksums.declared(call.headers).algorithm)
        blob, declared = call.receive(self._blobs, MAX_PUT, {upload.effective})
        part = self._store(call, number, blob, declared.algorithm)
        response = Response(200, [("ETag", f'"{part.etag}"')])
        set_checksum(response, stored_checksum(blob, declared))
        response.drop("x-amz-checksum-type")  # UploadPart has no such field
        return response

    def _copy_part(self, call: Call, upload: Upload, number: int) -> Response:
        call.receive(self._blobs, 0)
        with self._moto.lock:
            source = source_content(self._moto, call.headers)
        if source is None:
            raise S3Error("NoSuchKey")
        start, stop = _copy_range(call, source)
        digests = {name: checksums.new(name) for name in {"md5", checksums.DEFAULT, upload.effective}}
        writer = self._blobs.writer()
        for piece in source.read(start, stop):
            writer.write(piece)
            for digest in digests.values():
                digest.update(piece)
        blob = writer.finish({name: digest.digest() for name, digest in digests.items()})
        part = self._store(call, number, blob, upload.algorithm)
        return _xml(
            f'<CopyPartResult xmlns="{XMLNS}"><LastModified>{multipart.iso(part.modified)}</LastModified>'
            f"<ETag>&quot;{part.etag}&quot;</ETag></CopyPartResult>".encode()
        )

    def _store(self, call: Call, number: int, blob: Blob, algorithm: str | None) -> Part:
        part = Part(blob, algorithm, self._clock())
        with self._moto.lock:
            # Looked up again: it may have been completed or aborted while the body came in.
            self._find(call).parts[number] = part
        return part

    def _list_parts(self, call: Call) -> Response:
        call.operation = "ListParts"
        with self._moto.lock:
            return _xml(multipart.list_parts_xml(self._find(call), call.params))

    def _abort(self, call: Call) -> Response:
        call.operation = "AbortMultipartUpload"
        with self._moto.lock:
            upload = self._find(call)
            self._moto.abort(upload.bucket, upload.upload_id)
            del self._open[upload.upload_id]
        return Response(204)

    def _complete(self, call: Call) -> Response:
        call.operation = "CompleteMultipartUpload"
        call.require_unconditional()
        blob, _ = self._receive_complete(call)
        named = multipart.parse_complete(b"".join(blob.read(0, blob.size)))
        asked = tuple((item.number, item.etag) for item in named)
        with self._moto.lock:
            upload_id = call.params["uploadId"]
            done = self._completed.get(upload_id)
            if done is not None and (done.bucket, done.key, done.request) == (call.bucket, call.key, asked):
                return self._completed_answer(done)
            upload = self._find(call)
            content = multipart.assemble(upload, named, call.headers)
            self._check_conditions(call)
            version = self._moto.complete(upload.bucket, upload_id, content)
            done = Completed(upload.bucket, upload.key, asked, multipart.complete_xml(upload, content), version)
            self._completed[upload_id] = done
            del self._open[upload_id]
            return self._completed_answer(done)

    def _receive_complete(self, call: Call) -> tuple[Blob, checksums.Declared]:
        """The XML body. Here x-amz-checksum-* is about the object, not about the body."""
        about_body = [
            (name, value)
            for name, value in call.headers
            if not name.lower().startswith((checksums.PREFIX, "x-amz-sdk-checksum"))
        ]
        object_headers = call.headers
        call.headers = type(object_headers)(about_body)
        try:
            return call.receive(self._blobs, _XML_LIMIT)
        finally:
            call.headers = object_headers

    @staticmethod
    def _completed_answer(done: Completed) -> Response:
        response = _xml(done.answer)
        if done.version != "null":
            response.set("x-amz-version-id", done.version)
        return response

    def _check_conditions(self, call: Call) -> None:
        existing = self._moto.content(call.bucket, call.key)
        if call.headers.get("if-none-match") is not None and existing is not None:
            raise S3Error("PreconditionFailed", Condition="If-None-Match")
        if_match = call.headers.get("if-match")
        if if_match is not None:
            if existing is None:
                raise S3Error("NoSuchKey", Key=call.key)
            if if_match.strip('"') != existing.etag:
                raise S3Error("PreconditionFailed", Condition="If-Match")

    def _find(self, call: Call) -> Upload:
        with self._moto.lock:
            upload = self._open.get(call.params["uploadId"])
            if upload is None or (upload.bucket, upload.key) != (call.bucket, call.key):
                raise S3Error("NoSuchUpload", UploadId=call.params["uploadId"])
            return upload


def _copy_range(call: Call, source: Content) -> tuple[int, int]:
    text = call.headers.get("x-amz-copy-source-range")
    if text is None:
        return 0, source.size
    match = re.fullmatch(r"bytes=(\d{1,18})-(\d{1,18})", text, re.ASCII)
    if match is None or not int(match[1]) <= int(match[2]) < source.size:
        raise S3Error(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last, within the source object.",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=text,
        )
    return int(match[1]), int(match[2]) + 1


def _xml(body: bytes) -> Response:
    return Response(200, list(_XML_HEADERS), body)
