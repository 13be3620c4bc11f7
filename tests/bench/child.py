"""``python -m tests.bench.child``: one run. Reads a task from standard input, prepares, says so, waits, measures."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from .task import Run, Task


def measure(task: Task) -> None:
    """Answer ``ready`` once all is imported and connected, and a ``Run`` once it is done."""
    if task.command:
        _say("ready")
        sys.stdin.readline()
        _say(msgspec.json.encode(_command(task)).decode())
        return
    from .peers import prepare

    work = prepare(task)
    _say("ready")
    sys.stdin.readline()
    before, began = _cpu(), time.perf_counter()
    error = ""
    try:
        work()
    except Exception as problem:  # noqa: BLE001  # whatever a foreign library raises is the run's result
        error = f"{type(problem).__name__}: {problem}"[:500]
    seconds, cpu = time.perf_counter() - began, _cpu() - before
    _say(msgspec.json.encode(Run(seconds=seconds, cpu=cpu, memory=_most_resident(), error=error)).decode())


def _command(task: Task) -> Run:
    """Run a command line from start to end. This process is small: its size would count as the command's."""
    began = time.perf_counter()
    done = subprocess.Popen(
        task.command,
        env={**os.environ, **task.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert done.stderr is not None
    told = done.stderr.read()
    _, status, usage = os.wait4(done.pid, 0)
    seconds = time.perf_counter() - began
    done.returncode = os.waitstatus_to_exitcode(status)
    error = "" if done.returncode == 0 else f"exit status {done.returncode}: {told.decode(errors='replace')[-500:]}"
    cpu = usage.ru_utime + usage.ru_stime
    return Run(seconds=seconds, cpu=cpu, memory=usage.ru_maxrss * 1024, error=error)


def _cpu() -> float:
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def _most_resident() -> int:
    # Not ru_maxrss, which begins with what the parent had when it forked.
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    measure(msgspec.json.decode(sys.stdin.readline(), type=Task))
