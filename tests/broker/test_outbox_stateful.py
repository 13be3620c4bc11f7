"""Any order of uploads, failures, crashes, waiting and putting back: nothing is lost, nothing overtakes, ids stay."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vvos_core.broker.delivery import LEASE, Delivery
from vvos_core.broker.ledger import Entry, Ledger
from vvos_core.broker.profiles import Profiles
from vvos_core.errors import NotFound, ServiceFailed
from vvos_core.model import Grant, NotifyRequest

from ..effort import examples
from .fake import Clock, FakeCalls, database

KEYS = ("相册/a", "b")
HOUR = 3600.0


class Crash(BaseException):
    """The process ends here: not even what follows in the broker is done."""


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(database(Path(self._folder.name)), connections=4)
        self.clock = Clock()
        self.calls = FakeCalls()
        self.calls.hear = self._hear
        self.recorded: dict[str, list[str]] = {key: [] for key in KEYS}
        self.taken: dict[str, list[str]] = {key: [] for key in KEYS}  # request ids, each as often as it came
        self.ids: dict[tuple[str, str], set[str]] = {}
        self.given_up: set[tuple[str, str]] = set()
        self.fate = "takes"
        self.overtook = False

    def teardown(self) -> None:
        self.ledger.close()
        self._folder.cleanup()

    def _hear(self, listener: str, request: NotifyRequest) -> None:
        (done,) = request.objects
        assert done.event is not None
        key, upload = done.grant.key, done.event.request_id
        self.ids.setdefault((key, upload), set()).add(done.event.id)
        earlier = self.recorded[key][: self.recorded[key].index(upload)]
        # Not asserted here: the delivery would take it for the listener's failure.
        self.overtook |= any(each not in self.taken[key] and (key, each) not in self.given_up for each in earlier)
        if self.fate == "fails":
            raise ServiceFailed("no.")
        if self.fate == "gone":
            self.given_up.add((key, upload))
            raise NotFound("gone.")
        self.taken[key].append(upload)

    def deliver(self) -> None:
        profiles = Profiles(lambda name: self.calls, "main")  # type: ignore[arg-type, return-value]  # a double
        delivery = Delivery(self.ledger.outbox, profiles, ["app"], clock=self.clock)
        while delivery._deliver("app") is not None:
            pass

    @rule(key=st.sampled_from(KEYS), again=st.booleans())
    def upload(self, key: str, again: bool) -> None:
        known = self.recorded[key]
        request_id = known[0] if again and known else str(len(known))
        if request_id not in known:
            known.append(request_id)
        grant = Grant(provider="fake", key=key, client_key=key, size=5, profile="main")
        entry = Entry(grant=grant, url="https://x", checksum="", listeners=("app",))
        self.ledger.notify("小明", request_id, [entry], self.clock.now)

    @rule(fate=st.sampled_from(["takes", "fails", "gone"]))
    def run(self, fate: str) -> None:
        self.fate = fate
        self.deliver()

    @rule()
    def crash_after_it_was_taken(self) -> None:
        self.fate = "takes"
        honest = self.ledger.outbox.delivered

        def crash(event: Any) -> None:
            raise Crash

        self.ledger.outbox.delivered = crash  # type: ignore[method-assign]  # until the crash
        try:
            self.deliver()
        except Crash:
            pass
        finally:
            self.ledger.outbox.delivered = honest  # type: ignore[method-assign]  # as above

    @rule(seconds=st.sampled_from([1.0, 10.0, LEASE, HOUR]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: self.given_up)
    @rule()
    def put_back(self) -> None:
        dead = {item.id for item in self.ledger.outbox.waiting(dead=True)}
        assert self.ledger.outbox.retry([], self.clock.now) == dead

    @invariant()
    def nothing_overtakes(self) -> None:
        assert not self.overtook

    @invariant()
    def an_upload_has_one_id(self) -> None:
        assert all(len(ids) == 1 for ids in self.ids.values())
        every = [next(iter(ids)) for ids in self.ids.values()]
        assert len(every) == len(set(every))

    @rule()
    def in_the_end_each_was_taken(self) -> None:
        self.put_back()
        self.fate = "takes"
        self.clock.now += 7 * HOUR
        for _ in range(2):  # a key's later event, that failed, may be due before its earlier one
            self.deliver()
        assert self.ledger.outbox.waiting() == []
        for key in KEYS:
            assert set(self.taken[key]) == set(self.recorded[key])


TestOutbox = Machine.TestCase
TestOutbox.settings = settings(
    max_examples=examples(25),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
