"""The names of many objects in order, where another is added for little."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator

_MOST = 1000


class Names:
    """A set of names in order of their characters, which is that of their UTF-8; kept in pieces of bounded length."""

    def __init__(self) -> None:
        self._pieces: list[list[str]] = [[]]
        self._firsts = [""]

    def add(self, name: str) -> None:
        """Add a name; harmless when it is there."""
        place = bisect_right(self._firsts, name) - 1
        piece = self._pieces[place]
        at = bisect_right(piece, name)
        if at and piece[at - 1] == name:
            return
        insort(piece, name)
        if len(piece) > _MOST:
            half = len(piece) // 2
            self._pieces[place : place + 1] = [piece[:half], piece[half:]]
            self._firsts.insert(place + 1, piece[half])

    def after(self, name: str) -> Iterator[str]:
        """The names behind ``name``."""
        place = bisect_right(self._firsts, name) - 1
        first = self._pieces[place]
        yield from first[bisect_right(first, name) :]
        for piece in self._pieces[place + 1 :]:
            yield from piece
