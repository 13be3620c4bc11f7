"""Makes and reads the requestToken: the client's own name for one gettoken, so that asking twice grants once.

Its form is the published one: ``base64url({}) . base64url({"requestId": …}) . signature``; it begins with ``e30.``.
The client is its only author and holds no secret that a broker could check, so the signature proves nothing: who calls
is told by the HTTP headers, and the request id is only ever looked up together with who that is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re

import msgspec

from .errors import BadInput

MAX_CHARS = 2048
MAX_ID_CHARS = 200

_HEADER = "e30"
_SHAPE = re.compile(r"e30\.([A-Za-z0-9_-]+)={0,2}\.[A-Za-z0-9_-]*={0,2}")


class _Payload(msgspec.Struct, rename="camel"):
    request_id: str


_decode = msgspec.json.Decoder(_Payload).decode


def make(request_id: str = "") -> str:
    """A requestToken for ``request_id``; without one, for a fresh random id. The same id gives the same token."""
    payload = _b64(msgspec.json.encode({"requestId": request_id or os.urandom(16).hex()}))
    signed = f"{_HEADER}.{payload}"
    # A digest, not a proof (see above): it only makes the three parts of the published form complete.
    return f"{signed}.{_b64(hashlib.sha256(signed.encode()).digest())}"


def request_id(token: str) -> str:
    """The request id of a requestToken, 1 to 200 printable characters. Raises ``BadInput`` saying what is wrong."""
    if len(token) > MAX_CHARS:
        raise BadInput(f"requestToken: it has {len(token)} characters, and at most {MAX_CHARS} are allowed.")
    shape = _SHAPE.fullmatch(token)
    if shape is None:
        raise BadInput("requestToken: expected three base64url parts joined by '.', the first of them 'e30'.")
    payload = shape[1]
    try:
        found = _decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))).request_id
    except (binascii.Error, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadInput('requestToken: its second part is not the base64url of {"requestId": "…"}.') from None
    if not 1 <= len(found) <= MAX_ID_CHARS or not found.isprintable():
        raise BadInput(f"requestToken: requestId must have 1 to {MAX_ID_CHARS} printable characters.")
    return found


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
