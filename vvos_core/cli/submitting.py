"""Runs a submit for a command: shows it, tells its results, and turns its end into an exit status."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import click

from ..errors import Cancelled, VVOSError
from ..results import Result
from .display import Display, summary
from .document import Fault, document, fault, write
from .outcome import FAILED, FAULT, INTERRUPTED, OK, TERMINATED, report, say, status, unexpected
from .text import well_formed


def submitted(run: Callable[[Display], list[Result]], *, as_json: bool, quiet: bool) -> int:
    """Run ``run``, with the callbacks of a display; answers the exit status."""
    began = time.monotonic()
    display = Display(results=not quiet and not as_json, bars=not quiet)
    ended_by: Fault | None = None
    with _terminated() as terminated:
        try:
            with display:
                results = run(display)
            result_status = OK if all(result.ok for result in results) else FAILED
        except BaseException as error:  # noqa: BLE001  # the document is due whatever happens
            results = display.heard
            ended_by, result_status = _ended(error, display)
    if terminated and result_status == INTERRUPTED:
        result_status = TERMINATED
    seconds = time.monotonic() - began
    if as_json:
        write(document(results, seconds, ended_by))
    elif ended_by is None and not quiet:
        click.echo(summary(results, seconds), err=True)
    return result_status


def _ended(error: BaseException, display: Display) -> tuple[Fault, int]:
    """Say what ended the command before its time; answers it for the document, and the exit status."""
    if isinstance(error, KeyboardInterrupt):
        message = display.interrupted()
        say(message)
        return fault(Cancelled(message)), INTERRUPTED
    report(error)
    if isinstance(error, VVOSError):
        return fault(error), status(error)
    return Fault("INTERNAL", well_formed(unexpected(error))), FAULT


@contextmanager
def _terminated() -> Iterator[list[int]]:
    """While open, SIGTERM is taken as Ctrl-C is; answers a list that is not empty once one came."""
    came: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)
