"""Turns the first Ctrl-C into a wish, so that it tears no state in the middle of a change; the second is raised."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts(wish: Callable[[], None]) -> Iterator[None]:
    """While open, the first SIGINT calls ``wish`` and the next raises ``KeyboardInterrupt``.

    ``wish`` runs in a signal handler: it may do what is reentrant only, such as ``SimpleQueue.put``. Off the main
    thread, and where the application has a handler of its own, nothing is changed.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def handler(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        wish()

    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
