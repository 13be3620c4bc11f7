"""Kodo's url-safe base64 of text in paths: keys, entries (``bucket:key``), types, variables."""

from __future__ import annotations

import base64
import binascii

from . import errors


def decoded(text: str) -> str:
    """The text; padding may be left out. Raises ``KodoError`` (400)."""
    # The Python SDK's paths arrive as they were sent; other clients quote the padding.
    text = text.replace("%3D", "=").replace("%3d", "=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise errors.invalid("invalid base64") from None


def entry(text: str) -> tuple[str, str]:
    """Bucket and key of an encoded entry. Raises ``KodoError`` (400)."""
    bucket, colon, key = decoded(text).partition(":")
    if not colon or not bucket:
        raise errors.invalid("invalid entry")  # [?] the text
    return bucket, key
