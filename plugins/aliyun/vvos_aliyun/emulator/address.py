"""Which bucket and key a request names: path style, a virtual host, or a custom domain."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from vvos_core.testing.server import Request

from .errors import OssError


def locate(request: Request, cnames: Mapping[str, str]) -> tuple[str, str]:
    """Bucket and key, either may be empty.

    The real service refuses path style but for addresses; here an address, ``localhost`` and a name without a dot are
    path style, all others have the bucket as their first label. ``cnames`` are custom domains and their buckets.
    """
    raw = request.path.encode("latin-1")
    host = re.sub(r":\d+$", "", request.headers.get("host") or "").lower()
    if host in cnames:
        return cnames[host], _text(raw[1:])
    if "." in host and not _is_address(host):
        return host.partition(".")[0], _text(raw[1:])
    bucket, _, key = raw[1:].partition(b"/")
    return _text(bucket), _text(key)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _text(raw: bytes) -> str:
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise OssError("InvalidObjectName", "The object name is not UTF-8.", ec="0016-00000003") from None
