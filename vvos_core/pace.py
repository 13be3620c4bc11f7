"""Holds what several threads send to one rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from msgspec import Struct

from .errors import Cancelled

CREDIT = 0.05
"""Seconds by which who was late may be early again: threads wake late, and what they lost would be lost."""
_PIECE = 0.02
"""Seconds that one piece takes at the whole rate, so that no connection rests long between two."""
_LEAST, _MOST = 1024, 256 * 1024
"""Bytes of a piece."""
_SHORT = 0.001
"""Seconds: a wait that is shorter is not waited for; the next one is longer for it."""


class Limit:
    """So many bytes a second, for all that share it. ``clock``: seconds, monotonic."""

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.piece = int(min(_MOST, max(_LEAST, rate * _PIECE)))
        self._rate = rate
        self._clock = clock
        self._lock = threading.Lock()
        self._next: float | None = None
        """When what is asked for next may leave."""

    def reserve(self, count: int) -> float:
        """Have leave to send ``count`` bytes, after so many seconds."""
        with self._lock:
            now = self._clock()
            begin = now if self._next is None else max(self._next, now - CREDIT)
            self._next = begin + count / self._rate
            return max(0.0, begin - now)


class _Pace(Struct, frozen=True):
    limit: Limit
    halt: threading.Event


_pace: ContextVar[_Pace | None] = ContextVar("vvos_pace", default=None)


@contextmanager
def limited(limit: Limit, halt: threading.Event) -> Iterator[None]:
    """While open, what this thread sends keeps to ``limit``. ``halt`` ends a wait with ``Cancelled``."""
    token = _pace.set(_Pace(limit, halt))
    try:
        yield
    finally:
        _pace.reset(token)


def paced(blocks: Iterable[memoryview]) -> Iterable[memoryview]:
    """``blocks``, each given out when it may leave; cut into pieces where this thread keeps to a limit."""
    pace = _pace.get()
    return blocks if pace is None else _pieces(blocks, pace)


def _pieces(blocks: Iterable[memoryview], pace: _Pace) -> Iterator[memoryview]:
    for block in blocks:
        for start in range(0, len(block), pace.limit.piece):
            piece = block[start : start + pace.limit.piece]
            wait = pace.limit.reserve(len(piece))
            if wait > _SHORT and pace.halt.wait(wait):
                raise Cancelled("the upload was stopped.")
            yield piece
