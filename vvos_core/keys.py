"""Says which keys may be used at all, on both sides, whatever the provider."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from .errors import BadKey

_UNFIT = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff"
    + "".join(f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(0, 0x110000, 0x10000))
    + "]"
)
"""Unicode's control characters (Cc), halves of surrogate pairs (Cs), and code points that are no characters."""


def check_key(key: str, max_bytes: int = 1024) -> str:
    """``key`` itself, or ``BadKey`` saying what is wrong with it.

    Refused: the empty key, ``.`` and ``..`` and empty segments (HTTP clients collapse them, so the path on the wire
    would not be the key that was signed), control characters and what UTF-8 or XML 1.0 cannot carry, text that is
    not NFC (two spellings of one name would be two objects), more than ``max_bytes`` bytes of UTF-8.
    """
    framed = f"/{key}/"
    if key.isascii() and key.isprintable() and "//" not in framed and "/." not in framed and len(key) <= max_bytes:
        return key  # as most are: none of what is looked for below
    why = _fault(key, max_bytes)
    if why:
        raise BadKey(f"key {_shown(key)} {why}.", key=key)
    return key


def check_keys(keys: Sequence[str], max_bytes: int = 1024) -> None:
    """``check_key`` of each: ``BadKey`` for the first that is refused."""
    if not are_usable(keys, max_bytes):
        for key in keys:
            check_key(key, max_bytes)


def are_usable(keys: Sequence[str], max_bytes: int = 1024) -> bool:
    """Whether all of them pass ``check_key``, told at a tenth of the cost; False also where it is not easily told."""
    if not keys:
        return True
    # None of what is looked for spans a '/', nor does a '/' compose with any character: NFC of all is NFC of each.
    framed = f"/{'/'.join(keys)}/"
    if "//" in framed or "/." in framed or not framed.isprintable():
        return False
    longest = max(map(len, keys))
    if framed.isascii():
        return longest <= max_bytes
    return 4 * longest <= max_bytes and unicodedata.is_normalized("NFC", framed)


def _fault(key: str, max_bytes: int) -> str:
    if not key:
        return "is empty; give it a name"
    # By length first: what follows costs time in proportion to it.
    if len(key) > max_bytes:
        return f"has more than {max_bytes} bytes; shorten it"
    if key.startswith("/"):
        return "begins with '/'; leave it out"
    for segment in key.split("/"):
        if not segment:
            return "has an empty segment ('//', or '/' at its end); leave it out"
        if segment in (".", ".."):
            return f"has the segment '{segment}'; name the file without it"
    unfit = _UNFIT.search(key)
    if unfit:
        code = ord(unfit[0])
        if code < 0xA0:
            return f"has the control character U+{code:04X}; leave it out"
        return f"has U+{code:04X}, which is not text; leave it out"
    if not unicodedata.is_normalized("NFC", key):
        return "is not in Unicode's NFC form; normalise it (unicodedata.normalize('NFC', …))"
    size = len(key.encode())
    if size > max_bytes:
        return f"has {size} bytes in UTF-8, and at most {max_bytes} are allowed; shorten it"
    return ""


def _shown(key: str) -> str:
    return repr(key) if len(key) <= 80 else repr(key[:77]) + "…"
