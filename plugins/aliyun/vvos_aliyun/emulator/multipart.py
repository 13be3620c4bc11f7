"""The multipart family: begin, put and copy parts, list, complete, abort."""

from __future__ import annotations

import hashlib
import re
from itertools import pairwise
from urllib.parse import quote

from vvos_core.testing.server import Response

from . import callback
from .blobs import Content
from .call import MAX_PUT, Call, copy_source
from .errors import OssError
from .objects import written
from .store import Part, Upload
from .times import iso
from .xml import Fields, answer, parse

MIN_PART = 100 * 1024
MAX_PARTS = 10_000


def begin(call: Call) -> Response:
    """InitiateMultipartUpload."""
    draft = call.draft("Multipart")
    if call.forbids_overwrite and call.key in call.store.bucket(call.bucket).objects:
        raise OssError("FileAlreadyExists", ec="0042-00000214")
    call.receive(0)
    upload = call.store.begin(call.bucket, call.key, draft, call.clock())
    headers = [pair for pair in draft.headers.items() if pair[0].startswith("x-oss-server-side-encryption")]
    fields = [("Bucket", call.bucket), *_key(call), ("UploadId", upload.upload_id)]
    return answer("InitiateMultipartUploadResult", fields, headers)


def put_part(call: Call) -> Response:
    """UploadPart. A part that is there already is replaced; its size is judged when the upload is completed."""
    number = _part_number(call)
    call.require_length()
    _find(call)
    part = Part(call.receive(), call.clock())
    _store(call, number, part)
    headers = [("ETag", f'"{part.etag}"'), ("x-oss-hash-crc64ecma", str(part.blob.crc))]
    return Response(200, headers)


def copy_part(call: Call) -> Response:
    """UploadPartCopy."""
    number = _part_number(call)
    _find(call)
    call.receive(0)
    _, _, source = copy_source(call)
    start, stop = _copy_range(call, source.size)
    if stop - start > MAX_PUT:
        raise OssError("EntityTooLarge", MaxSizeAllowed=str(MAX_PUT), ProposedSize=str(stop - start))
    part = Part(call.store.blobs.write(source.content.read(start, stop)), call.clock())
    _store(call, number, part)
    fields = [("LastModified", iso(part.modified)), ("ETag", f'"{part.etag}"')]
    headers = [("ETag", f'"{part.etag}"'), ("x-oss-hash-crc64ecma", str(part.blob.crc))]
    return answer("CopyPartResult", fields, headers)


def complete(call: Call) -> Response:
    """CompleteMultipartUpload."""
    asked, forbid = callback.read(call), call.forbids_overwrite
    body = call.document()
    everything = (call.header("x-oss-complete-all") or "").lower() == "yes"
    if everything and body:
        raise OssError("InvalidArgument", "x-oss-complete-all allows no list of parts.", ec="0042-00000216")
    named = [] if everything else _named_parts(body)
    with call.store.lock:
        upload = _find(call)
        if everything:
            named = [(number, part.etag) for number, part in sorted(upload.parts.items())]
        parts = _chosen(upload, named)
        etag = hashlib.md5(b"".join(part.blob.md5 for part in parts), usedforsecurity=False).hexdigest().upper()
        content = Content(tuple(part.blob for part in parts))
        value = call.finished(upload.draft, content, f"{etag}-{len(parts)}")
        try:
            call.store.put(call.bucket, call.key, value, forbid=forbid)
        except OssError as error:
            error.ec = "0042-00000214"
            raise
        del call.store.bucket(call.bucket).uploads[upload.upload_id]
    location = f"http://{call.host}/{quote(call.key)}"
    fields = [("Location", location), ("Bucket", call.bucket), *_key(call), ("ETag", f'"{value.etag}"')]
    response = answer("CompleteMultipartUploadResult", fields, written(value))
    return asked.sent(call, value, response) if asked else response


def abort(call: Call) -> Response:
    """AbortMultipartUpload."""
    with call.store.lock:
        upload = _find(call)
        del call.store.bucket(call.bucket).uploads[upload.upload_id]
    return Response(204)


def list_parts(call: Call) -> Response:
    """ListParts."""
    limit = call.integer("max-parts", 1000, 1, 1000)
    marker = call.integer("part-number-marker", 0, 0, 1 << 31)
    with call.store.lock:
        upload = _find(call)
        after = [(number, part) for number, part in sorted(upload.parts.items()) if number > marker]
    shown = after[:limit]
    fields: list[tuple[str, str | int | Fields]] = [
        ("Bucket", call.bucket),
        *_key(call),
        ("UploadId", upload.upload_id),
        ("StorageClass", upload.draft.storage_class),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", shown[-1][0] if shown else 0),
        ("MaxParts", limit),
        ("IsTruncated", "true" if len(after) > limit else "false"),
    ]
    for number, part in shown:
        fields.append(
            (
                "Part",
                [
                    ("PartNumber", number),
                    ("LastModified", iso(part.modified)),
                    ("ETag", f'"{part.etag}"'),
                    ("HashCrc64ecma", part.blob.crc),
                    ("Size", part.blob.size),
                ],
            )
        )
    return answer("ListPartsResult", fields)


def _find(call: Call) -> Upload:
    return call.store.upload(call.bucket, call.key, call.params.get("uploadId", ""))


def _store(call: Call, number: int, part: Part) -> None:
    with call.store.lock:
        # Looked up again: it may have been completed or aborted while the body came in.
        _find(call).parts[number] = part


def _part_number(call: Call) -> int:
    text = call.params.get("partNumber", "")
    if not text:
        raise OssError(
            "InvalidArgument",
            "Unexpected query string parameter",
            ec="0017-00000219",
            ArgumentName="ResourceType",
            ArgumentValue="partNumber",
        )
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= MAX_PARTS:
        raise OssError(
            "InvalidArgument",
            "Part number must be an integer between 1 and 10000, inclusive.",
            ec="0017-00000220",
            ArgumentName="PartNumber",
            ArgumentValue=text,
        )
    return int(text)


def _named_parts(body: bytes) -> list[tuple[int, str]]:
    named = []
    for part in parse(body, "CompleteMultipartUpload").findall("Part"):
        number, etag = part.findtext("PartNumber") or "", part.findtext("ETag") or ""
        if not re.fullmatch(r"\s*[0-9]{1,10}\s*", number):
            raise OssError("MalformedXML")
        named.append((int(number), etag.strip().strip('"').upper()))
    if not named or len(named) > MAX_PARTS:
        raise OssError("MalformedXML")
    return named


def _chosen(upload: Upload, named: list[tuple[int, str]]) -> list[Part]:
    numbers = [number for number, _ in named]
    if any(second <= first for first, second in pairwise(numbers)):
        raise OssError("InvalidPartOrder")
    parts = []
    for number, etag in named:
        part = upload.parts.get(number)
        if part is None or part.etag != etag:
            raise OssError("InvalidPart", PartNumber=str(number), ETag=etag, UploadId=upload.upload_id)
        parts.append(part)
    if not parts:
        raise OssError("InvalidPart", UploadId=upload.upload_id)
    for (number, etag), part in zip(named[:-1], parts[:-1], strict=True):
        if part.blob.size < MIN_PART:
            raise OssError(
                "EntityTooSmall",
                MinSizeAllowed=str(MIN_PART),
                ProposedSize=str(part.blob.size),
                PartNumber=str(number),
                ETag=etag,
            )
    return parts


def _copy_range(call: Call, size: int) -> tuple[int, int]:
    text = call.header("x-oss-copy-source-range")
    if text is None:
        return 0, size
    match = re.fullmatch(r"bytes=(\d{1,18})-(\d{0,18})", text.strip())
    last = int(match[2] or size - 1) if match else -1
    if match is None or not int(match[1]) <= last < size:
        raise OssError("InvalidRange", ArgumentName="x-oss-copy-source-range", ArgumentValue=text)
    return int(match[1]), last + 1


def _key(call: Call) -> list[tuple[str, str | int | Fields]]:
    if call.params.get("encoding-type") != "url":
        return [("Key", call.key)]
    return [("EncodingType", "url"), ("Key", quote(call.key, safe=""))]
