"""Chunks of made-up content, whole and faulty, as a provider is given them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import lru_cache

from ..errors import VVOSError

BLOCK = 64 * 1024


@lru_cache(maxsize=32)
def content(size: int, seed: int = 0) -> bytes:
    """So many bytes, no two stretches of them alike, and the same each time."""
    return random.Random(f"{seed}/{size}").randbytes(size)


class Piece:
    """A chunk of bytes in memory. It is read through one buffer, used again for each block, as a file's is."""

    def __init__(self, data: bytes, number: int = 1, offset: int = 0) -> None:
        self.number = number
        self.offset = offset
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[memoryview]:
        return _blocks(self._data)


class Misread(Piece):
    """A chunk that gives other bytes than it has length: a file that was cut short, or grew."""

    def __init__(self, data: bytes, gives: bytes, number: int = 1, offset: int = 0) -> None:
        super().__init__(data, number, offset)
        self._gives = gives

    def __iter__(self) -> Iterator[memoryview]:
        return _blocks(self._gives)


class Broken(Piece):
    """A chunk that fails half-way, with ``error``."""

    def __init__(self, data: bytes, error: VVOSError, number: int = 1, offset: int = 0) -> None:
        super().__init__(data, number, offset)
        self._error = error

    def __iter__(self) -> Iterator[memoryview]:
        yield from _blocks(self._data[: len(self._data) // 2])
        raise self._error


def _blocks(data: bytes) -> Iterator[memoryview]:
    # Two blocks at least: who keeps one instead of its bytes is found out by a small chunk, too.
    step = max(1, min(BLOCK, len(data) // 2))
    buffer = memoryview(bytearray(step))
    for start in range(0, len(data), step):
        block = data[start : start + step]
        buffer[: len(block)] = block
        yield buffer[: len(block)]
