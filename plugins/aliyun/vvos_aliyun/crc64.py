"""CRC-64/XZ, the checksum of OSS: combining those of two runs of bytes into that of both, without the bytes.

A CRC is the remainder of a polynomial over GF(2) modulo x^64 + …; appending n bytes multiplies it by x^(8n), which is
a linear map. ``_powers`` keeps x^(2^k), so that any x^(8n) is a product of at most 64 of them, and ``_shift`` keeps
those of the lengths that were asked for last: the parts of a file have one length, or two.
Numbers are bit-reversed, as in the checksum itself: the highest bit is x^0.
"""

from __future__ import annotations

from functools import cache, lru_cache

POLYNOMIAL = 0xC96C5795D7870F42
"""ECMA-182's, bit-reversed."""
_ONE = 1 << 63
_X = 1 << 62


def combine(first: int, second: int, second_length: int) -> int:
    """The CRC of ``a + b`` from those of ``a`` and ``b`` and the length of ``b`` in bytes."""
    # The conditioning (all ones before and after) of the three cancels out.
    return _multiply(_shift(second_length), first) ^ second


@lru_cache(maxsize=1024)
def _shift(length: int) -> int:
    """x^(8·length)."""
    product, bits, power = _ONE, length << 3, 0
    while bits:
        if bits & 1:
            product = _multiply(_powers(power), product)
        bits >>= 1
        power += 1
    return product


@cache
def _powers(exponent: int) -> int:
    """x^(2^exponent)."""
    if exponent == 0:
        return _X
    root = _powers(exponent - 1)
    return _multiply(root, root)


def _multiply(a: int, b: int) -> int:
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = (a << 1) & 0xFFFFFFFFFFFFFFFF
        b = (b >> 1) ^ POLYNOMIAL if b & 1 else b >> 1
    return product
