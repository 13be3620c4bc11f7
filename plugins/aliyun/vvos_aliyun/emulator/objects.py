"""The operations on one object: put, get, head, delete, copy, append, ACL, tags, links."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from urllib.parse import quote, unquote

from vvos_core.testing.server import Response

from . import callback, tags
from .blobs import Content
from .call import OBJECT_ACLS, Call, check_conditions, copy_source
from .credentials import ACCOUNT
from .errors import OssError
from .store import Stored
from .times import http, iso
from .xml import answer

_OVERRIDES = ("content-type", "content-language", "expires", "cache-control", "content-disposition", "content-encoding")


def put(call: Call) -> Response:
    """PutObject."""
    call.require_length()
    asked = callback.read(call)
    draft, forbid = call.draft(), call.forbids_overwrite
    _refuse_early(call, forbid)
    blob = call.receive()
    value = call.finished(draft, Content((blob,)), blob.md5.hex().upper())
    call.store.put(call.bucket, call.key, value, forbid=forbid)
    response = Response(200, written(value))
    response.set("Content-MD5", base64.b64encode(blob.md5).decode())
    return asked.sent(call, value, response) if asked else response


def get(call: Call) -> Response:
    """GetObject."""
    found = call.store.followed(call.bucket, call.key)
    check_conditions(call, found)
    start, stop = _range(call, found.size)
    response = Response(200, described(found), found.content.read(start, stop), stop - start)
    if stop - start != found.size:
        response.status = 206
        response.set("Content-Range", f"bytes {start}-{stop - 1}/{found.size}")
    for name in _OVERRIDES:
        value = call.params.get(f"response-{name}")
        if value is not None:
            if call.caller is None:
                raise OssError("InvalidRequest", "An anonymous request may not change the headers of its answer.")
            response.set(name, value.encode("utf-8", "replace").decode("latin-1"))
    return response


def head(call: Call) -> Response:
    """HeadObject."""
    found = call.store.followed(call.bucket, call.key)
    check_conditions(call, found)
    return Response(200, described(found), (), found.size)


def meta(call: Call) -> Response:
    """GetObjectMeta."""
    found = call.store.followed(call.bucket, call.key)
    headers = [("ETag", f'"{found.etag}"'), ("Last-Modified", http(found.modified))]
    headers.append(("x-oss-hash-crc64ecma", str(found.content.crc)))
    return Response(200, headers, (), found.size) if call.request.method == "HEAD" else Response(200, headers)


def delete(call: Call) -> Response:
    """DeleteObject; 204 whether it was there or not."""
    with call.store.lock:
        call.store.bucket(call.bucket).objects.pop(call.key, None)
    return Response(204)


def copy(call: Call) -> Response:
    """CopyObject."""
    directive = (call.header("x-oss-metadata-directive") or "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise OssError("InvalidArgument", "Unknown metadata directive.", ArgumentName="x-oss-metadata-directive")
    forbid = call.forbids_overwrite
    call.receive(0)
    _, _, source = copy_source(call)
    draft = call.draft()
    kept = source.headers if directive == "COPY" else draft.headers
    if (call.header("x-oss-tagging-directive") or "COPY").upper() == "COPY":
        draft = replace(draft, tags=source.tags)
    value = call.finished(replace(draft, headers=kept), source.content, source.etag)
    call.store.put(call.bucket, call.key, value, forbid=forbid)
    return answer(
        "CopyObjectResult", [("ETag", f'"{value.etag}"'), ("LastModified", iso(value.modified))], written(value)
    )


def append(call: Call) -> Response:
    """AppendObject."""
    call.require_length()
    position = call.integer("position", 0, 0, 1 << 60)
    draft = call.draft("Appendable")
    blob = call.receive()
    with call.store.lock:
        found = call.store.bucket(call.bucket).objects.get(call.key)
        if found is not None and found.kind != "Appendable":
            raise OssError("ObjectNotAppendable")
        size = found.size if found else 0
        if position != size:
            raise OssError("PositionNotEqualToLength", headers={"x-oss-next-append-position": str(size)})
        content = Content((*(found.content.blobs if found else ()), blob))
        value = call.finished(found or draft, content, f"{content.crc:016X}{content.size:016X}")
        call.store.put(call.bucket, call.key, value, forbid=False)
    return Response(200, [*written(value), ("x-oss-next-append-position", str(value.size))])


def put_acl(call: Call) -> Response:
    """PutObjectACL."""
    acl = call.header("x-oss-object-acl") or ""
    if acl not in OBJECT_ACLS:
        raise OssError("InvalidArgument", "no such object access control exists", ArgumentName="x-oss-object-acl")
    _change(call, acl=acl)
    return Response(200)


def get_acl(call: Call) -> Response:
    """GetObjectACL."""
    found = call.store.object(call.bucket, call.key)
    return answer("AccessControlPolicy", [owner(), ("AccessControlList", [("Grant", found.acl)])])


def put_tags(call: Call) -> Response:
    """PutObjectTagging."""
    _change(call, tags=tags.of_document(call.document()))
    return Response(200)


def get_tags(call: Call) -> Response:
    """GetObjectTagging."""
    found = call.store.object(call.bucket, call.key).tags
    return answer("Tagging", [("TagSet", [("Tag", [("Key", key), ("Value", value)]) for key, value in found])])


def delete_tags(call: Call) -> Response:
    """DeleteObjectTagging."""
    _change(call, tags=())
    return Response(204)


def put_symlink(call: Call) -> Response:
    """PutSymlink."""
    target = unquote(call.header("x-oss-symlink-target") or "")
    if not target:
        raise OssError("InvalidArgument", "The symlink target is missing.", ArgumentName="x-oss-symlink-target")
    call.receive(0)
    value = replace(call.finished(call.draft("Symlink"), Content(()), "0" * 32), target=target)
    call.store.put(call.bucket, call.key, value, forbid=call.forbids_overwrite)
    return Response(200, [("ETag", f'"{value.etag}"')])


def get_symlink(call: Call) -> Response:
    """GetSymlink."""
    found = call.store.object(call.bucket, call.key)
    if found.kind != "Symlink":
        raise OssError("InvalidTargetType", "The object is not a symbolic link.")
    headers = [("x-oss-symlink-target", quote(found.target, safe="")), ("ETag", f'"{found.etag}"')]
    return Response(200, [*headers, ("Last-Modified", http(found.modified))])


def written(value: Stored) -> list[tuple[str, str]]:
    """What every write answers of the object that it made."""
    headers = [("ETag", f'"{value.etag}"'), ("x-oss-hash-crc64ecma", str(value.content.crc))]
    return headers + [pair for pair in value.headers.items() if pair[0].startswith("x-oss-server-side-encryption")]


def described(value: Stored) -> list[tuple[str, str]]:
    """What GET and HEAD answer of an object, besides its length."""
    headers = [
        *written(value),
        *(pair for pair in value.headers.items() if not pair[0].startswith("x-oss-server-side-encryption")),
        ("Accept-Ranges", "bytes"),
        ("Last-Modified", http(value.modified)),
        ("x-oss-object-type", value.kind),
        ("x-oss-storage-class", value.storage_class),
    ]
    if value.kind == "Normal" and len(value.content.blobs) == 1:
        headers.append(("Content-MD5", base64.b64encode(value.content.blobs[0].md5).decode()))
    if value.kind == "Appendable":
        headers.append(("x-oss-next-append-position", str(value.size)))
    if value.tags:
        headers.append(("x-oss-tagging-count", str(len(value.tags))))
    return headers


def owner() -> tuple[str, list[tuple[str, str | int]]]:
    """The only account there is, as an XML element."""
    return "Owner", [("ID", ACCOUNT), ("DisplayName", ACCOUNT)]


def _refuse_early(call: Call, forbid: bool) -> None:
    """What can be refused before the body comes is; ``Store.put`` decides again when it has come."""
    if forbid and call.key in call.store.bucket(call.bucket).objects:
        raise OssError("FileAlreadyExists")


def _change(call: Call, **changes: object) -> None:
    with call.store.lock:
        found = call.store.object(call.bucket, call.key)
        call.store.put(call.bucket, call.key, replace(found, **changes), forbid=False)  # type: ignore[arg-type]  # by name


def _range(call: Call, size: int) -> tuple[int, int]:
    """[start, stop). What does not fit is ignored, but for ``x-oss-range-behavior: standard`` (OSS, "Range")."""
    text = call.header("range")
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", (text or "").strip())
    if match is None or not (match[1] or match[2]):
        return 0, size
    standard = (call.header("x-oss-range-behavior") or "").lower() == "standard"
    if not match[1]:
        length = int(match[2])
        if length == 0 or size == 0:
            return _unfit(standard, size)
        return max(size - length, 0), size
    first, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if first > last or first >= size:
        return _unfit(standard, size)
    if last >= size:
        return (first, size) if standard else (0, size)
    return first, last + 1


def _unfit(standard: bool, size: int) -> tuple[int, int]:
    if standard:
        raise OssError("InvalidRange", headers={"Content-Range": f"bytes */{size}"})
    return 0, size
