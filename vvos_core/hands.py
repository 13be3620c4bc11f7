"""The threads that put: they take what waits, small and large in halves, so that neither starves the other."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
Task = Callable[[], T]

TOGETHER = 16
"""Answers that are given at once, while there is more to do: a wake-up for each costs more than a small put."""

FEW = 1
"""Threads for small tasks to begin with. They compute more than they wait where answers come from near, and then a
second one would only take Python's lock from the first: each such turn costs more than a system call."""
_WINDOW = 0.05
"""Seconds of small tasks, after which is seen whether more threads would help."""
_BUSY = 0.4
"""They do where this process computes for less than this part of the time."""


class Hands(Generic[T]):
    """Threads, started when there is more to do than there are: for large tasks at most ``large``, for small ones few,
    and twice as many while these wait more than they compute, at most ``small``.

    While both kinds of tasks wait, half of the threads do the small ones and half the large ones; otherwise all do what
    there is. A single thread does one of each in turn.
    """

    def __init__(
        self,
        *,
        small: int,
        large: int,
        answers: deque[T | BaseException],
        wake: Callable[[], None],
        few: int = FEW,
        clock: Callable[[], float] = time.monotonic,
        computed: Callable[[], float] = time.process_time,
    ) -> None:
        """What tasks answer, or raise, goes into ``answers``. ``wake`` is called when it is time to look there.

        ``few``: threads for small tasks to begin with. ``clock``: seconds; ``computed``: seconds of the processor that
        this process has had.
        """
        self._most_small, self._most_large = small, large
        self._answers = answers
        self._wake = wake
        self._small: deque[Task[T]] = deque()
        self._large: deque[Task[T]] = deque()
        self._tickets: SimpleQueue[bool] = SimpleQueue()
        """One for each task that waits: True; False ends a thread."""
        self._threads: list[threading.Thread] = []
        self._clock, self._computed = clock, computed
        self._lock = threading.Lock()
        """Of what follows, and of starting threads."""
        self._closed = False
        self._few = min(few, small)
        self._since = 0.0, 0.0
        """When the window began, and what had been computed until then."""

    def hand(self, task: Task[T], *, small: bool, waiting: int) -> None:
        """Have ``task`` done. ``waiting``: tasks that have not been answered, this one included."""
        if small and not self._small:
            self._since = self._clock(), self._computed()
        (self._small if small else self._large).append(task)
        self._tickets.put(True)
        self._start(min(waiting, self._few if small else self._most_large))

    def _start(self, number: int) -> None:
        """Have at least so many threads."""
        if len(self._threads) >= number:
            return
        with self._lock:
            while len(self._threads) < number and not self._closed:
                thread = threading.Thread(target=self._work, args=[len(self._threads)], name="vvos-put")
                self._threads.append(thread)
                thread.start()

    def close(self, wait: bool) -> None:
        """Begin no more tasks; with ``wait`` return when those that were begun are done."""
        with self._lock:
            self._closed = True
        self._small.clear()
        self._large.clear()
        for _ in self._threads:
            self._tickets.put(False)
        for thread in self._threads if wait else ():
            thread.join()

    def _work(self, number: int) -> None:
        first, second = (self._small, self._large)[:: -1 if number % 2 else 1]
        while self._tickets.get():
            task = _take(first) or _take(second)
            if task is None:  # closed meanwhile
                continue
            try:
                self._answers.append(task())
            except BaseException as error:  # noqa: BLE001  # a fault of our own is raised in the engine's thread
                self._answers.append(error)
            if len(self._answers) >= TOGETHER or self._tickets.empty():
                self._wake()
            self.look()
            if self._most_small == 1:
                first, second = second, first

    def look(self) -> None:
        """Start more threads where small tasks wait, and those that are there do not compute."""
        now = self._clock()
        if not self._small or self._few == self._most_small or now - self._since[0] < _WINDOW:
            return
        with self._lock:
            began, before = self._since
            if now - began < _WINDOW:
                return
            computed = self._computed()
            self._since = now, computed
            if computed - before < _BUSY * (now - began):
                self._few = min(self._most_small, 2 * self._few)
        self._start(min(self._few, len(self._threads) + len(self._small)))


def _take(tasks: deque[Task[T]]) -> Task[T] | None:
    try:
        return tasks.popleft()
    except IndexError:
        return None
