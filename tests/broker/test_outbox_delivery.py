"""Delivering: tried again later and later, given up visibly, by one at a time, and none keeps another from it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event as sql

from vvos_core.broker import delivery as module
from vvos_core.broker.delivery import LEASE, Counts, Delivery, Schedule
from vvos_core.broker.ledger import Entry, Ledger
from vvos_core.broker.profiles import Profiles
from vvos_core.errors import NotFound, ServiceFailed, Unavailable
from vvos_core.model import Grant, NotifyRequest

from .fake import Clock, FakeCalls, database

WAIT = 20.0  # seconds after which a test has failed; nothing waits so long


class Stage:
    """A ledger with listeners "app" and "sync", and deliveries on it."""

    def __init__(self, url: str) -> None:
        self.ledger = Ledger(url)
        self.clock = Clock()
        self.calls = FakeCalls()
        self.calls.listeners = ("app", "sync")
        self.heard: list[tuple[str, str, str]] = []
        self.made: list[Delivery] = []
        self.hear: Callable[[str, NotifyRequest], None] = lambda listener, request: None
        self.calls.hear = self._hear

    def _hear(self, listener: str, request: NotifyRequest) -> None:
        (done,) = request.objects
        assert done.event is not None
        self.heard.append((listener, done.grant.key, done.event.id))
        self.hear(listener, request)

    def record(self, *keys: str, request_id: str = "r", listeners: tuple[str, ...] = ("app",)) -> None:
        entries = [
            Entry(
                grant=Grant(provider="fake", key=key, client_key=key, size=5, profile="main"),
                url="https://x",
                checksum="",
                listeners=listeners,
            )
            for key in keys
        ]
        self.ledger.notify("小明", request_id, entries, self.clock.now)

    def delivery(self, **given: Any) -> Delivery:
        profiles = Profiles(lambda name: self.calls, "main")  # type: ignore[arg-type, return-value]  # a double
        made = Delivery(self.ledger.outbox, profiles, self.calls.listeners, clock=self.clock, **given)
        self.made.append(made)
        return made

    def close(self) -> None:
        for made in self.made:
            made.stop()
        self.ledger.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(database(tmp_path))
    yield made
    made.close()


def fails(error: BaseException) -> Callable[[str, NotifyRequest], None]:
    def hear(listener: str, request: NotifyRequest) -> None:
        raise error

    return hear


def test_what_is_delivered_is_forgotten(stage: Stage) -> None:
    stage.record("相册/a", "b", listeners=("app", "sync"))
    assert stage.delivery().drain() == Counts(delivered=4, failed=0)
    assert sorted((listener, key) for listener, key, _ in stage.heard) == [
        ("app", "b"),
        ("app", "相册/a"),
        ("sync", "b"),
        ("sync", "相册/a"),
    ]
    assert stage.ledger.outbox.waiting() == []
    assert stage.delivery().drain() == Counts()


def test_a_listener_that_fails_is_told_again_and_keeps_no_other(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    def hear(listener: str, request: NotifyRequest) -> None:
        if listener == "app":
            raise RuntimeError("a secret of the plugin")

    stage.hear = hear
    stage.record("a", listeners=("app", "sync"))
    assert stage.delivery().drain() == Counts(delivered=1, failed=1)
    (waiting,) = stage.ledger.outbox.waiting()
    assert (waiting.listener, waiting.attempts, waiting.error) == ("app", 1, "RuntimeError")
    assert stage.clock.now + 2.5 <= waiting.due_at <= stage.clock.now + 5
    assert stage.delivery().drain() == Counts(), "it is not due"
    stage.clock.now = waiting.due_at
    stage.hear = lambda listener, request: None
    assert stage.delivery().drain() == Counts(delivered=1)
    assert len({event_id for listener, _, event_id in stage.heard if listener == "app"}) == 1
    assert "not delivered" in caplog.text


def test_a_plugin_cannot_end_the_thread(stage: Stage) -> None:
    stage.hear = fails(SystemExit())
    stage.record("a", "b")
    assert stage.delivery().drain() == Counts(failed=2)


def test_it_waits_longer_each_time_and_then_gives_up(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    stage.hear = fails(ServiceFailed("the webhook app: x answered 500."))
    stage.record("a")
    waits = []
    for _ in range(17):
        assert stage.delivery().drain() == Counts(failed=1)
        (waiting,) = stage.ledger.outbox.waiting()
        waits.append(waiting.due_at - stage.clock.now)
        stage.clock.now = waiting.due_at
    assert all(2.5 * 2**n <= wait <= 5 * 2**n for n, wait in enumerate(waits[:13]))
    assert all(3 * 3600 <= wait <= 6 * 3600 for wait in waits[13:])
    assert 12 * 3600 < sum(waits) < 48 * 3600
    assert "dead letter" not in caplog.text
    assert stage.delivery().drain() == Counts(failed=1)
    (dead,) = stage.ledger.outbox.waiting(dead=True)
    assert (dead.attempts, dead.error) == (18, "the webhook app: x answered 500.")
    assert [record.levelname for record in caplog.records if "dead letter" in record.getMessage()] == ["ERROR"]
    stage.clock.now += 7 * 86400
    assert stage.delivery().drain() == Counts()


@pytest.mark.parametrize(("asked", "kept"), [(100.0, 100.0), (10.0**8, 6 * 3600.0), (0.5, 2.5)])
def test_the_receiver_may_ask_for_time(stage: Stage, asked: float, kept: float) -> None:
    stage.hear = fails(Unavailable("busy.", retry_after=asked))
    stage.record("a")
    stage.delivery().drain()
    (waiting,) = stage.ledger.outbox.waiting()
    assert waiting.due_at - stage.clock.now >= kept
    assert waiting.due_at - stage.clock.now <= max(kept, 5)


def test_a_receiver_that_is_gone_is_not_asked_again(stage: Stage) -> None:
    stage.hear = fails(NotFound("answered 410."))
    stage.record("a")
    assert stage.delivery().drain() == Counts(failed=1)
    assert [item.error for item in stage.ledger.outbox.waiting(dead=True)] == ["answered 410."]


def test_an_event_that_ends_every_broker_is_given_up(stage: Stage) -> None:
    stage.record("a")
    for n in range(18):
        assert stage.ledger.outbox.claim("app", f"broker-{n}", stage.clock.now, stage.clock.now) is not None
    assert stage.delivery().drain() == Counts(failed=1)
    assert stage.heard == []
    assert [item.error for item in stage.ledger.outbox.waiting(dead=True)] == [
        "every try ended together with its broker"
    ]


def test_what_another_release_wrote_is_a_failure_and_not_the_end(stage: Stage) -> None:
    stage.record("a", "b")
    with stage.ledger._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE vvos_outbox SET payload = CAST('{\"objects\": 7}' AS BLOB) WHERE key = 'a'")
    assert stage.delivery().drain() == Counts(delivered=1, failed=1)
    assert [item.error for item in stage.ledger.outbox.waiting()] == ["ValidationError"]


# ── in the background ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_recorded_is_told_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 3600.0)
    told = threading.Semaphore(0)
    stage.hear = lambda listener, request: told.release()
    delivery = stage.delivery()
    delivery.start()
    delivery.start()
    for key in ("a", "b"):
        stage.record(key)
        delivery.wake()
        assert told.acquire(timeout=WAIT)
    delivery.stop()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vvos-")]
    delivery.start()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("vvos-")]


def test_what_another_broker_recorded_is_found(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    told = threading.Event()
    stage.hear = lambda listener, request: told.set()
    stage.delivery().start()
    stage.record("a")
    assert told.wait(WAIT)


def test_a_listener_that_hangs_keeps_only_itself_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "STOP_SECONDS", 0.1)
    free, sync = threading.Event(), threading.Semaphore(0)

    def hear(listener: str, request: NotifyRequest) -> None:
        if listener == "app":
            free.wait(WAIT)
        else:
            sync.release()

    stage.hear = hear
    delivery = stage.delivery()
    delivery.start()
    stage.record("a", "b", listeners=("app", "sync"))
    assert sync.acquire(timeout=WAIT)
    assert sync.acquire(timeout=WAIT)
    delivery.stop()  # does not wait for it
    free.set()
    for thread in delivery._threads:
        thread.join(WAIT)


def test_a_delivery_that_takes_long_keeps_its_claim(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEASE", 0.03)
    free, begun, held = threading.Event(), threading.Event(), threading.Event()

    def hear(listener: str, request: NotifyRequest) -> None:
        begun.set()
        free.wait(WAIT)

    stage.hear = hear
    delivery = stage.delivery()
    stage.record("a")
    delivery.start()
    assert begun.wait(WAIT)
    stage.clock.now += 1.0  # longer than the lease that was taken

    @sql.listens_for(stage.ledger._engine, "commit")
    def committed(connection: Any) -> None:
        found = connection.exec_driver_sql("SELECT claimed_until FROM vvos_outbox").scalar()
        if found is not None and found > stage.clock.now:
            held.set()

    assert held.wait(WAIT)
    assert stage.ledger.outbox.claim("app", "another", stage.clock.now, stage.clock.now + LEASE) is None
    free.set()


def test_when_the_database_fails_after_a_delivery_it_is_made_again_with_the_same_id(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL", 0.01)
    monkeypatch.setattr(module, "LEASE", 0.03)  # and is renewed all the time, where it is still held
    stage.record("a")
    broken = threading.Event()
    honest = stage.ledger.outbox.delivered

    def delivered(event: Any) -> None:
        if broken.is_set():
            honest(event)
        else:
            broken.set()
            raise Unavailable("the broker's database went away; try again.")

    monkeypatch.setattr(stage.ledger.outbox, "delivered", delivered)
    again = threading.Event()
    stage.hear = lambda listener, request: again.set() if broken.is_set() else None
    delivery = stage.delivery()
    delivery.start()
    assert broken.wait(WAIT)
    assert not again.is_set()
    for _ in range(300):
        stage.clock.now += 0.005
        if again.wait(0.02):
            break
    delivery.stop()
    assert len(stage.heard) == 2
    assert len(set(stage.heard)) == 1
    assert stage.ledger.outbox.waiting() == []


def test_the_schedule_is_random_within_its_bounds() -> None:
    waits = {Schedule().wait(3) for _ in range(50)}
    assert len(waits) > 10
    assert all(10 <= wait <= 20 for wait in waits)
