"""Which bucket and key a request names: path style, or the bucket as the first label of the host.

Source: AWS S3 User Guide, "Virtual hosting of general purpose buckets" and "Naming Amazon S3 objects".
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from vvos_core.testing.server import Request

from .errors import S3Error

MAX_KEY_BYTES = 1024
_VIRTUAL_HOST = re.compile(r"(?P<bucket>.+?)(?:\.s3)?\.localhost", re.IGNORECASE)


def locate(request: Request) -> tuple[str, str]:
    """Bucket and key, either may be empty. `bucket.localhost` and `bucket.s3.localhost` are virtual hosts."""
    raw = request.path.encode("latin-1")
    if not raw.startswith(b"/"):
        raise S3Error("InvalidURI", URI=request.path)
    host = (request.headers.get("host") or "").rpartition("@")[2]
    name = re.sub(r":\d+$", "", host)
    match = _VIRTUAL_HOST.fullmatch(name)
    if match and match["bucket"].lower() != "s3":
        bucket, raw_key = match["bucket"], raw[1:]
    else:
        raw_bucket, _, raw_key = raw[1:].partition(b"/")
        bucket = _text(raw_bucket, request)
    key = _text(raw_key, request)
    size = len(key.encode())
    if size > MAX_KEY_BYTES:
        raise S3Error("KeyTooLongError", Size=str(size), MaxSizeAllowed=str(MAX_KEY_BYTES))
    return bucket, key


def _text(raw: bytes, request: Request) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise S3Error("InvalidURI", URI=request.path) from None
