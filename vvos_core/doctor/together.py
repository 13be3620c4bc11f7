"""Does several things at once, and waits for none of them for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


def together(jobs: Sequence[Callable[[], T]], seconds: float) -> list[T | None]:
    """What each job answers, in order; None for one that has not answered after ``seconds``, and is left to itself.

    What a job raises comes out.
    """
    running = [_Running(job) for job in jobs]
    end = time.monotonic() + seconds
    return [one.wait(end - time.monotonic()) for one in running]


class _Running(Generic[T]):
    def __init__(self, job: Callable[[], T]) -> None:
        self._job = job
        self._answer: T | None = None
        self._error: Exception | None = None
        # A daemon: looking up a name cannot be interrupted, and must not keep the process.
        self._thread = threading.Thread(target=self._run, name="vvos-doctor", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> T | None:
        self._thread.join(max(0.0, seconds))
        if self._error is not None:
            raise self._error
        return self._answer

    def _run(self) -> None:
        try:
            self._answer = self._job()
        except Exception as error:  # noqa: BLE001  # it comes out where it is waited for
            self._error = error
