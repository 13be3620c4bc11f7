"""vvos_core.hashing: each reading has its own checksum, and what is small is read once."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, strategies as st

from vvos_core import Hashed, held
from vvos_core.hashing import HELD


class Crc:
    def __init__(self) -> None:
        self.value = 0

    def update(self, block: memoryview, /) -> None:
        self.value = zlib.crc32(block, self.value)


class Rereadable:
    """A chunk that counts its readings; its buffer is used again, as a file's is."""

    number, offset = 2, 7

    def __init__(self, *blocks: bytes, claims: int | None = None) -> None:
        self._blocks = blocks
        self._claims = sum(map(len, blocks)) if claims is None else claims
        self.readings = 0

    def __len__(self) -> int:
        return self._claims

    def __iter__(self) -> Iterator[memoryview]:
        self.readings += 1
        buffer = bytearray(max(map(len, self._blocks), default=0))
        for block in self._blocks:
            buffer[: len(block)] = block
            yield memoryview(buffer)[: len(block)]


@given(st.lists(st.binary(max_size=50), max_size=5), st.integers(1, 3))
def test_every_reading_has_the_checksum_of_the_whole(blocks: list[bytes], times: int) -> None:
    hashed = Hashed(Rereadable(*blocks), Crc)
    assert (hashed.number, hashed.offset, len(hashed)) == (2, 7, sum(map(len, blocks)))
    for _ in range(times):
        assert b"".join(map(bytes, hashed)) == b"".join(blocks)
        assert hashed.hasher.value == zlib.crc32(b"".join(blocks))
    assert hashed.read().value == zlib.crc32(b"".join(blocks))


def test_a_reading_that_broke_off_leaves_nothing_to_the_next() -> None:
    hashed = Hashed(Rereadable(b"one", b"two"), Crc)
    next(iter(hashed))
    assert hashed.read().value == zlib.crc32(b"onetwo")


@given(st.lists(st.binary(max_size=50), max_size=5))
def test_what_is_held_is_read_once(blocks: list[bytes]) -> None:
    chunk = Rereadable(*blocks)
    kept = held(chunk)
    assert (kept.number, kept.offset, len(kept)) == (2, 7, len(chunk))
    for _ in range(2):
        assert b"".join(map(bytes, kept)) == b"".join(blocks)
    assert chunk.readings == 1


def test_what_is_large_is_not_held() -> None:
    chunk = Rereadable(bytes(HELD + 1))
    assert held(chunk) is chunk


@pytest.mark.parametrize("claims", [1, 100])
def test_another_length_than_announced_stays_to_be_seen(claims: int) -> None:
    kept = held(Rereadable(b"abc", b"def", b"ghi", claims=claims))
    assert len(kept) == claims
    assert b"".join(map(bytes, kept)) == (b"abc" if claims == 1 else b"abcdefghi")
