"""Chunks that are checksummed as they are sent; and small ones that are held, where a checksum has to go before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, Protocol, TypeVar

from .model import Chunk

HELD = 256 * 1024
"""The longest chunk that is held in memory, in bytes."""


class Fed(Protocol):
    """What is fed block by block."""

    def update(self, block: memoryview, /) -> None: ...


Hasher = TypeVar("Hasher", bound=Fed)


class Hashed(Generic[Hasher]):
    """A chunk that is checksummed whenever it is read, as it is sent.

    ``hasher`` is that of the last reading: ``new`` makes one for each, so that a chunk may be sent again.
    """

    def __init__(self, chunk: Chunk, new: Callable[[], Hasher]) -> None:
        self.number = chunk.number
        self.offset = chunk.offset
        self.hasher = new()
        self._chunk = chunk
        self._new = new

    def __len__(self) -> int:
        return len(self._chunk)

    def __iter__(self) -> Iterator[memoryview]:
        self.hasher = self._new()
        update = self.hasher.update
        for block in self._chunk:
            update(block)
            yield block

    def read(self) -> Hasher:
        """Read it, and answer the checksum of its bytes."""
        for _ in self:
            pass
        return self.hasher


def held(chunk: Chunk) -> Chunk:
    """A chunk of at most ``HELD`` bytes, read now and kept, so that it can be read twice at the cost of once; a longer
    one as it is. Raises what reading raises."""
    return _Held(chunk) if len(chunk) <= HELD else chunk


class _Held:
    def __init__(self, chunk: Chunk) -> None:
        self.number = chunk.number
        self.offset = chunk.offset
        self._length = len(chunk)
        self._blocks = []
        given = 0
        for block in chunk:
            self._blocks.append(bytes(block))
            given += len(block)
            if given > self._length:  # more than was announced: whoever sends it will say so
                break

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[memoryview]:
        return map(memoryview, self._blocks)
