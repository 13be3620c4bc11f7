"""CRC-32 combined from parts is that of the whole."""

from __future__ import annotations

import zlib

from hypothesis import given, strategies as st

from vvos_core.builtin.crc32 import Crc32, combine, text
from vvos_core.model import Receipt


@given(st.binary(), st.binary())
def test_two_in_a_row(first: bytes, second: bytes) -> None:
    assert combine(zlib.crc32(first), zlib.crc32(second), len(second)) == zlib.crc32(first + second)


@given(st.lists(st.binary(max_size=50), min_size=1))
def test_any_cutting_has_the_checksum_of_the_whole(parts: list[bytes]) -> None:
    receipts = [
        Receipt(number=number, size=len(part), proof="", checksum=text(zlib.crc32(part)))
        for number, part in enumerate(parts, 1)
    ]
    hasher = Crc32().new()
    hasher.update(memoryview(b"".join(parts)))
    assert Crc32().combine(receipts) == hasher.value() == text(zlib.crc32(b"".join(parts)))


def test_a_length_of_many_digits() -> None:
    zeros = bytes(10_000_019)
    assert combine(zlib.crc32("中".encode()), zlib.crc32(zeros), len(zeros)) == zlib.crc32("中".encode() + zeros)


def test_one_without_a_checksum_leaves_nothing_to_combine() -> None:
    known = Receipt(number=1, size=1, proof="", checksum=text(0))
    assert Crc32().combine([known, Receipt(number=2, size=1, proof="")]) == ""
    assert Crc32().combine([known, Receipt(number=2, size=1, proof="", checksum="md5:00")]) == ""


def test_the_check_value_of_the_catalogue() -> None:
    # CRC-32/ISO-HDLC of "123456789", as in the catalogue of parametrised CRC algorithms.
    assert text(zlib.crc32(b"123456789")) == "crc32:cbf43926"
