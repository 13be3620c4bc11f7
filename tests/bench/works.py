"""What is measured: each work opens its servers, lets contenders run, and answers figures."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from . import contenders as who
from .content import GIB, MIB, tape_name, zeros_name
from .figures import percentile, spread
from .runs import Entry, Failed, Load, Measured, Say, Stage, compete, run
from .servers import ROOT, Server, bare, broker, drain, trust, write_certificates

SMALL = 4096
"""Bytes of a small file."""
PROVIDERS = ("s3", "aliyun", "qiniu")


class Point(Struct, frozen=True, kw_only=True):
    """One size of work that grows: ``units`` bytes of one file, or files."""

    units: int
    runs: list[Measured]


class Asked(Struct, frozen=True, kw_only=True):
    """One measuring of gettoken: calls a second, and seconds of a call."""

    rate: float
    median: float
    p99: float


class Results(Struct, kw_only=True):
    """All that was measured."""

    uploads: dict[str, list[Entry]] = {}
    bytes_: dict[str, int] = msgspec.field(default={}, name="bytes")
    """Of each upload's work, all files together."""
    sizes: list[Point] = []
    files: list[Point] = []
    asked: dict[str, list[Asked]] = {}
    startup: dict[str, list[float]] = {}
    resume: list[float] = []
    failed: dict[str, str] = {}


class Bench:
    """The works, in a folder of their own. ``quick`` is less of everything."""

    def __init__(self, folder: Path, tape: Path, quick: bool, say: Say) -> None:
        self._folder = folder
        self._tape = tape
        self._quick = quick
        self._say = say
        self._times = 2 if quick else 5
        self.results = Results()

    def works(self) -> dict[str, Callable[[], None]]:
        """All works, by name, in the order in which they run."""
        large, small = self._large, self._small
        return {
            "s3": lambda: large("s3", "s3", who.large_s3(False)),
            "s3-tls": lambda: large("s3-tls", "s3", who.large_s3(True), tls=True),
            "aliyun": lambda: large("aliyun", "aliyun", who.large_aliyun()),
            "qiniu": lambda: large("qiniu", "qiniu", who.large_qiniu()),
            "s3-small": lambda: small("s3-small", "s3", who.small_s3()),
            "aliyun-small": lambda: small("aliyun-small", "aliyun", who.small_aliyun()),
            "qiniu-small": lambda: small("qiniu-small", "qiniu", who.small_qiniu()),
            "gettoken": self._gettoken,
            "startup": self._startup,
            "resume": self._resume,
            "growth": self._growth,
        }

    def _large(self, work: str, provider: str, contenders: list[who.Contender], tls: bool = False) -> None:
        size = 256 * MIB if self._quick else GIB
        with self._files([(tape_name(0, size), 0, size)]) as folder, self._stage(provider, tls) as stage:
            load = Load(folder=folder, name=tape_name(0, size), files=1, size=size)
            self._compete(work, stage, load, contenders)

    def _small(self, work: str, provider: str, contenders: list[who.Contender]) -> None:
        count = 500 if self._quick else 5000
        with self._many(count) as folder, self._stage(provider) as stage:
            self._compete(work, stage, Load(folder=folder, files=count, size=count * SMALL), contenders)

    def _compete(self, work: str, stage: Stage, load: Load, contenders: list[who.Contender]) -> None:
        self.results.bytes_[work] = load.size
        chosen = [one for one in contenders if one.quick or not self._quick]
        self.results.uploads[work] = compete(stage, load, chosen, self._times, not self._quick, self._say)

    def _growth(self) -> None:
        """VVOS alone: one file that grows, of zeros that take no space; files that become more."""
        sizes = [MIB, 256 * MIB] + ([] if self._quick else [16 * MIB, GIB, 4 * GIB, 10 * GIB])
        counts = [10, 1000] + ([] if self._quick else [100, 10_000, 100_000])
        with self._stage("s3") as stage:
            for size in sorted(sizes):
                with self._files([(zeros_name(size), -1, size)]) as folder:
                    load = Load(folder=folder, name=zeros_name(size), files=1, size=size)
                    self.results.sizes.append(self._grown(stage, load, size, "bytes"))
            for count in sorted(counts):
                with self._many(count) as folder:
                    load = Load(folder=folder, files=count, size=count * SMALL)
                    self.results.files.append(self._grown(stage, load, count, "files"))

    def _grown(self, stage: Stage, load: Load, units: int, unit: str) -> Point:
        times = 3 if load.size <= GIB and load.files <= 1000 and not self._quick else 2
        runs = [run(stage, load, who.VVOS, {}) for _ in range(times + 1)][1:]
        seconds, memory = min(r.seconds for r in runs), max(r.memory for r in runs)
        self._say(f"  {units:,} {unit}: {seconds:.2f} s, {memory / MIB:.0f} MiB")
        return Point(units=units, runs=runs)

    def _gettoken(self) -> None:
        for provider in PROVIDERS:
            with self._stage(provider) as stage:
                self._ask(provider, stage.broker)
        with bare() as server:
            self._ask("bare", server)

    def _ask(self, name: str, server: Server) -> None:
        seconds = 1 if self._quick else 5
        found = []
        for turn in range(self._times + 1):
            command = [sys.executable, "-m", "tests.bench.asking", server.url, str(seconds if turn else 1)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
            if done.returncode:
                raise Failed(done.stderr.decode(errors="replace")[-600:])
            times: list[float] = msgspec.json.decode(done.stdout)
            if turn:
                rate = len(times) / seconds
                found.append(Asked(rate=rate, median=percentile(times, 50), p99=percentile(times, 99)))
        self.results.asked[name] = found
        middle = sorted(found, key=lambda asked: asked.rate)[len(found) // 2]
        self._say(f"  {name}: {middle.rate:,.0f}/s, p99 {middle.p99 / middle.median:.1f} × the median")

    def _startup(self) -> None:
        """In pairs: starting Python, and starting VVOS."""
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "vvos --version": [str(Path(sys.executable).parent / "vvos"), "--version"],
        }
        for turn in range(11 if self._quick else 31):
            for name, command in commands.items():
                began = time.perf_counter()
                subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
                if turn:
                    self.results.startup.setdefault(name, []).append(time.perf_counter() - began)

    def _resume(self) -> None:
        """A finished upload once more."""
        size = GIB if self._quick else 10 * GIB
        with self._files([(zeros_name(size), -1, size)]) as folder, self._stage("s3") as stage:
            load = Load(folder=folder, name=zeros_name(size), files=1, size=size)
            run(stage, load, who.VVOS_CLI, {}, prefix="once/")
            for _ in range(self._times):
                again = run(stage, load, who.VVOS_CLI, {}, prefix="once/", again=True)
                self.results.resume.append(again.seconds)
        self._say(f"  {spread(self.results.resume).median:.2f} s")

    @contextmanager
    def _stage(self, provider: str, tls: bool = False) -> Iterator[Stage]:
        with tempfile.TemporaryDirectory(dir=self._folder) as name:
            folder = Path(name)
            # Nothing of this machine's user takes part: no configuration, no cache, no journal.
            places = ("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "VVOS_STATE")
            environment = dict.fromkeys(places, str(folder))
            pair = None
            if tls:
                pair = folder / "authority.pem", folder / "server.pem"
                write_certificates(*pair)
                environment |= trust(pair[0])
            with (
                drain(provider, self._tape, pair) as sink,
                broker(folder, provider, sink.url, environment) as granting,
            ):
                authority = str(pair[0]) if pair else ""
                yield Stage(drain=sink, broker=granting, authority=authority, environment=environment)

    @contextmanager
    def _files(self, files: list[tuple[str, int, int]]) -> Iterator[Path]:
        """A folder of files, each with its name, its offset in the tape (-1: a hole) and its size."""
        with tempfile.TemporaryDirectory(dir=self._folder) as folder, self._tape.open("rb") as tape:
            for name, offset, size in files:
                with open(os.path.join(folder, name), "wb") as file:
                    if offset < 0:
                        file.truncate(size)
                        continue
                    tape.seek(offset)
                    for start in range(0, size, 16 * MIB):
                        file.write(tape.read(min(16 * MIB, size - start)))
            yield Path(folder)

    def _many(self, count: int) -> AbstractContextManager[Path]:
        return self._files([(tape_name(n * SMALL, SMALL), n * SMALL, SMALL) for n in range(count)])
