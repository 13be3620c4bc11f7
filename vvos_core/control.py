"""What a user wishes of a run that is under way: to pause, resume, cancel or stop, from any thread."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from enum import Enum
from typing import Any

from msgspec import Struct


class Kind(Enum):
    """What is wished."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    STOP = "stop"
    """Stop all; what a later run can go on with stays at the provider."""
    INTERRUPT = "interrupt"
    """Stop all, as Ctrl-C does it: the run ends with ``KeyboardInterrupt``."""
    CALL = "call"
    """Call something in the engine's thread."""


def _nothing() -> None:
    """Nothing to call."""


class Wish(Struct, frozen=True):
    """``keys``: the client keys of the files that it is for; none for all of them."""

    kind: Kind
    keys: tuple[str, ...] = ()
    call: Callable[[], None] = _nothing


class Control:
    """Takes wishes to a run. What is wished for a file that has not begun yet holds when it does."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._all: Kind | None = None
        self._of: dict[str, Kind] = {}

    def wish(self, kind: Kind, keys: tuple[str, ...] = ()) -> None:
        """Pause, resume, cancel or stop the files of these client keys; all where none is named."""
        with self._lock:
            if not keys:
                self._all = kind
                self._of.clear()
            self._of.update(dict.fromkeys(keys, kind))
        self.inbox.put(Wish(kind, keys))

    def call(self, call: Callable[[], None]) -> None:
        """Have ``call`` made in the engine's thread."""
        self.inbox.put(Wish(Kind.CALL, (), call))

    def wish_for(self, key: str) -> Kind | None:
        """What was last wished for the file of this client key."""
        with self._lock:
            return self._of.get(key, self._all)
