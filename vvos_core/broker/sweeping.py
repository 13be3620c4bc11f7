"""The sweep: aborts at the providers what expired unfinished, and what was begun for nobody; and nothing else."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from ..errors import Unavailable, VVOSError
from ..loader import load
from ..model import Grant
from .ledger import Ledger
from .leftovers import BATCH, BEGIN_SECONDS, Begun, Leftovers, Upload
from .logs import log
from .profiles import Profiles
from .seal import RENEWABLE

if TYPE_CHECKING:
    from ..profile import Config

CLOCKS_SECONDS = 900
"""How far the clocks of broker and provider may be apart for a half-begun upload to be known by its time."""


STOP_SECONDS = 5
"""How long a sweep may go on when the broker stops."""
Item = TypeVar("Item", Upload, Begun)


class Swept(Struct, frozen=True, kw_only=True):
    """What one sweep did."""

    aborted: int
    """Uploads that the providers were told to forget; some of them may have been finished or gone."""
    left: int
    """Uploads, and traces of uploads, that could not be dealt with; the log says why. The next sweep tries again."""
    pruned: int
    """Records that were emptied of a token that cannot be used any more."""


class Sweeping:
    """Sweeps, in as many brokers at once as there are.

    Parameters
    ----------
    after: seconds after its expiry at which an unfinished upload is given up.
    clock: seconds since 1970, UTC.
    """

    def __init__(self, profiles: Profiles, leftovers: Leftovers, after: float, clock: Callable[[], float]) -> None:
        self._profiles = profiles
        self._leftovers = leftovers
        self._after = after
        self._clock = clock

    def sweep(self) -> Swept:
        """Sweep once. Raises ``Unavailable`` when the database does not answer; a provider that fails is logged."""
        down: set[str] = set()
        aborted = left = 0
        for uploads in self._expired():
            for upload in uploads:
                count = self._tried(self._abort, upload, down)
                if count is None:
                    self._leftovers.leave(upload)
                    left += 1
                else:
                    self._leftovers.gone(upload)
                    aborted += count
        for begun in self._half_begun():
            ended: list[bytes] = []
            for note in begun:
                count = self._tried(self._resolve, note, down)
                if count is None:
                    left += 1
                else:
                    ended.append(note.begun)
                    aborted += count
            self._leftovers.forget(ended)
        pruned = 0
        while some := self._leftovers.prune(self._clock() - RENEWABLE):
            pruned += some
        return Swept(aborted=aborted, left=left, pruned=pruned)

    @contextmanager
    def every(self, seconds: float) -> Iterator[None]:
        """Inside, a thread sweeps every so many seconds; never for 0."""
        if not seconds:
            yield
            return
        stop = threading.Event()

        def run() -> None:
            # Brokers that start together, or often, sweep at different times, and sweep at all.
            wait = random.uniform(0, seconds)
            while not stop.wait(wait):
                wait = seconds
                try:
                    swept = self.sweep()
                    if swept.aborted or swept.left or swept.pruned:
                        log.info("swept", aborted=swept.aborted, left=swept.left, pruned=swept.pruned)
                except Exception:  # noqa: BLE001  # whatever it is, the next sweep may do better
                    log.exception("sweep failed")

        thread = threading.Thread(target=run, name="vvos-sweep", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(STOP_SECONDS)  # what it was at is swept again by the next

    @classmethod
    @contextmanager
    def of(cls, config: Config) -> Iterator[Sweeping]:
        """The sweeper of the broker that ``config`` describes. Raises ``ConfigError`` for its database."""
        ledger = Ledger(config.broker.database_url, connections=1)
        try:
            profiles = Profiles(lambda name: load(config.profile(name)), "")
            yield cls(profiles, Leftovers(ledger), config.broker.sweep_after, time.time)
        finally:
            ledger.close()

    def _expired(self) -> Iterator[list[Upload]]:
        now = self._clock()
        last = None
        while uploads := self._leftovers.take(now - self._after, self._clock(), last):
            yield uploads
            last = uploads[-1]
            if len(uploads) < BATCH:
                return

    def _half_begun(self) -> Iterator[list[Begun]]:
        last = None
        while begun := self._leftovers.half_begun(self._clock(), last):
            yield begun
            last = begun[-1]
            if len(begun) < BATCH:
                return

    def _tried(self, do: Callable[[Item], int | None], item: Item, down: set[str]) -> int | None:
        """How many uploads ``do`` aborted; None when it has to be tried again in another sweep."""
        if item.profile in down:
            return None
        where = {"profile": item.profile, "key": item.key}
        try:
            return do(item)
        except VVOSError as error:
            if isinstance(error, Unavailable):
                down.add(item.profile)  # and is not asked again in this sweep
            log.warning("sweep left an upload", **where, code=error.code, message=error.message)
        except Exception:  # noqa: BLE001  # the provider's, whatever it is: the others are swept
            log.exception("sweep left an upload", **where)
        return None

    def _abort(self, upload: Upload) -> int:
        self._forget(upload.profile, upload.key, upload.upload_id)
        return 1

    def _resolve(self, begun: Begun) -> int | None:
        """Abort what the broker that was killed began here: what is there, from then, and noted by nobody."""
        found = self._profiles.calls(begun.profile).unfinished(begun.key)
        # Read after the list was made: what is in it and wanted has been noted by now, or is being begun.
        known = self._leftovers.known(begun.key, self._clock())
        if known is None:
            return None
        since, until = begun.begun_at - CLOCKS_SECONDS, begun.begun_at + BEGIN_SECONDS + CLOCKS_SECONDS
        orphans = [each for each in found if each.upload_id not in known and since <= each.begun_at <= until]
        for orphan in orphans:
            self._forget(begun.profile, begun.key, orphan.upload_id)
        return len(orphans)

    def _forget(self, profile: str, key: str, upload_id: str) -> None:
        calls = self._profiles.calls(profile)
        calls.abort(
            Grant(
                provider=calls.provider,
                key=key,
                client_key=key,
                size=0,
                multipart=True,
                upload_id=upload_id,
                profile=profile,
            )
        )
