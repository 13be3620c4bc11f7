"""Draws ``docs/performance.svg``: throughput against the peers, and cost as the work grows."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from .content import GIB
from .runs import Entry
from .works import Point, Results

_OURS, _THEIRS = "#c2410c", "#94a3b8"


def plot(results: Results, path: Path, note: str) -> None:
    """Write the picture, of what was measured; ``note`` says how."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "vvos"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 2, figsize=(12, 9), layout="constrained")
    figure.suptitle(note)
    _bars(axes[0][0], results, ("s3", "s3-tls", "aliyun", "qiniu"), "one large file, MB/s", 1e6)
    _bars(axes[0][1], results, ("s3-small", "aliyun-small", "qiniu-small"), "files of 4 KiB, a second", 4096)
    _line(axes[1][0], results.sizes, GIB, "one file, seconds per GiB", "bytes")
    _line(axes[1][1], results.files, 1000, "files of 4 KiB, seconds per 1,000", "files")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def _bars(axes: Any, results: Results, works: tuple[str, ...], title: str, unit: float) -> None:
    axes.set_title(title)
    names, values, colours = [], [], []
    for work in works:
        entries = [entry for entry in results.uploads.get(work, []) if entry.runs and not entry.error]
        for entry in sorted(entries, key=_seconds):
            names.append(f"{work}: {entry.label}")
            values.append(results.bytes_[work] / unit / _seconds(entry))
            colours.append(_OURS if entry.label in ("VVOS", "vvos put") else _THEIRS)
    axes.barh(names[::-1], values[::-1], color=colours[::-1])
    axes.tick_params(axis="y", labelsize=7)


def _seconds(entry: Entry) -> float:
    return median(entry.seconds())


def _line(axes: Any, points: list[Point], unit: int, title: str, unit_name: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(unit_name)
    if not points:
        return
    axes.set_xscale("log", base=2 if unit_name == "bytes" else 10)
    axes.set_yscale("log")
    units = [point.units for point in points]
    for name, style in (("seconds", "o-"), ("cpu", "s--")):
        values = [median(getattr(run, name) for run in point.runs) * unit / point.units for point in points]
        axes.plot(units, values, style, color=_OURS, label={"seconds": "time", "cpu": "CPU time"}[name])
    axes.legend()
