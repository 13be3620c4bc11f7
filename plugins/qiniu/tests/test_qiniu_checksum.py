"""The object's hash in all three forms: against the SDK, against published vectors, and combined from parts."""

from __future__ import annotations

import io
import os

import pytest
from hypothesis import given, strategies as st
from qiniu.utils import etag_stream  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_qiniu.checksum import BLOCK, Qetag, check, digest_of

from vvos_core import BadInput, Receipt

MIB = 1024 * 1024


def etag(data: bytes) -> str:
    hasher = Qetag().new()
    hasher.update(memoryview(data))
    return hasher.value()


def receipts(data: bytes, part: int) -> list[Receipt]:
    pieces = [data[start : start + part] for start in range(0, len(data), part)]
    return [Receipt(number=n, size=len(p), proof="x", checksum=etag(p)) for n, p in enumerate(pieces, 1)]


def test_the_empty_object_has_the_published_hash() -> None:
    assert Qetag().new().value() == "qetag:Fto5o-5ea0sNMlW_75VgGJCv2AcJ"


def test_two_odd_parts_have_the_published_hash() -> None:
    assert Qetag().combine(receipts(b"helloworld", 5)) == "qetag:ns56DcSIfBFUENXjdhsJTIvl3Rcu"


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1])
def test_a_stream_has_the_hash_that_the_sdk_computes(size: int) -> None:
    data = os.urandom(size)
    assert etag(data) == f"qetag:{etag_stream(io.BytesIO(data))}"


@pytest.mark.parametrize("size", [1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 7])
def test_parts_of_four_mib_have_the_hash_of_the_whole(size: int) -> None:
    data = os.urandom(size)
    assert Qetag().combine(receipts(data, BLOCK)) == etag(data)


@pytest.mark.parametrize("part", [MIB, 5 * MIB, 8 * MIB])
def test_other_parts_have_the_third_form(part: int) -> None:
    value = Qetag().combine(receipts(os.urandom(9 * MIB), part)).removeprefix("qetag:")
    assert value.startswith("n")
    assert len(digest_of(value)) == 20


def test_one_part_of_more_than_a_block_has_the_third_form_too() -> None:
    data = os.urandom(BLOCK + 1)
    for cut in ([data], [data[:BLOCK], data]):
        known = [Receipt(number=n, size=len(p), proof="x", checksum=etag(p)) for n, p in enumerate(cut, 1)]
        assert Qetag().combine(known).startswith("qetag:n")


@given(st.lists(st.integers(1, 3 * BLOCK), min_size=1, max_size=6))
def test_how_the_blocks_come_does_not_matter(cuts: list[int]) -> None:
    whole, pieces = Qetag().new(), Qetag().new()
    data = memoryview(bytes(sum(cuts)))
    whole.update(data)
    for cut in cuts:
        pieces.update(data[:cut])
        data = data[cut:]
    assert pieces.value() == whole.value()


def test_nothing_is_combined_where_a_receipt_lacks_its_hash() -> None:
    known = receipts(os.urandom(10), 5)
    assert Qetag().combine([*known, Receipt(number=3, size=1, proof="x")]) == ""
    assert Qetag().combine([]) == ""
    assert Qetag().combine([*known, Receipt(number=3, size=1, proof="x", checksum="md5:abc")]) == ""


@pytest.mark.parametrize(
    ("size", "part_size", "checksum"),
    [
        (5, 0, etag(b"hello")),
        (BLOCK + 1, 0, etag(bytes(BLOCK + 1))),
        (BLOCK + 1, BLOCK, etag(bytes(BLOCK + 1))),
        (10 * MIB, 5 * MIB, "qetag:ns56DcSIfBFUENXjdhsJTIvl3Rcu"),
    ],
)
def test_a_hash_is_taken_that_the_object_can_have(size: int, part_size: int, checksum: str) -> None:
    assert check(checksum, size, part_size) == checksum


@pytest.mark.parametrize(
    ("size", "part_size", "checksum", "word"),
    [
        (5, 0, "md5:abc", "md5"),
        (5, 0, "abc", "the checksum is abc"),
        (5, 0, "qetag:abc", "21 bytes"),
        (5, 0, "qetag:ns56DcSIfBFUENXjdhsJTIvl3Rcu", "0x16"),
        (5 * MIB, BLOCK, etag(b"hello"), "0x96"),
        (10 * MIB, 5 * MIB, etag(bytes(BLOCK + 1)), "0x9e"),
    ],
)
def test_a_hash_is_refused_that_the_object_cannot_have(size: int, part_size: int, checksum: str, word: str) -> None:
    with pytest.raises(BadInput, match=word):
        check(checksum, size, part_size)
