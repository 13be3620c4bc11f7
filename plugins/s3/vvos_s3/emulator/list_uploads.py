"""The answer to ListMultipartUploads: sorted, filtered, grouped and paged.

Source: AWS S3 API Reference, ListMultipartUploads.
"""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from .errors import XMLNS, S3Error, xml_text
from .multipart import Upload, iso


def list_uploads_xml(bucket: str, uploads: Iterable[Upload], params: dict[str, str]) -> bytes:
    """One page. Uploads come by key and then by start; an upload-id marker counts only with a key marker."""
    prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
    marker = (params.get("key-marker", ""), params.get("upload-id-marker", ""))
    limit = _limit(params.get("max-uploads", "1000"))
    encoded = params.get("encoding-type") == "url"

    def text(value: str) -> str:
        return xml_text(quote(value, safe="/") if encoded else value)

    shown: list[Upload] = []
    groups: list[str] = []
    last = ("", "")
    truncated = False
    for upload in _after(sorted(uploads, key=lambda u: (u.key.encode(), u.initiated, u.upload_id)), *marker):
        if not upload.key.startswith(prefix):
            continue
        head, found, _ = upload.key[len(prefix) :].partition(delimiter) if delimiter else ("", "", "")
        group = prefix + head + delimiter if found else ""
        if group and (group in groups or group <= marker[0]):
            continue
        if len(shown) + len(groups) == limit:
            truncated = True
            break
        if group:
            groups.append(group)
            last = (group, "")
        else:
            shown.append(upload)
            last = (upload.key, upload.upload_id)
    items = "".join(
        f"<Upload><Key>{text(upload.key)}</Key><UploadId>{upload.upload_id}</UploadId>"
        f"<StorageClass>STANDARD</StorageClass><Initiated>{iso(upload.initiated)}</Initiated>"
        f"<ChecksumAlgorithm>{upload.effective.upper()}</ChecksumAlgorithm>"
        f"<ChecksumType>{upload.kind}</ChecksumType></Upload>"
        for upload in shown
    )
    items += "".join(f"<CommonPrefixes><Prefix>{text(group)}</Prefix></CommonPrefixes>" for group in groups)
    next_page = (
        f"<NextKeyMarker>{text(last[0])}</NextKeyMarker><NextUploadIdMarker>{last[1]}</NextUploadIdMarker>"
        if truncated
        else ""
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<ListMultipartUploadsResult xmlns="{XMLNS}">'
        f"<Bucket>{bucket}</Bucket><KeyMarker>{text(marker[0])}</KeyMarker>"
        f"<UploadIdMarker>{xml_text(marker[1])}</UploadIdMarker>{next_page}"
        f"<Prefix>{text(prefix)}</Prefix><Delimiter>{text(delimiter)}</Delimiter>"
        + ("<EncodingType>url</EncodingType>" if encoded else "")
        + f"<MaxUploads>{limit}</MaxUploads><IsTruncated>{str(truncated).lower()}</IsTruncated>{items}"
        "</ListMultipartUploadsResult>"
    ).encode()


def _after(uploads: list[Upload], key: str, upload_id: str) -> Iterable[Upload]:
    """The uploads behind the markers."""
    passed = not upload_id
    for upload in uploads:
        if upload.key.encode() > key.encode() or not key:
            yield upload
        elif upload.key == key and upload_id:
            if passed:
                yield upload
            passed = passed or upload.upload_id == upload_id


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise S3Error("InvalidArgument", "Provided max-uploads not an integer or within integer range")
    return min(int(text), 1000)
