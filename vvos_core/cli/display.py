"""Tells a person what becomes of the files: results on standard output, failures and progress on standard error."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING

import click

from ..errors import VVOSError
from ..progress import Progress
from ..results import Result
from .outcome import abandon, say
from .text import count, printable, size

if TYPE_CHECKING:
    from .bars import Bars

STOPPING = "stopping: what has arrived of unfinished files is kept; Ctrl-C again stops at once."
AGAIN = "run the same command again, or vvos resume, to go on"


class Display:
    """The two callbacks of a submit, and the results that they heard, in the order in which the files ended.

    Parameters
    ----------
    results: print a line for each file that arrived.
    bars: draw the live display, where standard error is a terminal.
    """

    def __init__(self, *, results: bool = True, bars: bool = True) -> None:
        self.heard: list[Result] = []
        self.stopping = False
        self._last: Progress | None = None
        self._results = results
        self._stack = ExitStack()
        self._bars: Bars | None = None
        self._lines: list[str] = []
        if bars and _is_terminal():
            from .bars import Bars  # rich is needed on a terminal only

            self._bars = Bars()
        self._result_lines_above = self._bars is not None and sys.stdout.isatty()

    def __enter__(self) -> Display:
        if self._bars is not None:
            self._stack.enter_context(self._bars)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flush()
        self._stack.close()

    def on_result(self, error: VVOSError | None, result: Result) -> None:
        """A file has ended."""
        self.heard.append(result)
        if result.state in ("cancelled", "paused"):
            return  # a hundred thousand files that were stopped are no news
        if not result.ok:
            self._line(failure(result), err=True)
        elif self._results:
            self._line(arrival(result), err=False)

    def on_progress(self, error: VVOSError | None, progress: Progress) -> None:
        """Time has passed."""
        self._last = progress
        if progress.state == "stopping":
            self._stop()
        self._flush()
        if self._bars is not None:
            self._bars.draw(progress, self.stopping)

    def interrupted(self) -> str:
        """The sentence for a submit that the user stopped: what had arrived, and how to go on."""
        if self._last is None:
            return "interrupted before anything was sent."
        arrived = sum(result.ok for result in self.heard)
        had = f"{arrived:,} of {count(self._last.files_total, 'file')} had arrived"
        return f"{'interrupted' if self._last.state == 'done' else 'stopped at once'}: {had}; {AGAIN}."

    def _stop(self) -> None:
        if not self.stopping:
            self.stopping = True
            say(STOPPING)

    def _line(self, line: str, err: bool) -> None:
        if self._bars is not None and (err or self._result_lines_above):
            # Each print above the bars draws them again: several lines go in one.
            self._lines.append(line)
        else:
            _echo(line, err)

    def _flush(self) -> None:
        if self._bars is not None and self._lines:
            self._bars.above(self._lines)
            self._lines = []


def arrival(result: Result) -> str:
    """The line of a file that arrived, or was skipped."""
    name, size_ = printable(result.client_key), size(result.size)
    if result.state == "skipped":
        return f"skipped    {name}: {printable(result.key)} is there already, and was left as it is"
    word = "unchanged" if result.reused else "uploaded"
    return f"{word:<9}  {name} → {printable(result.key)} ({size_})  {printable(result.url)}".rstrip()


def failure(result: Result) -> str:
    """The line of a file that failed."""
    why = f"{result.error.code} {result.error.message}" if result.error else result.state
    return f"failed     {printable(result.client_key)}: {printable(why)}"


def summary(results: list[Result], seconds: float) -> str:
    """The last line: how many files, bytes and seconds."""
    arrived = [result for result in results if result.ok]
    moved = sum(result.size for result in arrived if result.state == "done" and not result.reused)
    head = count(len(results), "file")
    if len(arrived) < len(results):
        head = f"{len(arrived):,} of {head} arrived"
    line = f"{head}, {size(moved)} in {seconds:.1f} s"
    return f"{line}, {size(moved / seconds)}/s" if moved and seconds > 0 else line


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _echo(line: str, err: bool) -> None:
    try:
        click.echo(line, err=err)
    except BrokenPipeError:
        abandon(sys.stderr if err else sys.stdout)  # the uploads go on
