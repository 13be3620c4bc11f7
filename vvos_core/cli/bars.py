"""The live display: a bar for each file under way, as many as the terminal holds, and one for all."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..progress import FileProgress, Progress
from .text import count, duration, printable, size

SPARE_LINES = 3
"""Lines of the terminal that are left to what is above the display."""
WIDE = 72
"""Columns from which there is room for rates."""
MOVING = ("uploading", "completing")


class Bars:
    """Draws on standard error, when it is told to and never by itself: a hundred thousand files cost ten drawings a
    second and no more."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, markup=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)

    def __enter__(self) -> Bars:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def draw(self, progress: Progress, stopping: bool = False) -> None:
        width, height = self._console.size
        self._live.update(picture(progress, width, height, stopping), refresh=True)

    def above(self, lines: list[str]) -> None:
        """Print lines that stay, above the bars."""
        self._console.print(Text("\n".join(lines)), soft_wrap=True)


def picture(progress: Progress, width: int, height: int, stopping: bool = False) -> RenderableType:
    """What is drawn on a terminal of this size: never more lines than it has, never wider."""
    room = max(0, height - SPARE_LINES - 1)
    # Sorted only by whether they move, so that a file keeps its line while others end.
    rows = sorted(progress.files, key=lambda file: file.state not in MOVING)[:room]
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column(width=max(4, width // 4), no_wrap=True)
    table.add_column(justify="right", no_wrap=True, width=4)
    if width >= WIDE:
        table.add_column(justify="right", no_wrap=True, width=12)
    for file in rows:
        table.add_row(*_row(file, width))
    return Group(table, _total(progress, width, stopping)) if rows else _total(progress, width, stopping)


def _row(file: FileProgress, width: int) -> list[RenderableType]:
    cells: list[RenderableType] = [Text(printable(file.client_key)), *_bar(file.bytes_done, file.bytes_total)]
    if width >= WIDE:
        cells.append(Text(f"{size(file.rate)}/s" if file.state == "uploading" else file.state, style="dim"))
    return cells


def _bar(done: int, total: int) -> tuple[RenderableType, RenderableType]:
    part = done / total if total else 1.0
    return ProgressBar(total=1.0, completed=part), Text(f"{part:.0%}")


def _total(progress: Progress, width: int, stopping: bool) -> RenderableType:
    left = progress.seconds_left
    # In the order of what a narrow terminal should keep.
    facts = [
        "stopping" if stopping else "",
        f"{size(progress.bytes_done)} of {size(progress.bytes_total)}",
        f"{duration(left)} left" if left is not None else "",
        f"{size(progress.rate)}/s",
        f"{progress.files_done:,}/{count(progress.files_total, 'file')}",
    ]
    line = Table.grid(padding=(0, 1), expand=True)
    line.add_column(width=max(4, width // 6), no_wrap=True)
    line.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    bar, _ = _bar(progress.bytes_done, progress.bytes_total)
    line.add_row(bar, Text(" · ".join(filter(None, facts)), style="bold"))
    return line
