"""Lists: objects (both versions) and unfinished uploads, by prefix, delimiter and marker, page by page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from urllib.parse import quote

from vvos_core.testing.server import Response

from .call import Call
from .errors import OssError
from .objects import owner
from .store import Stored, Upload
from .times import iso
from .xml import Fields, answer

Field = tuple[str, "str | int | Fields"]


def objects(call: Call) -> Response:
    """ListObjects and ListObjectsV2."""
    second = call.params.get("list-type") == "2"
    if not second and call.params.get("list-type"):
        raise OssError("InvalidArgument", "Invalid List Type specified in Request", ArgumentName="list-type")
    shown = _encoder(call)
    prefix, delimiter = call.params.get("prefix", ""), call.params.get("delimiter", "")
    limit = call.integer("max-keys", 100, 1, 1000)
    token = call.params.get("continuation-token", "")
    start = call.params.get("start-after", "") if second else call.params.get("marker", "")
    after = max(_from_token(token), start, key=_order) if second and token else start
    found = call.store.bucket(call.bucket).objects
    entries, more = _page(found, prefix, delimiter, after, limit)
    last = entries[-1] if entries else ""
    fields: list[Field] = [("Name", call.bucket), ("Prefix", shown(prefix))]
    if second:
        fields += [("StartAfter", shown(start)), ("ContinuationToken", token), ("KeyCount", len(entries))]
    else:
        fields.append(("Marker", shown(start)))
    fields += [("MaxKeys", limit), ("Delimiter", shown(delimiter)), *_encoding(call)]
    fields.append(("IsTruncated", "true" if more else "false"))
    if more:
        fields.append(("NextContinuationToken", _token(last)) if second else ("NextMarker", shown(last)))
    with_owner = not second or call.params.get("fetch-owner") == "true"
    for entry in entries:
        if _is_prefix(entry, prefix, delimiter):
            fields.append(("CommonPrefixes", [("Prefix", shown(entry))]))
        elif entry in found:  # it may have gone in the meantime
            fields.append(("Contents", _contents(shown(entry), found[entry], with_owner)))
    return answer("ListBucketResult", fields)


def uploads(call: Call) -> Response:
    """ListMultipartUploads."""
    shown = _encoder(call)
    prefix, delimiter = call.params.get("prefix", ""), call.params.get("delimiter", "")
    limit = call.integer("max-uploads", 1000, 1, 1000)
    marker, id_marker = call.params.get("key-marker", ""), call.params.get("upload-id-marker", "")
    with call.store.lock:
        found = sorted(
            call.store.bucket(call.bucket).uploads.values(), key=lambda item: (_order(item.key), item.upload_id)
        )
    entries: list[Upload | str] = []
    for upload in found:
        after = _order(upload.key) > _order(marker) or (
            bool(marker and id_marker) and upload.key == marker and upload.upload_id > id_marker
        )
        if not upload.key.startswith(prefix) or (marker and not after):
            continue
        folded = _folded(upload.key, prefix, delimiter)
        if folded is None:
            entries.append(upload)
        elif folded not in entries and folded != marker:
            entries.append(folded)
    page = entries[:limit]
    last = page[-1] if page else ""
    fields: list[Field] = [
        ("Bucket", call.bucket),
        ("KeyMarker", shown(marker)),
        ("UploadIdMarker", id_marker),
        ("NextKeyMarker", shown(last.key if isinstance(last, Upload) else last)),
        ("NextUploadIdMarker", last.upload_id if isinstance(last, Upload) else ""),
        ("Delimiter", shown(delimiter)),
        ("Prefix", shown(prefix)),
        ("MaxUploads", limit),
        *_encoding(call),
        ("IsTruncated", "true" if len(entries) > limit else "false"),
    ]
    for entry in page:
        if isinstance(entry, str):
            fields.append(("CommonPrefixes", [("Prefix", shown(entry))]))
            continue
        item: list[Field] = [("Key", shown(entry.key)), ("UploadId", entry.upload_id)]
        item += [("StorageClass", entry.draft.storage_class), ("Initiated", iso(entry.initiated))]
        fields.append(("Upload", item))
    return answer("ListMultipartUploadsResult", fields)


def _contents(key: str, found: Stored, with_owner: bool) -> list[Field]:
    return [
        ("Key", key),
        ("LastModified", iso(found.modified)),
        ("ETag", f'"{found.etag}"'),
        ("Type", found.kind),
        ("Size", found.size),
        ("StorageClass", found.storage_class),
        *([owner()] if with_owner else []),
    ]


def _page(keys: Iterable[str], prefix: str, delimiter: str, after: str, limit: int) -> tuple[list[str], bool]:
    """At most ``limit`` keys and prefixes behind ``after``, in the order of their bytes; and if there are more."""
    entries: list[str] = []
    for key in sorted((key for key in list(keys) if key.startswith(prefix)), key=_order):
        entry = _folded(key, prefix, delimiter) or key
        if (after and _order(entry) <= _order(after)) or (entries and entries[-1] == entry):
            continue
        if len(entries) == limit:
            return entries, True
        entries.append(entry)
    return entries, False


def _folded(key: str, prefix: str, delimiter: str) -> str | None:
    """The common prefix that a key is listed as; None when it is listed itself."""
    if not delimiter:
        return None
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return prefix + head + found if found else None


def _is_prefix(entry: str, prefix: str, delimiter: str) -> bool:
    return bool(delimiter) and entry.endswith(delimiter) and _folded(entry, prefix, delimiter) == entry


def _order(key: str) -> bytes:
    return key.encode(errors="surrogatepass")


def _encoder(call: Call) -> Callable[[str], str]:
    kind = call.params.get("encoding-type", "")
    if kind not in ("", "url"):
        raise OssError("InvalidArgument", "Invalid Encoding Method specified in Request", ArgumentName="encoding-type")
    return (lambda text: quote(text, safe="")) if kind else str


def _encoding(call: Call) -> list[Field]:
    return [("EncodingType", "url")] if call.params.get("encoding-type") else []


def _token(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _from_token(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise OssError(
            "InvalidArgument", "The continuation token provided is incorrect", ArgumentName="continuation-token"
        ) from None
