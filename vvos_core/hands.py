"""The threads that put: they take what waits, small and large in halves, so that neither starves the other."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")
Task = Callable[[], T]

TOGETHER = 16
"""Answers that are given at once, while there is more to do: a wake-up for each costs more than a small put."""


class Hands(Generic[T]):
    """Threads, started when there is more to do than there are: for large tasks at most ``large``, for small ones at
    most ``small``.

    While both kinds of tasks wait, half of the threads do the small ones and half the large ones; otherwise all do what
    there is. A single thread does one of each in turn.
    """

    def __init__(self, *, small: int, large: int, answers: deque[T | BaseException], wake: Callable[[], None]) -> None:
        """What tasks answer, or raise, goes into ``answers``. ``wake`` is called when it is time to look there."""
        self._most_small, self._most_large = small, large
        self._answers = answers
        self._wake = wake
        self._small: deque[Task[T]] = deque()
        self._large: deque[Task[T]] = deque()
        self._tickets: SimpleQueue[bool] = SimpleQueue()
        """One for each task that waits: True; False ends a thread."""
        self._threads: list[threading.Thread] = []

    def hand(self, task: Task[T], *, small: bool, waiting: int) -> None:
        """Have ``task`` done. ``waiting``: tasks that have not been answered, this one included."""
        (self._small if small else self._large).append(task)
        self._tickets.put(True)
        if len(self._threads) < min(waiting, self._most_small if small else self._most_large):
            thread = threading.Thread(target=self._work, args=[len(self._threads)], name="vvos-put")
            self._threads.append(thread)
            thread.start()

    def close(self, wait: bool) -> None:
        """Begin no more tasks; with ``wait`` return when those that were begun are done."""
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
            if self._most_small == 1:
                first, second = second, first


def _take(tasks: deque[Task[T]]) -> Task[T] | None:
    try:
        return tasks.popleft()
    except IndexError:
        return None
