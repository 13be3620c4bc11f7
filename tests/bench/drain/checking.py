"""Bodies on their way into the drain: unwrapped, counted, compared with what the tape says they are, and let go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..content import Stretch, Tape

EDGE = 4096
"""Bytes at either end of a body that are compared when not all are."""


class Check:
    """Compares a body with the stretches that it may be; which one it is, its first bytes tell.

    ``full`` compares all of it, otherwise what comes first and what comes last.
    """

    def __init__(self, tape: Tape, candidates: Sequence[Stretch], *, full: bool) -> None:
        self._tape = tape
        self._candidates = candidates
        self.full = full
        self._first = b""
        self.size = candidates[0].size
        self.seen = 0
        self.stretch: Stretch | None = None
        self.wrong = False

    def feed(self, piece: bytes | memoryview) -> None:
        """The next bytes of the body."""
        if self.stretch is None and not self.wrong:
            self._first += bytes(piece[:EDGE])
            if len(self._first) < min(EDGE, self.size):
                self.seen += len(piece)
                return
            self._choose()
        told = self.full or self.seen < EDGE or self.seen + len(piece) > self.size - EDGE
        if told and self.stretch is not None and not self._tape.same(self.stretch, self.seen, piece):
            self.wrong = True
        self.seen += len(piece)

    def finish(self) -> bool:
        """Whether the body is what it should be, as far as it was looked at."""
        if self.stretch is None and not self.wrong:
            self._choose()
        return not self.wrong and self.seen == self.size

    def _choose(self) -> None:
        fits = (s for s in self._candidates if self._tape.same(s, 0, self._first))
        self.stretch = next(fits, None)
        self.wrong = self.stretch is None


class AwsChunks:
    """Unwraps ``aws-chunked`` bodies (AWS, "Signature calculations … multiple chunks"): sizes, bytes, a trailer."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        self._skip = 0
        self._over = False

    def pieces(self, data: bytes | memoryview) -> Iterator[memoryview]:
        """The bytes themselves, without what is around them."""
        view = memoryview(data)
        while view and not self._over:
            if self._left:
                piece, view = view[: self._left], view[self._left :]
                self._left -= len(piece)
                self._skip = 2
                yield piece
            elif self._skip:
                taken = min(self._skip, len(view))
                self._skip -= taken
                view = view[taken:]
            else:
                head = self._line + bytes(view[:256])
                end = head.find(b"\r\n")
                if end < 0:
                    self._line = head
                    view = view[256:]
                    continue
                view = view[end + 2 - len(self._line) :]
                self._line = b""
                self._left = int(head[:end].partition(b";")[0], 16)
                self._over = self._left == 0
