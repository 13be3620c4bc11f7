"""CRC-64/XZ: its check value, and the CRC of a whole from those of its parts, for any cut."""

from __future__ import annotations

from typing import Any

import pytest
from fastcrc import crc64
from hypothesis import given, strategies as st
from vvos_aliyun import Aliyun
from vvos_aliyun.checksum import check
from vvos_aliyun.crc64 import combine

from vvos_core import BadInput, Receipt

CHECK_VALUE = 0x995DC9BBDF1939FA


def of(data: bytes) -> str:
    hasher = Aliyun.checksum.new()
    hasher.update(memoryview(data))
    return hasher.value()


def test_the_published_check_value() -> None:
    assert of(b"123456789") == f"crc64ecma:{CHECK_VALUE}"
    assert of(b"") == "crc64ecma:0"


def test_the_check_value_from_two_halves() -> None:
    assert combine(crc64.xz(b"1234"), crc64.xz(b"56789"), 5) == CHECK_VALUE


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_cut_gives_the_checksum_of_the_whole(pieces: list[bytes]) -> None:
    receipts = [
        Receipt(number=number, size=len(piece), proof="x", checksum=of(piece)) for number, piece in enumerate(pieces, 1)
    ]
    assert Aliyun.checksum.combine(receipts) == of(b"".join(pieces))


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**50), st.integers(0, 2**50))
def test_appending_is_associative_for_lengths_that_nobody_can_hash(a: int, b: int, n: int, m: int) -> None:
    c = a ^ b
    assert combine(combine(a, b, n), c, m) == combine(a, combine(b, c, m), n + m)


def test_it_agrees_with_the_sdk_and_is_faster_than_its_bits() -> None:
    import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types

    ours = combine(crc64.xz(b"a" * 1000), crc64.xz(b"b" * 70_000), 70_000)
    theirs = oss2.utils.Crc64(0)
    theirs.update(b"a" * 1000 + b"b" * 70_000)
    assert ours == theirs.crc


def test_a_part_without_a_checksum_leaves_the_object_without() -> None:
    receipts = [Receipt(number=1, size=1, proof="x", checksum=of(b"a")), Receipt(number=2, size=1, proof="x")]
    assert Aliyun.checksum.combine(receipts) == ""


@pytest.mark.parametrize("value", ["crc64ecma:-1", "crc64ecma:01", "crc64ecma:18446744073709551616", "crc64ecma:", ""])
def test_a_malformed_checksum_is_refused(value: str) -> None:
    with pytest.raises(BadInput):
        check(value)


def test_another_algorithm_is_refused_by_its_name(bench: Any) -> None:
    from vvos_core import Ask

    ask = Ask(client_key="a", key="a", size=1, checksum="crc64nvme:AAAAAAAAAAA=")
    assert "crc64nvme" in bench.refusal(BadInput, ask).message
