"""Does what the machine says: hands commands to workers, feeds back what happened, and tells an observer."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import inf
from typing import Protocol

from .calls import Calls
from .control import Control, Kind, Wish
from .errors import Cancelled, VVOSError
from .hands import Hands
from .interrupt import interrupts
from .job import Job, Order
from .keeper import Keeper, stopped
from .model import MIB
from .pace import Limit
from .protocol import commands as do, events as ev
from .protocol.machine import advance
from .protocol.states import FINAL, State
from .retry import RetryPolicy
from .work import Work

log = logging.getLogger(__name__)

TICK = 0.1
"""Seconds between two reports of the time passing while nothing else happens."""
LOOK = 1.0
"""Seconds between two looks for grants that are to be renewed."""
BATCH = 200
"""The most files in one call of token, exists or notify."""
GATHER = 0.1
"""Seconds that a finished file waits for others to be reported with it, while some are still put: a call costs the
broker more than a file does."""
UNDER_WAY = 6 * BATCH
"""The most files that are under way: some of each call and some that are put, so that none waits for the others."""
SMALL = MIB
"""Bytes of the largest file that is a small one: it shares half of the threads with others of its kind."""
SMALL_AT_ONCE = 32
"""Small files wait for answers, not for bytes: where these come from far, many at once help."""
LARGE_AT_ONCE = 8

Outcome = list[tuple[Job, ev.Event]]


class Observer(Protocol):
    """Hears, in the engine's own thread, of every change of state, every end, of a stop, and the passing of time."""

    def changed(self, job: Job) -> None: ...

    def ended(self, job: Job) -> None: ...

    def stopping(self) -> None: ...

    def tick(self) -> None: ...


class Engine:
    """Drives uploads to their end.

    One thread, the caller's, owns every upload: it takes what happened from an inbox, advances the machine, and hands
    the commands to workers. ``concurrency`` threads put chunks, whatever file they are of, so that a large file and a
    thousand small ones share them; where it is None there are more for small files than for large. Others make the
    calls that concern many files at once (token, exists, notify), one of a kind at a time: what gathers meanwhile goes
    with the next, or beside it where it fills a batch. Only so many files are under way, so that memory does not grow
    with their number.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        make_request_token: Callable[[str], str],
        concurrency: int | None = None,
        limit_rate: float | None = None,
        retry: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``make_request_token`` makes the requestToken of the call that it is given the name of.

        ``limit_rate``: bytes a second, of all chunks together. ``clock``: seconds, monotonic; grants are renewed by it.
        """
        self._calls = calls
        self._make_request_token = make_request_token
        self._hands = {"small": concurrency or SMALL_AT_ONCE, "large": concurrency or LARGE_AT_ONCE}
        self._limit_rate = limit_rate
        self._retry = retry or RetryPolicy()
        self._clock = clock

    def run(
        self,
        jobs: Iterator[Job],
        order: Order,
        observer: Observer,
        keeper: Keeper | None = None,
        control: Control | None = None,
    ) -> None:
        """Upload all of ``jobs``; returns when each has ended, or was stopped.

        ``keeper`` remembers what is stored, so that a later run can go on with it. ``control`` brings the wishes of
        other threads. ``KeyboardInterrupt`` stops what has not ended: what the keeper has stays at the provider, to be
        gone on with, the rest is cancelled; it is raised again when that is done, and a second one at once.
        """
        stop = threading.Event()
        limit = Limit(self._limit_rate) if self._limit_rate else None
        work = Work(self._calls, order, self._retry, self._make_request_token, stop, self._clock, limit)
        callers = ThreadPoolExecutor(2 * len(_Run.KINDS), thread_name_prefix="vvos-call")
        keeper = keeper or Keeper()
        run = _Run(work, jobs, observer, keeper, control or Control(), self._hands, callers, stop, self._clock)
        finished = False
        try:
            run.drive()
            finished = True
        finally:
            run.halt()
            # After a second interrupt nobody waits for a service that does not answer.
            run.hands.close(wait=finished)
            callers.shutdown(wait=finished, cancel_futures=True)
            keeper.close()
        if run.interrupted:
            raise KeyboardInterrupt


class _Run:
    """One run of the engine: the scheduler's loop and its queues."""

    KINDS = (do.RequestToken, do.CheckExists, do.Notify)

    def __init__(
        self,
        work: Work,
        jobs: Iterator[Job],
        observer: Observer,
        keeper: Keeper,
        control: Control,
        hands: Mapping[str, int],
        callers: ThreadPoolExecutor,
        stop: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        self._work = work
        self._jobs = jobs
        self._observer = observer
        self._keeper = keeper
        self._control = control
        self._callers = callers
        self._stop = stop
        self._clock = clock
        self._inbox: queue.SimpleQueue[Wish | None] = control.inbox
        """What the user wishes; nothing, when workers have answered."""
        self._answers: deque[Outcome | BaseException] = deque()
        """What workers answered; an exception is a fault of our own."""
        self.hands: Hands[Outcome] = Hands(
            small=hands["small"],
            large=hands["large"],
            answers=self._answers,
            wake=lambda: self._inbox.put(None),
        )
        self.interrupted = False
        self._admitted_all = False
        self._active: dict[Job, None] = {}
        self._by_key: dict[str, Job] = {}
        self._resuming: set[Job] = set()
        """Jobs to be resumed when all that was on its way of them has come back."""
        self._waiting: dict[type[do.Command], deque[tuple[Job, do.Command]]] = {kind: deque() for kind in self.KINDS}
        self._calling: list[type[do.Command]] = []
        """The calls that are under way, by their kind."""
        self._notify_at = 0.0
        """When finished files that wait for others are reported; 0 where none waits."""
        self._early: deque[tuple[Job, ev.Event]] = deque()
        """What was answered before it was asked for."""
        self._working = 0
        """Commands that workers have and have not answered."""
        self._ready: list[tuple[Callable[[], Outcome], bool, int]] = []
        """What the hands get next: the task, whether it is a small one, and how many tasks are not answered then."""
        self._calls_ready: list[Callable[[], None]] = []
        """What the callers get next."""
        self._look_at = clock() + LOOK

    def drive(self) -> None:
        with interrupts(lambda: self._inbox.put(Wish(Kind.INTERRUPT))):
            while True:
                self._admit()
                self._call()
                self._commit()
                idle = not self._working and all(job.upload.state is State.PAUSED for job in self._active)
                if idle and self._admitted_all and (self._stop.is_set() or not self._active):
                    break
                # Idle with files to come: all of this batch ended as they began. Nothing will happen by itself.
                self._take(0 if not self._working and not self._active else TICK)
                self._renew()
                self.hands.look()
                self._observer.tick()
        self._take(0)  # an interrupt that came at the very end
        for job in list(self._active):
            self._end(job)
        self._commit()

    def _commit(self) -> None:
        """Make last what happened, and hand out what comes next: in this order, so that a crash never costs more chunks
        than are in flight at once."""
        self._keeper.commit()
        for call in self._calls_ready:
            self._callers.submit(call)
        self._calls_ready.clear()
        for task, small, waiting in self._ready:
            self.hands.hand(task, small=small, waiting=waiting)
        self._ready.clear()

    def halt(self) -> None:
        """Break off what workers do."""
        self._stop.set()
        for job in self._active:
            job.halt.set()

    def _admit(self) -> None:
        """Begin files while there is room: a batch at a time, so that their tokens are asked for together."""
        if self._admitted_all or len(self._active) > UNDER_WAY - BATCH:
            return
        batch: list[Job] = []
        for job in self._jobs:
            batch.append(job)
            if len(batch) == BATCH:
                break
        else:
            self._admitted_all = True
        wished = {job: self._control.wish_for(job.client_key) for job in batch}
        ready = [job for job in batch if not self._stop.is_set() and wished[job] is not Kind.CANCEL]
        refused = self._keeper.admit(ready)
        for job in batch:
            self._active[job] = None
            self._by_key[job.client_key] = job
            if job in refused:
                self._happened(job, ev.SourceFailed(refused[job]))
            elif self._stop.is_set() or wished[job] is Kind.CANCEL:
                self._happened(job, ev.CancelRequested())
            else:
                self._begin(job, held=wished[job] is Kind.PAUSE)
        for job, abandoned in self._keeper.abandoned():
            job.pending += 1
            self._have_done(lambda job=job, left=abandoned: self._abort(job, left))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults

    def _begin(self, job: Job, held: bool) -> None:
        try:
            job.source.check()
        except VVOSError as error:
            self._happened(job, ev.SourceFailed(error))
            return
        if held:
            self._happened(job, ev.PauseRequested())
        elif job.upload.state is State.PAUSED:
            self._resume(job)
        else:
            self._happened(job, ev.Started())

    def _resume(self, job: Job) -> None:
        """Go on with a job that is paused: at once, or when nothing of it is on its way any more."""
        job.halt.clear()
        if job.pending:
            self._resuming.add(job)
        elif job.doubtful:
            job.pending += 1
            self._have_done(lambda: [(job, self._work.compare_sent(job))], small=False)
        else:
            self._happened(job, ev.ResumeRequested())

    def _take(self, seconds: float) -> None:
        """Wait so long for something to happen, and let all of it happen."""
        try:
            wish = self._inbox.get(timeout=seconds)
            while True:
                self._hear()  # first, for it was before
                if wish is not None:
                    self._obey(wish)
                wish = self._inbox.get_nowait()
        except queue.Empty:
            self._hear()

    def _hear(self) -> None:
        """Let happen what workers answered."""
        while self._answers:
            self._let_happen(self._answers.popleft())

    def _let_happen(self, outcome: Outcome | BaseException) -> None:
        self._working -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        for job, event in outcome:
            self._happened(job, event)
            self._answered(job)
        while self._early:
            job, event = self._early.popleft()
            self._happened(job, event)
            self._answered(job)

    def _answered(self, job: Job) -> None:
        """One command less is on its way."""
        job.pending -= 1
        if job.pending:
            return
        if job not in self._active:
            self._keeper.release(job)
        elif job in self._resuming:
            self._resuming.discard(job)
            if job.upload.state is State.PAUSED:
                self._resume(job)

    def _happened(self, job: Job, event: ev.Event) -> None:
        if isinstance(event, ev.ResumeRequested) and job.halt.is_set():
            # Paused again, cancelled or stopped while its chunks were compared.
            event = ev.SourceFailed(Cancelled("the upload was stopped."))
        upload = job.upload
        before, receipts = upload.state, upload.receipts
        kind = type(event)
        if kind is ev.ChunkStored:
            job.chunk_stored(event.receipt.number, event.receipt.size)  # type: ignore[attr-defined]  # its kind was looked at
        elif kind is ev.ChunkFailed or kind is ev.TokenExpired:
            job.chunk_returned(event.number)  # type: ignore[attr-defined]  # as above
            # One that was renewed meanwhile told of its end when it was first refused.
            if isinstance(event, ev.TokenExpired) and upload.grant and event.grant in (None, upload.grant):
                self._over(upload.grant.expires_at)
        elif kind is ev.ResumeRequested:
            job.doubtful = False
        for command in advance(upload, event):
            self._do(job, command)
        grant, state = upload.grant, upload.state
        if grant is not None and grant.multipart:
            self._keeper.happened(job, event, receipts)
        if upload.receipts is not receipts:
            job.count_stored()
        if state is not before:
            self._observer.changed(job)
        if state in FINAL and job in self._active:
            self._end(job)

    def _end(self, job: Job) -> None:
        del self._active[job]
        self._by_key.pop(job.client_key, None)
        self._resuming.discard(job)
        job.source.close()
        self._keeper.ended(job)
        if not job.pending:
            self._keeper.release(job)
        self._observer.ended(job)

    def _do(self, job: Job, command: do.Command) -> None:
        job.pending += 1
        kind = type(command)
        if kind in self._waiting:
            self._waiting[kind].append((job, command))
        elif isinstance(command, do.PutChunk):
            number = command.number
            self._have_done(partial(self._put, job, number), small=_is_small(job))
        elif isinstance(command, do.Complete):
            if job.completed is not None:
                self._early.append((job, job.completed))
                job.completed = None
                return
            receipts = command.receipts
            self._have_done(lambda: [(job, self._work.complete(job, receipts))])
        elif isinstance(command, do.ComputeChecksum):
            self._have_done(lambda: [(job, self._work.compute_checksum(job))], small=False)
        elif isinstance(command, do.Abort):
            given_up = stopped(job, command.grant) if command.grant else None
            self._have_done(lambda: self._abort(job, given_up))

    def _put(self, job: Job, number: int) -> Outcome:
        """Put a chunk, and complete the upload in the same go where it is the only one: to ask first costs as much."""
        job.completed = None
        event = self._work.put_chunk(job, number)
        if isinstance(event, ev.ChunkStored) and self._work.is_whole(job):
            job.completed = self._work.complete(job, (event.receipt,))
        return [(job, event)]

    def _abort(self, job: Job, abandoned: Job | None = None) -> Outcome:
        """Have the provider forget the upload of ``job``, or the one in whose place it came."""
        error = self._work.abort(abandoned or job)
        if error:
            log.warning("the unfinished upload of %s could not be aborted: %s", job.client_key, error)
        written = self._keeper.replaced if abandoned else self._keeper.aborted
        self._control.call(lambda: self._aborted(job, error, written))
        return []

    def _aborted(self, job: Job, error: VVOSError | None, written: Callable[[Job, VVOSError | None], None]) -> None:
        written(job, error)
        self._answered(job)

    def _call(self) -> None:
        """Make the calls that concern many files, one of a kind at a time."""
        for kind in self.KINDS:
            waiting = self._waiting[kind]
            if not waiting or (kind in self._calling and (len(waiting) < BATCH or self._calling.count(kind) > 1)):
                continue
            if kind is do.Notify and self._gathers(len(waiting)):
                continue
            several = [waiting.popleft() for _ in range(min(BATCH, len(waiting)))]
            # A call for what was stopped meanwhile is still made: its answer is what the machine waits for.
            jobs = [job for job, _ in several]
            if kind is do.Notify:
                for job in jobs:
                    self._happened(job, ev.NotifyStarted())
            self._calling.append(kind)
            parts = any(isinstance(command, do.CheckExists) and command.parts for _, command in several)
            self._submit(lambda kind=kind, jobs=jobs, parts=parts: self._answer(kind, jobs, parts))  # type: ignore[misc]  # mypy cannot infer a lambda's defaults

    def _gathers(self, waiting: int) -> bool:
        """Whether finished files are to be reported a little later, with others."""
        now = self._clock()
        if waiting < BATCH and self._working > len(self._calling):
            if not self._notify_at:
                self._notify_at = now + GATHER
            if now < self._notify_at:
                return True
        self._notify_at = 0.0
        return False

    def _answer(self, kind: type[do.Command], jobs: list[Job], parts: bool) -> Outcome:
        try:
            if kind is do.RequestToken:
                events = self._work.tokens(jobs)
            elif kind is do.CheckExists:
                events = self._work.exists(jobs, parts)
            else:
                events = self._work.notify(jobs)
        finally:
            self._calling.remove(kind)
        return list(zip(jobs, events, strict=True))

    def _have_done(self, task: Callable[[], Outcome], *, small: bool = True) -> None:
        """Have one of the hands do ``task``; it is large where it moves, or reads, more than a small file has."""
        self._working += 1
        self._ready.append((task, small, self._working))

    def _submit(self, work: Callable[[], Outcome]) -> None:
        self._working += 1

        def run() -> None:
            try:
                self._answers.append(work())
            except BaseException as error:  # noqa: BLE001  # a fault of our own is raised in the caller's thread
                self._answers.append(error)
            self._inbox.put(None)

        self._calls_ready.append(run)

    def _over(self, expires_at: float) -> None:
        """A grant that was to end then is over: so are all that were to end with it, or before."""
        for job in self._active:
            upload = job.upload
            # One that waits for a grant has its renewal on the way: whoever asks for it notes when it is due again.
            if upload.state is State.UPLOADING and upload.grant and 0 < upload.grant.expires_at <= expires_at:
                job.renew_at = self._look_at = -inf

    def _renew(self) -> None:
        """Renew the grants that end soon; all that are due go in one call."""
        now = self._clock()
        if now < self._look_at:
            return
        self._look_at = now + LOOK
        for job in list(self._active):
            if job.renew_at <= now and job.upload.state is State.UPLOADING:
                self._happened(job, ev.RenewalDue())

    def _obey(self, wish: Wish) -> None:
        if wish.kind is Kind.CALL:
            wish.call()
            return
        if wish.kind in (Kind.INTERRUPT, Kind.STOP):
            self.interrupted = self.interrupted or wish.kind is Kind.INTERRUPT
            self._stop.set()
            self._observer.stopping()
        jobs = [self._by_key[key] for key in wish.keys if key in self._by_key] if wish.keys else list(self._active)
        for job in jobs:
            if wish.kind is Kind.RESUME:
                if job.upload.state is State.PAUSED and not self._stop.is_set():
                    self._resume(job)
                continue
            job.halt.set()
            self._resuming.discard(job)
            stays = wish.kind is Kind.PAUSE or (wish.kind is not Kind.CANCEL and job.upload.kept)
            self._happened(job, ev.PauseRequested() if stays else ev.CancelRequested())


def _is_small(job: Job) -> bool:
    plan = job.upload.plan
    return plan is not None and not plan.multipart and plan.size <= SMALL
