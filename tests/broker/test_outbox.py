"""The outbox on both databases: written with what is recorded, claimed by one, in order for each key."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import OperationalError

from vvos_core.broker import schema
from vvos_core.broker.ledger import Entry, Ledger
from vvos_core.errors import Unavailable
from vvos_core.model import Call, Grant

from .fake import NOW, Bench

LEASE = 60.0


@pytest.fixture
def ledger(any_database: str) -> Iterator[Ledger]:
    made = Ledger(any_database)
    yield made
    made.close()


def entry(key: str, *listeners: str) -> Entry:
    grant = Grant(
        provider="fake",
        key=key,
        client_key=key,
        size=5,
        profile="main",
        upload_id="capability-1",
        access_token="capability-2",
        data={"put": "capability-3"},
    )
    return Entry(grant=grant, url=f"https://x/{key}", checksum="md5:AAAA", listeners=listeners or ("app",))


def record(ledger: Ledger, *keys: str, request_id: str = "r", now: float = NOW) -> None:
    ledger.notify("小明", request_id, [entry(key) for key in keys], now)


def claim(ledger: Ledger, now: float = NOW, owner: str = "me", listener: str = "app") -> Any:
    return ledger.outbox.claim(listener, owner, now, now + LEASE)


def test_what_is_recorded_is_to_be_told_once_to_each_listener(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.notify("小明", "r", [entry("相册/a", "app", "sync")], NOW, Call(body={"order": 7}))
    app, sync = ledger.outbox.waiting()
    assert (app.listener, sync.listener, app.key, app.profile) == ("app", "sync", "相册/a", "main")
    assert app.id != sync.id
    assert app.id.startswith("evt_")
    claimed = claim(ledger)
    assert claimed.event_id == app.id
    (done,) = claimed.request().objects
    assert (done.event.id, done.event.url, done.event.who) == (app.id, "https://x/相册/a", "小明")
    assert (done.event.request_id, done.event.at, done.checksum, done.size) == ("r", NOW, "md5:AAAA", 5)
    assert claimed.request().call == Call(body={"order": 7})


def test_a_listener_is_given_nothing_to_put_with(ledger: Ledger) -> None:
    record(ledger, "a")
    assert b"capability" not in claim(ledger).payload


def test_the_id_is_of_the_upload_and_the_listener(any_database: str, tmp_path: Any) -> None:
    ids: set[str] = set()
    for url in (any_database, f"sqlite:///{tmp_path / 'another.db'}"):
        ledger = Ledger(url)
        record(ledger, "a", now=NOW + len(ids))
        ids.add(ledger.outbox.waiting()[0].id)
        ledger.close()
    assert ids == {"evt_6178d7c86270e3cf664a3154df188d3e"}, "it stays the same in every release"


def test_nothing_is_to_be_told_where_the_transaction_fails(ledger: Ledger) -> None:
    @event.listens_for(ledger._engine, "before_cursor_execute")
    def fail(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO vvos_outbox" in statement:
            raise OperationalError(statement, {}, Exception("gone"))

    with pytest.raises(Unavailable):
        record(ledger, "a")
    event.remove(ledger._engine, "before_cursor_execute", fail)
    assert ledger.outbox.waiting() == []
    record(ledger, "a")
    assert len(ledger.outbox.waiting()) == 1, "and nothing was recorded either"


def test_a_key_stands_in_line_and_no_other_does(ledger: Ledger) -> None:
    record(ledger, "a", request_id="1")
    record(ledger, "a", request_id="2", now=NOW - 9)
    record(ledger, "b", request_id="1")
    first = claim(ledger)
    second = claim(ledger)
    assert (first.key, second.key) == ("a", "b")
    assert claim(ledger) is None
    ledger.outbox.failed(first, "no.", due_at=NOW + 5)
    assert claim(ledger) is None, "the later one of the key waits, though it is due"
    assert claim(ledger, NOW + 5).event_id == first.event_id
    ledger.outbox.delivered(first)
    assert claim(ledger).request().objects[0].event.request_id == "2"


def test_what_is_given_up_makes_way_and_can_be_put_back(ledger: Ledger) -> None:
    record(ledger, "a", request_id="1")
    record(ledger, "a", request_id="2")
    first = claim(ledger)
    ledger.outbox.failed(first, "gone.", due_at=NOW, dead_at=NOW)
    second = claim(ledger)
    assert second.event_id != first.event_id
    (dead,) = ledger.outbox.waiting(dead=True)
    assert (dead.id, dead.error, dead.attempts, dead.dead_at) == (first.event_id, "gone.", 1, NOW)
    assert ledger.outbox.retry([second.event_id, "evt_none"], NOW) == set()
    assert ledger.outbox.retry([first.event_id], NOW) == {first.event_id}
    again = claim(ledger)
    assert (again.event_id, again.attempts) == (first.event_id, 1)
    assert ledger.outbox.retry([], NOW) == set()
    ledger.outbox.failed(again, "gone.", due_at=NOW, dead_at=NOW)
    assert ledger.outbox.retry([], NOW) == {first.event_id}


def test_a_claim_that_ran_out_is_another_ones(ledger: Ledger) -> None:
    record(ledger, "a")
    mine = claim(ledger)
    assert claim(ledger, NOW + LEASE - 1, "other") is None
    theirs = claim(ledger, NOW + LEASE, "other")
    assert (theirs.event_id, theirs.attempts, theirs.payload) == (mine.event_id, 2, mine.payload)
    ledger.outbox.delivered(mine)
    ledger.outbox.failed(mine, "late.", due_at=NOW, dead_at=NOW)
    assert [item.error for item in ledger.outbox.waiting()] == [""], "the one that lost its claim changes nothing"
    ledger.outbox.delivered(theirs)
    assert ledger.outbox.waiting() == []


def test_a_claim_lasts_as_long_as_it_is_held(ledger: Ledger) -> None:
    record(ledger, "a", "b")
    held, left = claim(ledger), claim(ledger)
    ledger.outbox.hold("me", [held.sequence], NOW + 5 * LEASE)
    ledger.outbox.hold("other", [left.sequence], NOW + 5 * LEASE)
    assert claim(ledger, NOW + 2 * LEASE, "other").event_id == left.event_id
    assert claim(ledger, NOW + 2 * LEASE, "other") is None


def test_many_claim_each_event_once(any_database: str) -> None:
    ledgers = [Ledger(any_database, connections=2) for _ in range(3)]
    record(ledgers[0], *(f"第{n}张" for n in range(60)))
    claimed: list[str] = []
    start = threading.Barrier(6)

    def work(ledger: Ledger, owner: str) -> None:
        start.wait()
        while (got := claim(ledger, owner=owner)) is not None:
            claimed.append(got.event_id)
            if len(claimed) % 2:
                ledger.outbox.delivered(got)

    threads = [threading.Thread(target=work, args=(ledgers[n % 3], f"owner-{n}")) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for ledger in ledgers:
        ledger.close()
    assert len(claimed) == len(set(claimed)) == 60


def test_a_database_of_the_first_version_is_brought_up(any_database: str) -> None:
    ledger = Ledger(any_database)
    ledger.notify("小明", "r", [Entry(grant=entry("a").grant, url="https://x/1", checksum="")], NOW)
    with ledger._engine.begin() as connection:
        connection.execute(text("DROP TABLE vvos_outbox"))
        connection.execute(text("UPDATE vvos_meta SET value = '1' WHERE name = 'schema'"))
    ledger.close()
    ledger = Ledger(any_database)
    assert inspect(ledger._engine).has_table("vvos_outbox")
    record(ledger, "a", "b")
    assert [item.key for item in ledger.outbox.waiting()] == ["b"], "what was recorded before stays told"
    with ledger._engine.connect() as connection:
        assert connection.scalar(text("SELECT value FROM vvos_meta")) == str(schema.VERSION)
    ledger.close()


def test_business_parameters_that_are_too_long_to_be_told_are_refused(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    token = bench.gettoken("a")["accessToken"]
    bench.fake.objects["a"] = (5, "")
    answer = bench.call("notifier", accessToken=token, keys=["a"], note="x" * 16 * 1024)
    assert (answer.status, answer.code) == (413, "TOO_LARGE")
    assert bench.fake.asked == ["token"]
    assert bench.call("notifier", accessToken=token, keys=["a"], note="x" * 16 * 1000).status == 200
