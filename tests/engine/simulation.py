"""A client's world in one thread: engine, journal and provider, with time, files and the order of events simulated.

The engine is the real one; its threads and its inbox are played. Whenever it waits, one of the tasks that a
worker could be at is done, chosen by the schedule, and whatever else is due happens: a file is edited, a grant expires,
the provider forgets, the user changes their mind, another run is started, the machine dies. So a schedule that fails
fails again, and Hypothesis finds the shortest.
"""

from __future__ import annotations

import os
import queue
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import Struct

from vvos_core import errors, hookimpl
from vvos_core.control import Control, Kind
from vvos_core.engine import Engine
from vvos_core.fingerprint import Fingerprint
from vvos_core.job import Job, Order
from vvos_core.journal import Journal, Record
from vvos_core.keeper import Keeper
from vvos_core.model import Chunk, Grant, Receipt, TokenRequest
from vvos_core.protocol.states import FINAL, State
from vvos_core.protocol.upload import Upload
from vvos_core.source import FileSource

from .cloud import Cloud, calls_of
from .test_engine import AT_ONCE

SIZES = {"影片.bin": 23, "b.bin": 12, "小.txt": 7}
NAMES = tuple(SIZES)
CONCURRENCY = 2
TICK = 2.0
"""Seconds: the clock of the simulated file system, as coarse as any in use."""
PATIENCE = 3000
"""Rounds of an idle engine after which a run is taken for hung."""
WISHES = {"pause": Kind.PAUSE, "resume": Kind.RESUME, "cancel": Kind.CANCEL, "stop": Kind.STOP}


class Crash(BaseException):
    """The process is dead: nothing of it reaches anybody from here on."""


class Round(Struct, frozen=True, kw_only=True):
    """One run, and what happens before and during it."""

    names: tuple[str, ...] = NAMES
    cover: bool = True
    between: tuple[str, ...] = ()
    """Deeds before the run; see ``World.act``."""
    order: tuple[int, ...] = (0,)
    """Which of the tasks that could be done is done next, over and over."""
    faults: Mapping[tuple[str, int], str] = {}
    """(hook, its n-th call in this run) → a fate; see ``cloud.Fault``."""
    deeds: tuple[tuple[int, str], ...] = ()
    """(n-th step of the run, deed)."""
    crash: tuple[str, int] | None = None
    """Dies at the n-th ``step``, or ``before`` or ``after`` the n-th commit."""
    ghosts: int = 0
    """Of the requests that are on their way when the run dies so many still arrive, every second one later."""


CALM = Round()


class World:
    """``lifetime``: seconds of a grant, 0 for ever. ``inodes``: whether the file system keeps its numbers."""

    def __init__(self, folder: Path, *, lifetime: float = 0.0, seal: bool = False, inodes: bool = True) -> None:
        self.folder = folder
        self.now = 1_000_000.0
        self.inodes = inodes
        self.cloud = SimCloud(self, lifetime=lifetime, seal=seal)
        self.history: dict[str, list[bytes]] = {}
        """All that each file ever held."""
        self.times: dict[str, float] = {}
        """When the status of each file changed last, by the file system's clock."""
        self.pools: list[Pool] = []
        self.dead = False
        self.round = CALM
        self.steps = self.commits = self.turn = 0
        self.begun: dict[str, int] = {}
        """Calls of each hook before this round."""
        self.committed: dict[str, dict[int, str]] = {}
        """By upload id, the proofs that are in the journal: what the client may never send again."""
        self.uploads_of: dict[str, str] = {}
        """The upload id of each journal entry."""
        self.orphans: set[str] = set()
        """Uploads that no journal knows; the broker's ledger does."""
        self.late: list[tuple[str, int, bytes]] = []
        self.wrong: list[str] = []
        self.lost: list[int] = []
        """Of each upload that a crash struck, how many stored chunks the journal did not know."""
        self._fresh = 0
        for name, size in SIZES.items():
            self.write(name, size)

    # ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, name: str, size: int, *, hidden: bool = False) -> None:
        """New content, much of it the old; ``hidden``: the time of its change is put back."""
        self._fresh += 1
        path = self.folder / name
        old = self.history.get(name, [b""])[-1]
        content = bytearray((old + bytes(range(65, 65 + size)))[:size])
        content[self._fresh * 5 % size] = self._fresh % 251
        content[self._fresh * 3 % size] ^= 128
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_bytes(content)
        time_ns = before if hidden and before else int(self.tick * 1e9)
        os.utime(path, ns=(time_ns, time_ns))
        self.times[str(path)] = self.tick
        self.history.setdefault(name, []).append(bytes(content))

    @property
    def tick(self) -> float:
        return self.now // TICK * TICK

    def fingerprint(self, info: os.stat_result) -> Fingerprint:
        inode, changed = info.st_ino, 0.0
        for path, at in self.times.items():
            if os.stat(path).st_ino == inode:
                changed = at
        if not self.inodes:
            self._fresh += 1
            inode = self._fresh
        return Fingerprint(info.st_dev, inode, info.st_size, info.st_mtime_ns, int(changed * 1e9))

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────────

    def act(self, deed: str, control: Control | None = None) -> None:
        what, _, name = deed.partition(" ")
        if what in ("edit", "hide"):
            # Within one tick of its clock a file system shows an edit to nobody; see ``fingerprint.compare``.
            self.now += TICK if self.pools else 0.0
            self.write(name, len(self.history[name][-1]), hidden=what == "hide")
        elif what == "grow":
            self.now += TICK if self.pools else 0.0
            self.write(name, len(self.history[name][-1]) % 24 + 1)
        elif what == "forget":
            for upload_id in [id for id in self.cloud.uploads if f"/{name}" in id]:
                del self.cloud.uploads[upload_id]
        elif what == "lose":
            for upload_id, parts in self.cloud.uploads.items():
                if parts and f"/{name}" in upload_id:
                    lost = min(parts)
                    del parts[lost]
                    self.committed.get(upload_id, {}).pop(lost, None)
        elif what == "arrive":
            self.arrive()
        elif what == "expire":
            self.cloud.generation += 1
        elif what == "wait":
            self.now += 40.0
        elif what == "another":
            if 0 < len(self.pools) < 5:  # each run has two
                self.run((name,), cover=self.round.cover)
        elif control is not None:
            control.wish(WISHES[what], (name,) if name else ())

    def arrive(self) -> None:
        """What was on its way when its sender died gets there."""
        for upload_id, number, data in self.late:
            parts = self.cloud.uploads.get(upload_id)
            if parts is not None:
                if parts.get(number) != data:
                    self.committed.get(upload_id, {}).pop(number, None)
                parts[number] = data
        self.late.clear()

    def step(self, control: Control) -> bool:
        """Do one of the tasks that workers are at; False where there is none."""
        if not self._at_work():
            return False
        self.steps += 1
        for at, deed in self.round.deeds:
            if at == self.steps:
                self.act(deed, control)
        if self.round.crash == ("step", self.steps):
            self.die()
        tasks = self._at_work()  # another run may have done some meanwhile
        if tasks:
            pool, task = tasks[self.choose(len(tasks))]
            pool.tasks.remove(task)
            self.now += 1.5
            task()
        if self.dead:
            raise Crash
        return True

    def _at_work(self) -> list[tuple[Pool, Callable[[], None]]]:
        return [(pool, task) for pool in self.pools for task in list(pool.tasks)[: pool.workers]]

    def choose(self, count: int) -> int:
        self.turn += 1
        return self.round.order[self.turn % len(self.round.order)] % count

    def die(self) -> None:
        for index, (_, task) in enumerate(self._at_work()[: self.round.ghosts]):
            self.cloud.ghost = "late" if index % 2 else "now"
            task()
        self.cloud.ghost = ""
        self.dead = True
        for upload_id, parts in self.cloud.uploads.items():
            unknown = parts.keys() - self.committed.get(upload_id, {}).keys()
            self.lost.append(len(unknown - self.cloud.before.get(upload_id, set())))
        raise Crash

    def commit(self, moment: str) -> None:
        self.commits += moment == "before"
        if self.round.crash == (moment, self.commits):
            self.die()

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────────

    def play(self, round: Round) -> dict[str, Job]:
        """A run, and whatever happens; answers its jobs, none where it died."""
        for deed in round.between:
            self.act(deed)
        self.round, self.steps, self.commits = round, 0, 0
        self.begun = dict(self.cloud.counts)
        self.cloud.before = {upload_id: set(parts) for upload_id, parts in self.cloud.uploads.items()}
        try:
            jobs = self.run(round.names, cover=round.cover)
        except Crash:
            jobs = {}
        self.pools.clear()
        self.dead, self.round = False, CALM
        known = {r.grant.upload_id for r in self.records() if r.grant and r.state == "unfinished"}
        unknown = set(self.cloud.uploads) - known
        if jobs and not round.faults:
            self.wrong += [f"{upload_id} is left, and no journal knows it" for upload_id in unknown - self.orphans]
        self.orphans |= unknown
        return jobs

    def run(self, names: Sequence[str], *, cover: bool) -> dict[str, Job]:
        control = Control()
        control.inbox = Inbox(self, control)  # type: ignore[assignment]  # played
        ended: list[str] = []
        since = {name: len(self.history[name]) - 1 for name in names}
        jobs = {}
        for number, name in enumerate(names):
            source = FileSource(self.folder / name)
            jobs[name] = Job(Upload(number, source.size, window=CONCURRENCY), source, name, "text/plain", {})

        def done(job: Job) -> None:
            name = job.client_key
            ended.append(name)
            if job.upload.state is State.DONE and self.cloud.objects.get(name) not in self.history[name][since[name] :]:
                self.wrong.append(f"{name} is reported done, and is {self.cloud.objects.get(name)!r}")

        observer = SimpleNamespace(changed=lambda job: None, ended=done, stopping=lambda: None, tick=lambda: None)
        before = len(self.pools)
        engine = Engine(
            calls_of(self.cloud),
            make_request_token=os.urandom(4).hex().__add__,
            concurrency=CONCURRENCY,
            retry=AT_ONCE,
            clock=lambda: self.now,
        )
        keeper = Keeper(MortalJournal(self), "cloud", {"cover": cover})
        try:
            engine.run(iter(jobs.values()), Order(batch="b", cover=cover), observer, keeper, control)
        finally:
            del self.pools[before:]
        if sorted(ended) != sorted(names):
            self.wrong.append(f"of {sorted(names)} these ended: {sorted(ended)}")
        for job in jobs.values():
            if job.upload.state not in (*FINAL, State.PAUSED):
                self.wrong.append(f"{job.client_key} ended {job.upload.state}")
        return jobs

    def records(self) -> list[Record]:
        journal = Journal(self.folder / "state")
        try:
            return list(journal.records())
        finally:
            journal.close()


class Pool:
    """In the place of a ThreadPoolExecutor: tasks that wait to be done by ``World.step``."""

    def __init__(self, world: World, workers: int) -> None:
        self.tasks: deque[Callable[[], None]] = deque()
        self.workers = workers
        world.pools.append(self)

    def submit(self, task: Callable[[], None]) -> None:
        self.tasks.append(task)

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        self.tasks.clear()


class PlayedHands(Pool):
    """In the place of the threads that put: they wake the engine after each task."""

    def __init__(self, world: World, workers: int, answers: deque[Any], wake: Callable[[], None]) -> None:
        super().__init__(world, workers)
        world.pools[-2:] = world.pools[
            :-3:-1
        ]  # before the callers: the first of the tasks is a chunk's, where one waits
        self._answers = answers
        self._wake = wake

    def hand(self, task: Callable[[], Any], *, small: bool, waiting: int) -> None:
        def run() -> None:
            try:
                self._answers.append(task())
            except BaseException as error:  # noqa: BLE001  # as the threads do
                self._answers.append(error)
            self._wake()

        self.submit(run)

    def look(self) -> None:
        """There is one thread, whatever waits."""

    def close(self, wait: bool) -> None:
        self.tasks.clear()


class Inbox:
    """In the place of a SimpleQueue: who waits for something lets something happen."""

    def __init__(self, world: World, control: Control) -> None:
        self._world = world
        self._control = control
        self._items: deque[Any] = deque()
        self._idle = 0

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, timeout: float) -> Any:
        if not self._items and not self._world.step(self._control):
            self._rest(timeout)
        return self._next()

    def get_nowait(self) -> Any:
        if not self._items and self._world.choose(3) == 2:
            self._world.step(self._control)  # a worker was faster than the engine
        return self._next()

    def _next(self) -> Any:
        if not self._items:
            raise queue.Empty
        self._idle = 0
        return self._items.popleft()

    def _rest(self, seconds: float) -> None:
        """Nothing is on its way: time passes, and somebody wakes what is paused."""
        self._world.now += max(seconds, 0.1)
        self._idle += 1
        if self._idle in (3, 60):
            self._control.wish(Kind.RESUME)
        elif self._idle == 200:
            self._control.wish(Kind.STOP)
        assert self._idle < PATIENCE, "the run hangs"


class MortalJournal(Journal):
    """The journal of a process that may die: from then on nothing is written."""

    def __init__(self, world: World) -> None:
        super().__init__(world.folder / "state")
        self._world = world
        self._heard: list[Callable[[], object]] = []

    def find(self, ids: Sequence[str]) -> dict[str, Record]:
        found = super().find(ids)
        for id, record in found.items():
            if record.grant is not None:
                self._world.uploads_of[id] = record.grant.upload_id
        return found

    def begin(self, record: Record) -> None:
        super().begin(record)
        assert record.grant is not None
        self._world.uploads_of[record.id] = record.grant.upload_id

    def store(self, id: str, receipt: Receipt) -> None:
        super().store(id, receipt)
        parts = self._world.committed.setdefault(self._world.uploads_of[id], {})
        self._heard.append(lambda: parts.update({receipt.number: receipt.proof}))

    def forget(self, id: str, numbers: Collection[int]) -> None:
        super().forget(id, numbers)
        parts = self._world.committed.setdefault(self._world.uploads_of[id], {})
        for number in numbers:
            parts.pop(number, None)

    def commit(self) -> None:
        if self._world.dead:
            return
        said = bool(self._said)
        if said:
            self._world.commit("before")
        super().commit()
        for heard in self._heard:
            heard()
        self._heard.clear()
        if said:
            self._world.commit("after")


class SimCloud(Cloud):
    """A cloud that looks at what comes: nothing is sent twice, and no grant becomes wider."""

    def __init__(self, world: World, lifetime: float, seal: bool) -> None:
        self._world = world
        super().__init__(self._fate, seal=seal, lifetime=lifetime)
        self.ghost = ""
        self.before: dict[str, set[int]] = {}

    @property
    def now(self) -> float:
        return self._world.now

    @now.setter
    def now(self, value: float) -> None:
        """It is the world's."""

    def _fate(self, hook: str, count: int) -> str:
        if self._world.dead:
            raise Crash
        return "" if self.ghost else self._world.round.faults.get((hook, count - self._world.begun.get(hook, 0)), "")

    @hookimpl
    def token(self, request: TokenRequest) -> Any:
        for ask in request.files:
            old = ask.renew
            if old is not None:
                same = (old.key, old.size, old.type, old.cover) == (ask.key, ask.size, ask.type, request.cover)
                if not same:
                    self._world.wrong.append(f"a renewal of {old} was asked for as {ask}, cover={request.cover}")
        return Cloud.token(self, request)

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        data = b"".join(bytes(block) for block in chunk)
        if self.ghost == "late":
            self._world.late.append((grant.upload_id, chunk.number, data))
            raise errors.Denied("nobody hears this.")
        stored = self.uploads.get(grant.upload_id, {}).get(chunk.number)
        if chunk.number in self._world.committed.get(grant.upload_id, {}) and stored == data and not self.ghost:
            self._world.wrong.append(f"chunk {chunk.number} of {grant.upload_id} was stored, and is sent again")
        receipt: Receipt = Cloud.put_chunk(self, grant, chunk)
        return receipt


@contextmanager
def simulated(world: World) -> Iterator[None]:
    """While open, engines play in ``world``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("vvos_core.engine.ThreadPoolExecutor", lambda workers, **_: Pool(world, workers))
        patch.setattr(
            "vvos_core.engine.Hands",
            lambda *, small, large, answers, wake: PlayedHands(world, small, answers, wake),
        )
        patch.setattr("vvos_core.keeper.time", SimpleNamespace(time=lambda: world.now))
        patch.setattr(Fingerprint, "of", world.fingerprint)
        yield
