"""HMACs of one key, in less than half the time: what of the work depends on the key alone is done once.

HMAC (RFC 2104) is two hashes, each of which begins with a block made of the key; those two are begun here, and copied
for each message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class Mac:
    """Authenticates messages with ``key``; ``begun`` is what all of them begin with. Threads share it."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, algorithm: Literal["sha1", "sha256"], begun: bytes = b"") -> None:
        size = hashlib.new(algorithm).block_size
        if len(key) > size:
            key = hashlib.new(algorithm, key).digest()
        block = key.ljust(size, b"\0")
        self._inner = hashlib.new(algorithm, block.translate(_INNER) + begun)
        self._outer = hashlib.new(algorithm, block.translate(_OUTER))

    def digest(self, message: bytes) -> bytes:
        """The code of ``begun`` and ``message``."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()

    def hexdigests(self, messages: Iterable[bytes]) -> list[str]:
        """The codes of many messages, in hexadecimal."""
        codes = []
        new_inner, new_outer = self._inner.copy, self._outer.copy
        for message in messages:
            inner, outer = new_inner(), new_outer()
            inner.update(message)
            outer.update(inner.digest())
            codes.append(outer.hexdigest())
        return codes
