"""Does what the machine says: hands commands to workers, feeds back what happened, and tells an observer."""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

from .calls import Calls
from .errors import VVOSError
from .interrupt import interrupts
from .job import Job, Order
from .protocol import commands as do, events as ev
from .protocol.machine import advance
from .protocol.states import FINAL
from .retry import RetryPolicy
from .work import Work

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between two reports of the time passing while nothing else happens."""
BATCH = 200
"""The most files in one call of token, exists or notify."""

Outcome = list[tuple[Job, ev.Event]]


class Observer(Protocol):
    """Hears, in the engine's own thread, of every change of state, every end, and the passing of time."""

    def changed(self, job: Job) -> None: ...

    def ended(self, job: Job) -> None: ...

    def tick(self) -> None: ...


class Engine:
    """Drives uploads to their end.

    One thread, the caller's, owns every upload: it takes what happened from an inbox, advances the machine, and hands
    the commands to workers. ``concurrency`` threads put chunks, whatever file they are of, so that a large file and a
    thousand small ones share them; three more make the calls that concern many files at once (token, exists, notify),
    one of a kind at a time: what gathers meanwhile goes with the next. At most three batches of files are under way, so
    that memory does not grow with their number.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        make_request_token: Callable[[str], str],
        concurrency: int = 8,
        retry: RetryPolicy | None = None,
    ) -> None:
        """``make_request_token`` makes the requestToken of the call that it is given the name of."""
        self._calls = calls
        self._make_request_token = make_request_token
        self._concurrency = concurrency
        self._retry = retry or RetryPolicy()

    def run(self, jobs: Iterator[Job], order: Order, observer: Observer) -> None:
        """Upload all of ``jobs``; returns when each has ended.

        ``KeyboardInterrupt`` cancels what has not ended, and is raised again when that is done; a second one at once.
        """
        stop = threading.Event()
        work = Work(self._calls, order, self._retry, self._make_request_token, stop)
        putters = ThreadPoolExecutor(self._concurrency, thread_name_prefix="vvos-put")
        callers = ThreadPoolExecutor(len(_Run.KINDS), thread_name_prefix="vvos-call")
        run = _Run(work, jobs, observer, putters, callers, stop)
        finished = False
        try:
            run.drive()
            finished = True
        finally:
            stop.set()
            # After a second interrupt nobody waits for a service that does not answer.
            putters.shutdown(wait=finished, cancel_futures=True)
            callers.shutdown(wait=finished, cancel_futures=True)


class _Run:
    """One run of the engine: the scheduler's loop and its queues."""

    KINDS = (do.RequestToken, do.CheckExists, do.Notify)

    def __init__(
        self,
        work: Work,
        jobs: Iterator[Job],
        observer: Observer,
        putters: ThreadPoolExecutor,
        callers: ThreadPoolExecutor,
        stop: threading.Event,
    ) -> None:
        self._work = work
        self._jobs = jobs
        self._observer = observer
        self._putters = putters
        self._callers = callers
        self._stop = stop
        self._inbox: queue.SimpleQueue[Outcome | BaseException | None] = queue.SimpleQueue()
        """What workers answered; an exception is a fault of our own; ``None`` is the user's interrupt."""
        self._admitted_all = False
        self._active: set[Job] = set()
        self._waiting: dict[type[do.Command], deque[tuple[Job, do.Command]]] = {kind: deque() for kind in self.KINDS}
        self._calling: set[type[do.Command]] = set()
        self._working = 0
        """Commands that workers have and have not answered."""

    def drive(self) -> None:
        with interrupts(lambda: self._inbox.put(None)):
            while True:
                self._admit()
                self._call()
                idle = not self._active and not self._working
                if idle and self._admitted_all:
                    break
                # Idle with files to come: all of this batch ended as they began. Nothing will happen by itself.
                self._take(0 if idle else TICK)
                self._observer.tick()
        self._take(0)  # an interrupt that came at the very end
        if self._stop.is_set():
            raise KeyboardInterrupt

    def _admit(self) -> None:
        """Begin files while there is room: a batch at a time, so that their tokens are asked for together."""
        if len(self._active) > 2 * BATCH:
            return
        for _ in range(BATCH):
            job = next(self._jobs, None)
            if job is None:
                self._admitted_all = True
                return
            self._active.add(job)
            self._happened(job, self._first_event(job))

    def _first_event(self, job: Job) -> ev.Event:
        if self._stop.is_set():
            return ev.CancelRequested()
        try:
            job.source.check()
        except VVOSError as error:
            return ev.SourceFailed(error)
        return ev.Started()

    def _take(self, seconds: float) -> None:
        """Wait so long for something to happen, and let all of it happen."""
        try:
            self._let_happen(self._inbox.get(timeout=seconds))
            while True:
                self._let_happen(self._inbox.get_nowait())
        except queue.Empty:
            return

    def _let_happen(self, outcome: Outcome | BaseException | None) -> None:
        if outcome is None:
            self._cancel()
            return
        self._working -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        for job, event in outcome:
            self._happened(job, event)

    def _happened(self, job: Job, event: ev.Event) -> None:
        before = job.upload.state
        if isinstance(event, ev.ChunkStored):
            job.chunk_stored(event.receipt.number, event.receipt.size)
        elif isinstance(event, ev.ChunkFailed | ev.TokenExpired):
            job.chunk_returned(event.number)
        for command in advance(job.upload, event):
            self._do(job, command)
        if job.upload.state is not before:
            self._observer.changed(job)
        if job in self._active and job.upload.state in FINAL:
            self._active.discard(job)
            job.source.close()
            self._observer.ended(job)

    def _do(self, job: Job, command: do.Command) -> None:
        if type(command) in self._waiting:
            self._waiting[type(command)].append((job, command))
        elif isinstance(command, do.PutChunk):
            number = command.number
            self._submit(self._putters, lambda: [(job, self._work.put_chunk(job, number))])
        elif isinstance(command, do.Complete):
            receipts = command.receipts
            self._submit(self._putters, lambda: [(job, self._work.complete(job, receipts))])
        elif isinstance(command, do.ComputeChecksum):
            self._submit(self._putters, lambda: [(job, self._work.compute_checksum(job))])
        elif isinstance(command, do.Abort):
            self._submit(self._putters, lambda: self._abort(job))

    def _abort(self, job: Job) -> Outcome:
        error = self._work.abort(job)
        if error:
            log.warning("the unfinished upload of %s could not be aborted: %s", job.client_key, error)
        return []

    def _call(self) -> None:
        """Make the calls that concern many files, one of a kind at a time."""
        for kind in self.KINDS:
            waiting = self._waiting[kind]
            if kind in self._calling or not waiting:
                continue
            several = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
            # A call for what was stopped meanwhile is still made: its answer is what the machine waits for.
            jobs = [job for job, _ in several]
            if kind is do.Notify:
                for job in jobs:
                    self._happened(job, ev.NotifyStarted())
            self._calling.add(kind)
            parts = any(isinstance(command, do.CheckExists) and command.parts for _, command in several)
            self._submit(self._callers, lambda kind=kind, jobs=jobs, parts=parts: self._answer(kind, jobs, parts))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults

    def _answer(self, kind: type[do.Command], jobs: list[Job], parts: bool) -> Outcome:
        try:
            if kind is do.RequestToken:
                events = self._work.tokens(jobs)
            elif kind is do.CheckExists:
                events = self._work.exists(jobs, parts)
            else:
                events = self._work.notify(jobs)
        finally:
            self._calling.discard(kind)
        return list(zip(jobs, events, strict=True))

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], Outcome]) -> None:
        self._working += 1

        def run() -> None:
            try:
                self._inbox.put(work())
            except BaseException as error:  # noqa: BLE001  # a fault of our own is raised in the caller's thread
                self._inbox.put(error)

        pool.submit(run)

    def _cancel(self) -> None:
        self._stop.set()
        for job in list(self._active):
            self._happened(job, ev.CancelRequested())
