"""The signature of a put: the granting half makes it, the gate verifies it."""

from __future__ import annotations

import hmac

import msgspec


def sign(secret: str, expires_at: str, path: str, size: str, media_type: str, cover: bool) -> str:
    """The HMAC of all that decides what a put does. Of JSON, which can be read in one way only."""
    allowed = msgspec.json.encode([expires_at, path, size, media_type, cover])
    return hmac.new(secret.encode(), allowed, "sha256").hexdigest()
