"""What a submit tells: a result for every file, its progress, and the user's callbacks."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec import Struct

from .entries import Entries
from .errors import VVOSError
from .job import Job
from .progress import Progress, Tracker

log = logging.getLogger(__name__)


class Result(Struct, frozen=True, kw_only=True):
    """What became of one file."""

    client_key: str
    key: str
    """The server key; empty when the file never got one."""
    url: str
    size: int
    """Bytes."""
    state: str
    """``done``, ``skipped`` (the key is taken, which the profile says is no failure), ``failed``, ``cancelled``, or
    ``paused``: stopped, and the next upload of the same file goes on there."""
    checksum: str
    """``algorithm:value`` of the bytes as read; empty when they were not."""
    reused: bool
    """The object was there already, byte for byte, and nothing was sent."""
    error: VVOSError | None

    @property
    def ok(self) -> bool:
        return self.state in ("done", "skipped")


OnResult = Callable[["VVOSError | None", Result], None]
OnProgress = Callable[["VVOSError | None", Progress], None]


class Reporter:
    """Hears what the engine tells, and calls the user's callbacks."""

    def __init__(self, entries: Entries, on_result: OnResult | None, on_progress: OnProgress | None) -> None:
        self._entries = entries
        self._on_result = on_result
        self._on_progress = on_progress
        self._results: list[Result | None] = [None] * len(entries)
        self._last_error: VVOSError | None = None
        self._tracker = Tracker(
            files_total=len(entries), bytes_total=sum(entry.source.size for entry in entries if entry.source)
        )

    def refused(self) -> None:
        """Report what was refused before anything was sent."""
        for number, entry in enumerate(self._entries):
            if entry.error is not None:
                self._tracker.count_ended(entry.source.size if entry.source else 0)
                self._report(
                    number,
                    Result(
                        client_key=entry.key,
                        key="",
                        url="",
                        size=0,
                        state="failed",
                        checksum="",
                        reused=False,
                        error=entry.error,
                    ),
                )

    def changed(self, job: Job) -> None:
        self._tracker.changed(job)

    def ended(self, job: Job) -> None:
        self._tracker.ended(job)
        upload = job.upload
        result = Result(
            client_key=job.client_key,
            key=upload.grant.key if upload.grant else "",
            url=upload.url,
            size=upload.size,
            state=upload.state.value,
            checksum=upload.checksum,
            reused=upload.reused,
            error=upload.error,
        )
        self._report(upload.number, result)

    def stopping(self) -> None:
        self._tracker.stopping = True
        self.tick(at_once=True)  # at once: all may have ended before the next one is due

    def tick(self, at_once: bool = False) -> None:
        if self._on_progress and (at_once or self._tracker.due()):
            error, self._last_error = self._last_error, None
            _call_back(self._on_progress, error, self._tracker.progress())

    def results(self) -> list[Result]:
        return [result for result in self._results if result is not None]

    def _report(self, number: int, result: Result) -> None:
        self._results[number] = result
        if result.error is not None:
            self._last_error = result.error
        if self._on_result:
            _call_back(self._on_result, result.error, result)


def _call_back(callback: Callable[..., None], error: VVOSError | None, value: object) -> None:
    try:
        callback(error, value)
    except Exception:  # a fault of the user's callback must not stop the uploads
        log.exception("the callback %r failed", callback)
