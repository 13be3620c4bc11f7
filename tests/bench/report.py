"""What is printed: every contender of every work, then the targets and whether they were met."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from .content import GIB, MIB
from .figures import Spread, spread
from .judge import Verdict
from .runs import Entry
from .works import SMALL, Results


def report(results: Results, verdicts: list[Verdict], console: Console) -> None:
    """Print all."""
    for work, entries in results.uploads.items():
        console.print(_uploads(work, results.bytes_[work], entries))
    console.print(_verdicts(verdicts))
    for work, problem in results.failed.items():
        console.print(f"not measured: {work}: {problem}", markup=False)


def _uploads(work: str, size: int, entries: list[Entry]) -> Table:
    # Of small files it is their number that counts, not their bytes.
    small = work.endswith("-small")
    what, unit = (f"{size // SMALL:,} files", SMALL) if small else (f"{size / MIB:,.0f} MiB", 1e6)
    each = 1000 * SMALL if small else GIB
    table = Table(title=f"{work}: {what}, median of {max(len(e.runs) for e in entries)} (least to most)")
    for name in (
        "contender",
        "seconds",
        "files/s" if small else "MB/s",
        "CPU s per 1,000" if small else "CPU s/GiB",
        "peak MiB",
        "requests",
        "drain CPU s",
        "broker CPU s",
        "settings",
    ):
        table.add_column(name, justify="left" if name in ("contender", "settings") else "right")
    for entry in sorted(entries, key=lambda e: spread(e.seconds()).median if e.runs and not e.error else 1e9):
        if entry.error or not entry.runs:
            table.add_row(entry.label, "failed", *[""] * 6, " ".join(entry.error.split())[:100])
            continue
        runs = entry.runs
        seconds = spread(entry.seconds())
        table.add_row(
            entry.label,
            f"{seconds.median:.2f} ({seconds.least:.2f} to {seconds.most:.2f})",
            f"{size / unit / seconds.median:,.0f}",
            f"{spread([run.cpu for run in runs]).median * each / size:.2f}",
            f"{spread([run.memory for run in runs]).median / MIB:,.0f}",
            f"{runs[0].requests:,}",
            f"{spread([run.drain_cpu for run in runs]).median:.2f}",
            f"{spread([run.broker_cpu for run in runs]).median:.2f}",
            " ".join(f"{name}={value}" for name, value in entry.settings.items()),
        )
    return table


def _verdicts(verdicts: list[Verdict]) -> Table:
    table = Table(title="targets")
    for name in ("work", "target", "reached (least to most)", "against", ""):
        table.add_column(name)
    for verdict in verdicts:
        met = {True: "met", False: "short", None: "not measured"}[verdict.met]
        table.add_row(verdict.work, verdict.target, _shown(verdict.figure), verdict.against, met)
    return table


def _shown(figure: Spread | None) -> str:
    if figure is None:
        return ""
    digits = ".0f" if figure.median >= 100 else ".2f"
    return f"{figure.median:,{digits}} ({figure.least:,{digits}} to {figure.most:,{digits}})"
