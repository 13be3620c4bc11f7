"""The provider's checksum: CRC-64/XZ in decimal, as OSS says it in ``x-oss-hash-crc64ecma``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from vvos_core import BadInput, Chunk, Hasher, Receipt

from .crc64 import combine

CRC64 = "crc64ecma"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")


class Crc64:
    """CRC-64 of chunks, and of the object that they make."""

    @property
    def name(self) -> str:
        return CRC64

    def new(self) -> Hasher:
        return Crc64Hasher()

    def combine(self, receipts: Sequence[Receipt], /) -> str:
        crc = 0
        for receipt in receipts:
            name, _, value = receipt.checksum.partition(":")
            if name != CRC64:
                return ""
            crc = combine(crc, int(value), receipt.size)
        return text(crc)


class Crc64Hasher:
    """CRC-64 on its way, by fastcrc. It keeps the interpreter's lock: a block of 256 KiB takes it for 60 µs."""

    def __init__(self) -> None:
        from fastcrc import crc64

        self._function = crc64.xz
        self._crc = 0

    def update(self, block: memoryview, /) -> None:
        self._crc = self._function(block, self._crc)

    def value(self) -> str:
        return text(self._crc)


def md5(chunk: Chunk) -> str:
    """The MD5 of a chunk's bytes, hexadecimal; reads it once. It is to be found in a list, and signs nothing."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in chunk:
        digest.update(block)
    return digest.hexdigest()


def text(crc: int | str) -> str:
    """``crc64ecma:value`` of a number."""
    return f"{CRC64}:{crc}"


def check(checksum: str) -> str:
    """``checksum`` itself, if it is a well-formed one of this provider. Raises ``BadInput``."""
    name, _, value = checksum.partition(":")
    if name != CRC64:
        raise BadInput(f"the checksum is {name[:40] or 'nameless'}; this profile's service keeps {CRC64}.")
    if not _DECIMAL.fullmatch(value) or int(value) >= 1 << 64:
        raise BadInput(f"the checksum is no {CRC64}: a decimal number below 2^64.")
    return checksum
