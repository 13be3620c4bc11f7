"""Runs contenders in turn, each in a process of its own, and looks at the drain's counts whether each did its work."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from .contenders import Contender, Settings
from .drain.request import Counts
from .servers import ROOT, Drain, Server
from .task import Run, Task

Say = Callable[[str], None]


class Stage(Struct, frozen=True, kw_only=True):
    """Where contenders run: a drain, and a broker for VVOS."""

    drain: Drain
    broker: Server
    authority: str
    environment: Mapping[str, str]


class Load(Struct, frozen=True, kw_only=True):
    """What is uploaded: ``name`` in ``folder``, or all of the folder."""

    folder: Path
    name: str = ""
    files: int
    size: int
    """Bytes of all files together."""


class Measured(Struct, frozen=True, kw_only=True):
    """One run, with what the servers used meanwhile: seconds, and bytes of memory."""

    seconds: float
    cpu: float
    memory: int
    drain_cpu: float
    broker_cpu: float
    requests: int
    looked: int
    proven: int


class Entry(Struct, kw_only=True):
    """A contender's runs, and the settings that it ran with."""

    label: str
    cli: bool
    settings: Settings
    runs: list[Measured] = []
    error: str = ""

    def seconds(self) -> list[float]:
        return [run.seconds for run in self.runs]


class Failed(Exception):
    """A run did not do what it should have done."""


_numbers = itertools.count(1)


def compete(
    stage: Stage, load: Load, contenders: Sequence[Contender], times: int, sweep: bool, say: Say
) -> list[Entry]:
    """Find each one's best settings, then run all in turn, ``times`` times, in another order each time."""
    entries = []
    for contender in contenders:
        entry = Entry(label=contender.label, cli=contender.cli, settings=contender.choices[0])
        entries.append((contender, entry))
        try:
            entry.settings = _best(stage, load, contender, sweep)
        except Failed as problem:
            entry.error = str(problem)
            say(f"  {contender.label}: {problem}")
    for turn in range(times):
        shift = turn % len(entries)
        for contender, entry in entries[shift:] + entries[:shift]:
            if not entry.error:
                try:
                    entry.runs.append(run(stage, load, contender, entry.settings))
                except Failed as problem:
                    entry.error = str(problem)
                    say(f"  {contender.label}: {problem}")
    for _, entry in entries:
        if entry.runs and not entry.error:
            say(f"  {entry.label}: {median(entry.seconds()):.2f} s {entry.settings or ''}")
    return [entry for _, entry in entries]


def _best(stage: Stage, load: Load, contender: Contender, sweep: bool) -> Settings:
    """The fastest settings. Each is first run once with every byte compared; that run does not count."""
    choices = contender.choices if sweep else contender.choices[:1]
    times = []
    for settings in choices:
        run(stage, load, contender, settings, full=True)
        taken = [run(stage, load, contender, settings).seconds for _ in range(2 if len(choices) > 1 else 0)]
        times.append(min(taken, default=0.0))
    return choices[times.index(min(times))]


def run(
    stage: Stage,
    load: Load,
    contender: Contender,
    settings: Settings,
    *,
    full: bool = False,
    prefix: str = "",
    again: bool = False,
) -> Measured:
    """One run. Raises ``Failed`` when it does not end well, or the drain did not get all that it should.

    ``again``: everything is there already, under this ``prefix``, and nothing may be sent.
    """
    task = contender.task(
        stage.drain.url,
        settings,
        broker=stage.broker.url,
        authority=stage.authority,
        folder=str(load.folder),
        name=load.name,
        prefix=prefix or f"run{next(_numbers)}/",
    )
    stage.drain.counts(full=full)
    before = stage.drain.cpu(), stage.broker.cpu()
    done = _child(task, stage.environment)
    after = stage.drain.cpu(), stage.broker.cpu()
    counts = stage.drain.counts(full=False)
    if done.error:
        raise Failed(done.error)
    complaint = complain(counts, *((0, 0) if again else (load.files, load.size)), ours=contender.name == "vvos")
    if complaint:
        raise Failed(complaint)
    return Measured(
        seconds=done.seconds,
        cpu=done.cpu,
        memory=done.memory,
        drain_cpu=after[0] - before[0],
        broker_cpu=after[1] - before[1],
        requests=counts.requests,
        looked=counts.looked,
        proven=counts.proven,
    )


def complain(counts: Counts, files: int, size: int, *, ours: bool) -> str:
    """Why these counts are not those of ``files`` objects with ``size`` bytes together; empty where they are."""
    if (counts.stored, counts.received) != (files, size):
        return f"the drain got {counts.stored} of {files} objects, {counts.received} of {size} bytes"
    if counts.wrong or counts.short or counts.unknown:
        return f"the drain complains: {msgspec.json.encode(counts).decode()}"
    if ours and counts.looked < files:
        return f"VVOS looked at {counts.looked} of {files} objects; its protocol looks at all"
    return ""


def _child(task: Task, environment: Mapping[str, str]) -> Run:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.child"],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(task).decode() + "\n")
        process.stdin.flush()
        if process.stdout.readline().strip() != "ready":
            raise Failed(f"it did not start: {process.communicate()[1][-500:]}")
        told, errors = process.communicate("go\n", timeout=900)
    except subprocess.TimeoutExpired:
        raise Failed("it took more than 900 s") from None
    finally:
        process.kill()
        process.wait()
    lines = [line for line in told.splitlines() if line.startswith("{")]
    if not lines:
        raise Failed(f"it said nothing, and ended with {process.returncode}: {errors[-500:]}")
    return msgspec.json.decode(lines[-1], type=Run)
