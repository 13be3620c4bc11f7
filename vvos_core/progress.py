"""How far a submit has come: bytes, files, rate and state, of each file and of all."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from .job import Job

REPORT_EVERY = 0.1
"""Seconds between two reports, so that a callback that draws does not slow ten thousand small files."""
_HALF_LIFE = 3.0
"""Seconds after which a measured rate counts half."""


class FileProgress(Struct, frozen=True, kw_only=True):
    """One file that is under way. Bytes count when they have been handed to the network."""

    client_key: str
    bytes_done: int
    bytes_total: int
    rate: float
    """Bytes per second, smoothed over the last seconds."""
    state: str
    """A value of ``State``: pending, token, exists, uploading …"""


class Progress(Struct, frozen=True, kw_only=True):
    """All files of a submit."""

    bytes_done: int
    bytes_total: int
    rate: float
    """Bytes per second, smoothed over the last seconds."""
    files_done: int
    """Files that have ended, whether well or not."""
    files_total: int
    state: str
    """``uploading``; ``stopping`` after an interrupt; ``done`` when every file has ended."""
    files: tuple[FileProgress, ...]
    """The files under way now; the rest waits or has ended."""

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; ``None`` while nothing moves."""
        return (self.bytes_total - self.bytes_done) / self.rate if self.rate > 0 else None


class _Meter:
    """A rate, exponentially smoothed."""

    __slots__ = ("_at", "_count", "rate")

    def __init__(self, now: float) -> None:
        self._at = now
        self._count = 0
        self.rate = 0.0

    def measure(self, count: int, now: float) -> float:
        passed = now - self._at
        if passed > 0:
            fresh = max(0, count - self._count) / passed
            keep = 0.5 ** (passed / _HALF_LIFE) if self._count else 0.0
            self.rate = keep * self.rate + (1 - keep) * fresh
            self._at, self._count = now, count
        return self.rate


class Tracker:
    """Counts jobs from their first change to their end, and makes a `Progress` when one is due."""

    def __init__(self, files_total: int, bytes_total: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._files_total = files_total
        self._bytes_total = bytes_total
        self._files_done = 0
        self._bytes_done = 0
        self._under_way: dict[Job, _Meter] = {}
        self._meter = _Meter(clock())
        self._reported = float("-inf")
        self.stopping = False
        """What is on its way is being broken off."""

    def changed(self, job: Job) -> None:
        if job not in self._under_way:
            self._under_way[job] = _Meter(self._clock())

    def ended(self, job: Job) -> None:
        self._under_way.pop(job, None)
        self.count_ended(job.source.size)

    def count_ended(self, size: int) -> None:
        """Count a file of ``size`` bytes as ended, however it ended: nothing of it is still to come."""
        self._files_done += 1
        self._bytes_done += size

    def due(self) -> bool:
        return self._clock() - self._reported >= REPORT_EVERY

    def progress(self) -> Progress:
        now = self._clock()
        self._reported = now
        files = tuple(
            FileProgress(
                client_key=job.client_key,
                bytes_done=done,
                bytes_total=job.source.size,
                rate=meter.measure(done, now),
                state=job.upload.state.value,
            )
            for job, meter in self._under_way.items()
            for done in (job.bytes_done,)
        )
        done = self._bytes_done + sum(file.bytes_done for file in files)
        return Progress(
            bytes_done=done,
            bytes_total=self._bytes_total,
            rate=self._meter.measure(done, now),
            files_done=self._files_done,
            files_total=self._files_total,
            state=self._state(),
            files=files,
        )

    def _state(self) -> str:
        if self._files_done == self._files_total:
            return "done"
        return "stopping" if self.stopping else "uploading"
