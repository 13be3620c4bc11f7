"""Lets SIGINT and SIGTERM alike end a command that runs until it is told to, so that what it started is stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def terminable() -> Iterator[None]:
    """While open, SIGINT and SIGTERM raise ``KeyboardInterrupt``. Off the main thread nothing is changed.

    SIGINT too, because shells start what they put into the background with SIGINT ignored, and a script that ran
    ``vvos emulate … &`` could not stop it so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def until_interrupted() -> None:
    """Return on SIGINT, and, inside ``terminable``, on SIGTERM."""
    never = threading.Event()
    try:
        while not never.wait(3600):
            pass
    except KeyboardInterrupt:
        return
