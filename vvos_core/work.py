"""What the engine's workers do: each command as a blocking call, with its retries, that answers events."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from math import inf
from typing import TypeGuard, TypeVar

from . import errors
from .calls import Calls, Store
from .errors import VVOSError
from .job import Job, Order
from .keys import check_key
from .model import (
    Ask,
    Chunk,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    NotifyRequest,
    Receipt,
    TokenRequest,
)
from .pace import Limit, limited
from .protocol import events as ev
from .protocol.states import State
from .protocol.upload import Upload
from .retry import RetryPolicy

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

TTL = 3600
"""Seconds that a grant lasts when the client's own profile grants; a broker decides for itself."""


class Work:
    """The commands of one run, done.

    ``stop`` ends the waits of calls that concern many files; a job's ``halt`` breaks off what is done for it alone.
    ``clock``: seconds, monotonic; a job's ``renew_at`` is told by it. ``limit``: what chunks are sent at.
    """

    def __init__(
        self,
        calls: Calls,
        order: Order,
        retry: RetryPolicy,
        make_request_token: Callable[[str], str],
        stop: threading.Event,
        clock: Callable[[], float] = time.monotonic,
        limit: Limit | None = None,
    ) -> None:
        self._calls = calls
        self._order = order
        self._retry = retry
        self._make_request_token = make_request_token
        self._stop = stop
        self._clock = clock
        self._limit = limit
        self._token_calls = itertools.count(1)
        self._named: dict[str, str] = {}
        """By server key, the client key of the file that it was granted for first."""

    # ── many files at once ────────────────────────────────────────────────────────────────────────────────────────────

    def tokens(self, jobs: Sequence[Job], cover: bool | None = None) -> list[ev.Event]:
        """A grant, or its renewal, for each; ``cover`` is the order's unless given."""
        cover = self._order.cover if cover is None else cover
        request_tokens: dict[int, str] = {}

        def call(some: Sequence[Job]) -> Sequence[Grant | VVOSError]:
            # Asking again for the same files gets the same grants; for fewer of them it is another request.
            if len(some) not in request_tokens:
                # Two calls may be made at once, and none may have the other's name.
                name = f"{self._order.batch}-{next(self._token_calls)}"
                request_tokens[len(some)] = self._make_request_token(name)
            now = time.time()
            return self._calls.token(
                TokenRequest(
                    files=tuple(_ask(job) for job in some),
                    request_token=request_tokens[len(some)],
                    issued_at=now,
                    expires_at=now + TTL,
                    cover=cover,
                    client=self._order.client,
                    call=self._order.token_call,
                )
            )

        asked_at = self._clock()
        answers = self._each(jobs, call)
        return [
            ev.TokenRefused(answer) if isinstance(answer, VVOSError) else self._granted(job, answer, asked_at, cover)
            for job, answer in zip(jobs, answers, strict=True)
        ]

    def exists(self, jobs: Sequence[Job], parts: bool) -> list[ev.Event]:
        """What is there already, for each."""

        def call(some: Sequence[Job]) -> Sequence[Found | VVOSError]:
            return self._calls.exists(
                ExistsRequest(grants=tuple(_grant(job) for job in some), parts=parts, call=self._order.exists_call)
            )

        out: list[ev.Event] = []
        for job, answer in zip(jobs, self._each(jobs, call), strict=True):
            if isinstance(answer, errors.TokenExpired):
                out.append(ev.TokenExpired())
                continue
            if isinstance(answer, VVOSError):
                out.append(ev.ExistsFailed(answer))
                continue
            _warn_of_strangers(job, answer.parts or ())
            if answer.exists:
                out.append(ev.ObjectFound(answer.size, answer.checksum, answer.parts))
            elif answer.parts is not None:
                out.append(ev.PartsFound(answer.parts))
            else:
                out.append(ev.NothingFound())
        return out

    def notify(self, jobs: Sequence[Job]) -> list[ev.Event]:
        """Report each; it is verified and gets its url."""

        def call(some: Sequence[Job]) -> Sequence[object]:
            finished = tuple(
                Finished(
                    grant=_grant(job), size=job.upload.size, checksum=job.upload.checksum, digest=_digest(job.upload)
                )
                for job in some
            )
            return self._calls.notify(NotifyRequest(objects=finished, call=self._order.notify_call))

        out: list[ev.Event] = []
        for answer in self._each(jobs, call):
            if isinstance(answer, errors.TokenExpired):
                out.append(ev.TokenExpired())
            elif isinstance(answer, VVOSError):
                out.append(ev.NotifyFailed(answer))
            else:
                out.append(ev.NotifySucceeded(getattr(answer, "url", "")))
        return out

    # ── one file ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def put_chunk(self, job: Job, number: int) -> ev.Event:
        # The grant first: one that is renewed between the two reads is then an old one, never a new one that expired.
        grant, state = job.upload.grant, job.upload.state
        if state is State.TOKEN:
            # Queued before the grant expired: sent now it would only be refused.
            return ev.TokenExpired(number, grant)
        plan = job.upload.plan
        if state is not State.UPLOADING or plan is None or job.halt.is_set():
            return ev.ChunkFailed(number, errors.Cancelled("the upload was stopped before this chunk was sent."))
        offset, length = plan.span(number)

        def passed(count: int) -> None:
            if job.halt.is_set():
                raise errors.Cancelled("the upload was stopped.")
            job.chunk_moves(number, count)

        chunk = job.source.chunk(number, offset, length, passed)

        def call() -> Receipt:
            nonlocal grant
            grant = current = _grant(job)
            store = self._calls.store(current.provider)
            if self._limit is None:
                return store.put_chunk(current, chunk)
            with limited(self._limit, job.halt):
                return store.put_chunk(current, chunk)

        try:
            return ev.ChunkStored(self._retry.run(call, job.halt))
        except errors.TokenExpired:
            return ev.TokenExpired(number, grant)
        except VVOSError as error:
            return ev.ChunkFailed(number, error)

    def is_whole(self, job: Job) -> bool:
        """Whether the one chunk is all, and nothing keeps it from being completed now."""
        upload = job.upload
        one = upload.plan is not None and not upload.plan.multipart and upload.grant is not None
        return one and not _grant(job).seal and upload.state is State.UPLOADING and not job.halt.is_set()

    def complete(self, job: Job, receipts: tuple[Receipt, ...]) -> ev.Event:
        grant = _grant(job)
        if job.renew_at <= self._clock() and not job.upload.renewals:
            # It waited behind other files' chunks until its grant was to be renewed: nobody has to refuse it first.
            return ev.TokenExpired()
        try:
            self._check_sent(job)
        except VVOSError as error:
            return ev.SourceFailed(error)
        try:
            return ev.Completed(self._calls.store(grant.provider).complete(grant, receipts))
        except errors.TokenExpired:
            return ev.TokenExpired()
        except (errors.Unavailable, errors.NotFound) as error:
            # It may have been made all the same; ``exists`` is asked before anything is sent again.
            return ev.CompleteUnanswered(error)
        except VVOSError as error:
            return ev.CompleteFailed(error)

    def compute_checksum(self, job: Job) -> ev.Event:
        try:
            return ev.ChecksumComputed(self._checksum_of_all(job))
        except VVOSError as error:
            return ev.SourceFailed(error)

    def compare_sent(self, job: Job) -> ev.Event:
        """Go on with an earlier run's upload, with the chunks whose bytes are still those of the file."""
        try:
            return ev.ResumeRequested(frozenset(self._changed(job)))
        except VVOSError as error:
            return ev.SourceFailed(error)

    def abort(self, job: Job) -> VVOSError | None:
        """Forget the unfinished upload; the error, when it may still be there."""
        grant = _grant(job)

        def abort() -> None:
            self._calls.store(grant.provider).abort(grant)

        def renew_and_abort() -> None:
            nonlocal grant
            event = self.tokens([job], grant.cover)[0]  # an earlier run's order may have been another
            if isinstance(event, ev.TokenRefused):
                raise event.error
            if isinstance(event, ev.TokenGranted):
                grant = event.grant
            abort()

        # Its own event: what is cancelled is to be aborted, which ``halt`` would keep it from trying again.
        patience, never = RetryPolicy(attempts=3, seconds=30), threading.Event()
        try:
            try:
                patience.run(abort, never)
            except (errors.Denied, errors.BadAnswer):
                # It expired; or it is an earlier run's, and has lost what it could be used with.
                patience.run(renew_and_abort, never)
        except errors.NotFound:
            return None
        except VVOSError as error:
            return error
        return None

    def _checksum_of_all(self, job: Job) -> str:
        """Of the whole source, as the object would have it: some services' depends on how it is cut."""
        plan = job.upload.plan
        if plan is None or not plan.multipart:
            return self._checksum(job, job.source.chunk(1, 0, job.source.size))
        receipts = []
        for number in range(1, plan.count + 1):
            offset, size = plan.span(number)
            checksum = self._checksum(job, job.source.chunk(number, offset, size))
            receipts.append(Receipt(number=number, size=size, proof="", checksum=checksum))
        return self._calls.store(_grant(job).provider).checksum.combine(receipts)

    def _check_sent(self, job: Job) -> None:
        """Raises ``SourceChanged`` unless all that was sent is of one version of the source.

        An edit whose time was put back shows in the status only, as a new mode does: then the bytes have to tell.
        """
        job.source.check()
        touched = job.source.touched()
        if touched is not None and (self._changed(job) or job.source.touched() != touched):
            raise errors.SourceChanged(
                f"{job.source.label} changed while it was uploaded; upload it again when nobody writes to it."
            )

    def _changed(self, job: Job) -> set[int]:
        """The stored chunks whose bytes are not the source's any more, or of which nobody knows."""
        plan, changed = job.upload.plan, set()
        for number, receipt in sorted(job.upload.receipts.items()):
            chunk = job.source.chunk(number, *plan.span(number)) if plan else None
            if chunk is None or not receipt.checksum or self._checksum(job, chunk) != receipt.checksum:
                changed.add(number)
        return changed

    def _checksum(self, job: Job, chunk: Chunk) -> str:
        hasher = self._calls.store(_grant(job).provider).checksum.new()
        for block in chunk:
            if job.halt.is_set():
                raise errors.Cancelled("the upload was stopped.")
            hasher.update(block)
        return hasher.value()

    # ── shared ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _granted(self, job: Job, grant: Grant, asked_at: float, cover: bool) -> ev.Event:
        try:
            store = self._calls.store(grant.provider)
            _check_grant(job, grant, store, cover)
            first = self._named.setdefault(grant.key, job.client_key)
            if first != job.client_key:
                raise errors.BadAnswer(
                    f"{job.client_key} was granted as {grant.key}, which is {first} already; they would be one object."
                )
        except VVOSError as error:
            return ev.TokenRefused(error)
        # Counted from before it was asked for, so at the latest: how long the answer took is nobody's gain.
        job.renew_at = asked_at + _good_for(grant)
        return ev.TokenGranted(grant, store.checksum)

    def _each(
        self, items: Sequence[Item], call: Callable[[Sequence[Item]], Sequence[Answer | VVOSError]]
    ) -> list[Answer | VVOSError]:
        """The answer for each item; those that failed with what may pass are asked for again, the others are not."""
        answers: list[Answer | VVOSError | None] = [None] * len(items)

        def once() -> None:
            todo = [index for index, answer in enumerate(answers) if answer is None or _may_pass(answer)]
            for index, answer in zip(todo, call([items[index] for index in todo]), strict=True):
                answers[index] = answer
            for failed in filter(_may_pass, answers):
                raise failed

        unanswered: VVOSError = errors.BadAnswer("no answer came.")
        try:
            self._retry.run(once, self._stop)
        except VVOSError as error:
            unanswered = error
        return [unanswered if item is None else item for item in answers]


def _may_pass(answer: object) -> TypeGuard[VVOSError]:
    return isinstance(answer, VVOSError) and answer.retryable


def _ask(job: Job) -> Ask:
    upload = job.upload
    return Ask(
        client_key=job.client_key,
        key=upload.grant.key if upload.grant else job.client_key,
        size=upload.size,
        type=job.type,
        checksum=upload.checksum,
        metadata=job.metadata,
        renew=upload.grant,
    )


def _grant(job: Job) -> Grant:
    grant = job.upload.grant
    if grant is None:
        raise errors.ProtocolError("a command needs a grant that the upload does not have.")
    return grant


def _digest(upload: Upload) -> str:
    """The MD5 of an object in one piece, where who put it said it."""
    one = upload.receipts.get(1) if upload.plan is not None and not upload.plan.multipart else None
    return one.digest if one is not None and one.checksum == upload.checksum else ""


def _good_for(grant: Grant) -> float:
    """Seconds after which it is renewed: at four fifths of its life, or five minutes before its end."""
    life = grant.lifetime or (grant.expires_at - time.time() if grant.expires_at else inf)
    # Over before it came: the clocks differ, and the provider will have to say when it is over.
    return life - min(300.0, life / 5) if life > 0 else inf


def _allowed(grant: Grant) -> tuple[object, ...]:
    """What a renewal may not change."""
    return grant.key, grant.upload_id, grant.type, grant.cover, grant.multipart, grant.part_size


def _warn_of_strangers(job: Job, parts: Sequence[Receipt]) -> None:
    plan = job.upload.plan
    for part in parts:
        if plan is None or not 1 <= part.number <= plan.count or part.size != plan.span(part.number)[1]:
            log.warning(
                "%s: the provider lists part %d of %d bytes, which was never sent; it is not used. [%s]",
                job.client_key,
                part.number,
                part.size,
                errors.BadAnswer.code,
            )
            return


def _check_grant(job: Job, grant: Grant, store: Store, cover: bool) -> None:
    """A grant that does not fit the file, that allows more than was asked for (``cover``: to replace), or that the
    provider's rules do not, is refused before a byte is sent."""
    rules = store.rules
    check_key(grant.key, rules.max_key)
    before = job.upload.grant
    fits = (
        grant.client_key == job.client_key
        and grant.size == job.upload.size
        and (before is None or _allowed(before) == _allowed(grant))
    )
    if not fits:
        raise errors.BadAnswer(f"the grant that came for {job.client_key} is for another file, key or upload.")
    wider = {
        "leave to replace an object": grant.cover and not cover,
        "another type": grant.type != job.type,
        "other metadata": not grant.metadata.items() <= job.metadata.items(),
    }
    unasked = [name for name, differs in wider.items() if differs]
    if unasked:
        raise errors.BadAnswer(f"the grant that came for {job.client_key} has {unasked[0]}, which was not asked for.")
    if grant.multipart:
        parts = -(-grant.size // grant.part_size) if grant.part_size > 0 else 0
        largest = min(grant.part_size, grant.size)
        if not (1 <= parts <= rules.max_parts and largest <= rules.max_part):
            raise errors.BadAnswer(
                f"the grant for {job.client_key} cuts {grant.size} bytes into parts of {grant.part_size}, "
                f"which the rules of {grant.provider} do not allow."
            )
