"""CRC-32 as a provider's checksum: by zlib block by block, and combined from the chunks' without their bytes.

The polynomial is that of ISO 3309 and zlib. A CRC is a remainder of polynomials over GF(2), so that of ``a + b`` is
crc(a) · x^(8·len(b)) + crc(b): the power is reached by squaring, in as many steps as the length has bits.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from ..model import Hasher, Receipt

NAME = "crc32"
_POLYNOMIAL = 0xEDB88320
"""Its coefficients from x^0 at the highest bit to x^31 at the lowest, as in zlib's remainders; x^32 is left out."""
_ONE = 1 << 31
_X8 = _ONE >> 8


def text(crc: int) -> str:
    """``algorithm:value`` of a CRC: eight hexadecimal digits."""
    return f"{NAME}:{crc:08x}"


def combine(first: int, second: int, length: int) -> int:
    """The CRC of two byte strings in a row from theirs; ``length`` in bytes is that of the second."""
    power, square = _ONE, _X8
    while length:
        if length & 1:
            power = _times(power, square)
        square = _times(square, square)
        length >>= 1
    return _times(power, first) ^ second


def _times(a: int, b: int) -> int:
    """The product of two polynomials, modulo the CRC's."""
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = a << 1 & 0xFFFFFFFF
        b = b >> 1 ^ (_POLYNOMIAL if b & 1 else 0)
    return product


class Crc32:
    """The checksum of a provider whose service knows CRC-32."""

    @property
    def name(self) -> str:
        return NAME

    def new(self) -> Hasher:
        return Crc32Hasher()

    def combine(self, receipts: Sequence[Receipt], /) -> str:
        crc = 0
        for receipt in receipts:
            algorithm, _, value = receipt.checksum.partition(":")
            if algorithm != NAME:
                return ""
            crc = combine(crc, int(value, 16), receipt.size)
        return text(crc)


class Crc32Hasher:
    """A CRC-32 on its way."""

    def __init__(self) -> None:
        self._crc = 0

    def update(self, block: memoryview, /) -> None:
        self._crc = zlib.crc32(block, self._crc)

    def value(self) -> str:
        return text(self._crc)
