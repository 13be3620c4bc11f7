"""Delivers what is in the outbox: at least once, in order for each key, later and later while it fails."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from msgspec import Struct

from ..errors import NotFound, Unavailable, VVOSError
from .logs import log
from .outbox import Claimed, Outbox
from .profiles import Profiles

LEASE = 60.0
"""Seconds that a claim lasts; while its event is being delivered it is renewed. Brokers' clocks may differ by less."""
POLL = 2.0
"""Seconds after which a broker looks for what is due again, or was recorded by another broker."""
STOP_SECONDS = 10.0
"""How long deliveries in progress may go on when the broker stops; one that is cut off is made again."""


class Schedule(Struct, frozen=True, kw_only=True):
    """``attempts`` in all; the wait after the n-th is ``base`` · 2ⁿ⁻¹ s, at most ``longest``; half of it is random."""

    attempts: int = 18
    base: float = 5.0
    longest: float = 6 * 3600.0

    def wait(self, attempts: int, asked: float = 0.0) -> float:
        """Seconds until the next try; ``asked`` is the receiver's wish (Retry-After), kept up to ``longest``."""
        most = min(self.longest, self.base * 2 ** (attempts - 1))
        return max(random.uniform(most / 2, most), min(asked, self.longest))


class Counts(Struct):
    """What became of the tries."""

    delivered: int = 0
    failed: int = 0


class Delivery:
    """Tells each of ``listeners`` its events, in a thread for each: a slow one keeps only itself waiting.

    ``clock`` gives seconds since 1970, UTC; other brokers on the same database have one that agrees within ``LEASE``.
    """

    def __init__(
        self,
        outbox: Outbox,
        profiles: Profiles,
        listeners: Collection[str],
        *,
        clock: Callable[[], float] = time.time,
        schedule: Schedule = Schedule(),  # noqa: B008  # frozen
    ) -> None:
        self._outbox = outbox
        self._profiles = profiles
        self._clock = clock
        self._schedule = schedule
        self._owner = uuid.uuid4().hex
        self._woken = {listener: threading.Event() for listener in listeners}
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._held: set[int] = set()

    def start(self) -> None:
        """Deliver in the background until ``stop``. Harmless when it is started already."""
        if self._threads or not self._woken:
            return
        with self._lock:
            if self._threads or self._stopping.is_set():
                return
            works = [threading.Thread(target=self._work, args=(name,), name=f"vvos-{name}") for name in self._woken]
            self._threads = [*works, threading.Thread(target=self._keep, name="vvos-leases")]
            for thread in self._threads:
                thread.daemon = True  # a listener that never returns must not keep the process
                thread.start()

    def wake(self) -> None:
        """Look at once: something was recorded."""
        for woken in self._woken.values():
            woken.set()

    def stop(self) -> None:
        """End, when the deliveries in progress have ended, or ``STOP_SECONDS`` are over."""
        with self._lock:
            self._stopping.set()
        self.wake()
        end = time.monotonic() + STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def drain(self) -> Counts:
        """Instead of ``start`` and ``stop``: deliver, and return when nothing is due. Raises ``Unavailable``."""
        if not self._woken:
            return Counts()
        keeper = threading.Thread(target=self._keep, name="vvos-leases", daemon=True)
        keeper.start()
        try:
            with ThreadPoolExecutor(len(self._woken)) as pool:
                try:
                    each = list(pool.map(self._drain, self._woken))
                finally:
                    self._stopping.set()
        finally:
            keeper.join()
        self._stopping.clear()
        return Counts(sum(counts.delivered for counts in each), sum(counts.failed for counts in each))

    def _drain(self, listener: str) -> Counts:
        counts = Counts()
        while not self._stopping.is_set():
            done = self._deliver(listener)
            if done is None:
                break
            if done:
                counts.delivered += 1
            else:
                counts.failed += 1
        return counts

    def _work(self, listener: str) -> None:
        woken = self._woken[listener]
        while not self._stopping.is_set():
            woken.clear()
            try:
                idle = self._deliver(listener) is None
            except Exception as error:  # noqa: BLE001  # the database's; the thread must live on
                known = isinstance(error, VVOSError)
                log.error("outbox", listener=listener, reason=_reason(error), exc_info=None if known else error)
                idle = True
            if idle:
                woken.wait(POLL)

    def _keep(self) -> None:
        while not self._stopping.wait(LEASE / 3):
            held = tuple(self._held)
            if held:
                try:
                    self._outbox.hold(self._owner, held, self._clock() + LEASE)
                except Unavailable as error:
                    log.warning("outbox", reason=error.message)

    def _deliver(self, listener: str) -> bool | None:
        """Deliver one event: whether that went well; None when none is due."""
        now = self._clock()
        event = self._outbox.claim(listener, self._owner, now, now + LEASE)
        if event is None:
            return None
        self._held.add(event.sequence)
        try:
            if event.attempts > self._schedule.attempts:
                raise NotFound("every try ended together with its broker")
            self._profiles.calls(event.profile).tell_one(listener, event.request())
        except BaseException as error:  # noqa: BLE001  # also SystemExit: this thread is not the plugin's to end
            self._failed(event, error)
            return False
        else:
            self._outbox.delivered(event)
            log.info("delivered", event_id=event.event_id, listener=listener, attempts=event.attempts)
            return True
        finally:
            self._held.discard(event.sequence)

    def _failed(self, event: Claimed, error: BaseException) -> None:
        known = isinstance(error, VVOSError)
        reason = _reason(error)
        facts: dict[str, Any] = {
            "event_id": event.event_id,
            "listener": event.listener,
            "profile": event.profile,
            "key": event.key,
        }
        facts |= {"attempts": event.attempts, "reason": reason, "exc_info": None if known else error}
        now = self._clock()
        # NotFound: the receiver is gone for good, or what it would need is.
        if isinstance(error, NotFound) or event.attempts >= self._schedule.attempts:
            self._outbox.failed(event, reason, due_at=now, dead_at=now)
            log.error("dead letter", **facts)
        else:
            asked = error.retry_after if isinstance(error, VVOSError) else None
            wait = self._schedule.wait(event.attempts, asked or 0.0)
            self._outbox.failed(event, reason, due_at=now + wait)
            log.warning("not delivered", **facts, next_in=round(wait, 1))


def _reason(error: BaseException) -> str:
    # Of an exception that is not ours only its class: its text may hold anything.
    return error.message if isinstance(error, VVOSError) else type(error).__name__
