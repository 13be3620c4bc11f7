"""The log as people read it. A module of its own: what prints its version or its help only does without ``logging``."""

from __future__ import annotations

import logging
import traceback

from .outcome import debugging, say


def listen() -> None:
    """Tell our own warnings as sentences; the libraries' are for those who debug them."""
    handler = _Sentences(logging.WARNING)
    handler.addFilter(lambda record: record.name.partition(".")[0].startswith("vvos"))
    logging.getLogger().handlers = [handler]


class _Sentences(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())
        if record.exc_info and debugging():
            traceback.print_exception(*record.exc_info)
