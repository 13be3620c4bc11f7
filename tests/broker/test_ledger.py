"""The ledger on both databases: recorded once by whoever is first, a versioned schema, sentences for the rest."""

from __future__ import annotations

import sqlite3
import sys
import threading
import traceback
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from vvos_core.broker import schema
from vvos_core.broker.ledger import Entry, Ledger, Recorded
from vvos_core.errors import ConfigError, Unavailable
from vvos_core.model import Grant

from .fake import NOW, Bench, database


@pytest.fixture
def ledger(any_database: str) -> Iterator[Ledger]:
    made = Ledger(any_database)
    yield made
    made.close()


def grant(key: str, upload_id: str = "", expires_at: float = NOW) -> Grant:
    return Grant(
        provider="fake", key=key, client_key=key, size=2**40, upload_id=upload_id, expires_at=expires_at, profile="main"
    )


def record(ledger: Ledger, *grants: Grant, who: str = "小明", request_id: str = "r", token: str = "t") -> Any:
    return ledger.grant(
        who,
        request_id,
        asked=b"\x00\xffdigest",
        access_token=token,
        failed=b"[]",
        issued_at=NOW,
        expires_at=NOW + 1,
        grants=grants,
    )


def entry(key: str, url: str = "https://x/1", upload_id: str = "") -> Entry:
    return Entry(grant=grant(key, upload_id), url=url, checksum="md5:AAAA")


def rows(ledger: Ledger, table: Any) -> list[Any]:
    with ledger._engine.connect() as connection:
        return list(connection.execute(select(table).order_by(table.c.key)).mappings())


def test_the_first_grant_wins(ledger: Ledger) -> None:
    assert ledger.granted("小明", "r") is None
    assert record(ledger, grant("a", "u1")) is None
    first = Recorded(b"\x00\xffdigest", "t", b"[]")
    assert record(ledger, grant("b", "u2"), token="other") == first
    assert ledger.granted("小明", "r") == first
    assert [row["upload_id"] for row in rows(ledger, schema.UPLOADS)] == ["u1"]


def test_who_and_request_name_it_together(ledger: Ledger) -> None:
    assert record(ledger, who="a", request_id="bc") is None
    assert record(ledger, who="ab", request_id="c") is None
    assert ledger.granted("a", "b") is None


def test_uploads_are_kept_until_they_are_finished(ledger: Ledger) -> None:
    record(ledger, grant("a", "u1"), grant("b", "u2"), grant("c"))
    ledger.renew("小明", "r", [grant("a", "u1", NOW + 99), grant("c")])
    assert [
        (row["profile"], row["key"], row["upload_id"], row["expires_at"]) for row in rows(ledger, schema.UPLOADS)
    ] == [
        ("main", "a", "u1", NOW + 99),
        ("main", "b", "u2", NOW),
    ]
    ledger.notify("小明", "r", [entry("a", upload_id="u1"), entry("c")], NOW)
    assert [(row["key"], row["expires_at"]) for row in rows(ledger, schema.UPLOADS)] == [("a", 0), ("b", NOW)]


def test_notified_once_and_answered_the_same(ledger: Ledger) -> None:
    assert ledger.notify("小明", "r", [entry("a"), entry("相册/b")], NOW) == (
        {"a": "https://x/1", "相册/b": "https://x/1"},
        {"a", "相册/b"},
    )
    urls, new = ledger.notify("小明", "r", [entry("a", "https://x/2"), entry("c")], NOW + 5)
    assert (urls, new) == ({"a": "https://x/1", "c": "https://x/1"}, {"c"})
    assert ledger.notified("小明", "r", [grant("a"), grant("d")]) == {"a": "https://x/1"}
    assert ledger.notified("小红", "r", [grant("a")]) == {}
    found = {row["key"]: row for row in rows(ledger, schema.NOTIFIED)}
    assert (found["a"]["size"], found["a"]["checksum"], found["a"]["notified_at"]) == (2**40, "md5:AAAA", NOW)
    assert (found["a"]["who"], found["a"]["request_id"], found["a"]["profile"]) == ("小明", "r", "main")


def test_thousands_of_keys(ledger: Ledger) -> None:
    entries = [entry(f"第{n}张", upload_id=f"u{n}") for n in range(3000)]
    assert len(ledger.notify("小明", "r", entries, NOW)[1]) == 3000
    assert len(ledger.notified("小明", "r", [item.grant for item in entries])) == 3000


def test_nothing_to_record(ledger: Ledger) -> None:
    assert ledger.notify("小明", "r", [], NOW) == ({}, set())
    assert ledger.notified("小明", "r", []) == {}


def test_threads_that_notify_the_same_in_other_orders_do_not_block_each_other(ledger: Ledger) -> None:
    entries = [entry(f"k{n}") for n in range(3000)]
    new: list[set[str]] = []
    start = threading.Barrier(8)

    def notify(mine: list[Entry]) -> None:
        start.wait()
        new.append(ledger.notify("小明", "r", mine, NOW)[1])

    threads = [threading.Thread(target=notify, args=(entries[:: -1 if n % 2 else 1],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(new) == 8
    assert sum(map(len, new)) == 3000
    assert len(rows(ledger, schema.NOTIFIED)) == 3000


def test_it_is_found_again(any_database: str) -> None:
    first = Ledger(any_database)
    record(first, grant("a"))
    first.close()
    second = Ledger(any_database)
    assert second.granted("小明", "r") is not None
    second.close()


def test_brokers_that_start_together_make_one_schema(any_database: str) -> None:
    ledgers: list[Ledger] = []
    start = threading.Barrier(4)

    def open_one() -> None:
        start.wait()
        ledgers.append(Ledger(any_database, connections=1))

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledgers) == 4
    for made in ledgers:
        made.ping()
        made.close()


def test_a_newer_schema_is_refused(any_database: str) -> None:
    made = Ledger(any_database)
    with made._engine.begin() as connection:
        connection.execute(text("UPDATE vvos_meta SET value = '7' WHERE name = 'schema'"))
    made.close()
    with pytest.raises(ConfigError, match="it has schema 7, and this release knows schema 2; update VVOS"):
        Ledger(any_database)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("mysql://user:hunter2@host/db", "not the URL of a database that the broker knows"),
        ("nonsense hunter2", "not the URL"),
        ("", "not the URL"),
        ("sqlite://", "SQLite needs a file"),
        ("sqlite:///:memory:", "SQLite needs a file"),
        ("sqlite:////no/such/folder/hunter.db", "unable to open database file"),
        (
            "postgresql://user:hunter2@127.0.0.1:1/db",
            r"postgresql\+psycopg://user:\*\*\*@127.0.0.1:1/db cannot be opened",
        ),
        ("postgres://user:hunter2@127.0.0.1:1/db", "cannot be opened"),
    ],
)
def test_a_url_that_cannot_be_opened_is_a_sentence_without_the_password(url: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        Ledger(url)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_driver_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ConfigError, match=r"'psycopg' is not installed; install vvos\[broker,postgres\]"):
        Ledger("postgresql://user@127.0.0.1:1/db")


def test_a_file_that_is_no_database_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "broker.db").write_text("not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(ConfigError, match="file is not a database"):
        Ledger(database(tmp_path))


def test_a_locked_database_is_503_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "BUSY_SECONDS", 0.05)
    bench = Bench(database(tmp_path))
    other = sqlite3.connect(tmp_path / "broker.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    answer = bench.gettoken("a", size=3 * 2**20)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert bench.fake.asked == [], "nothing is begun that could not be noted"
    other.execute("ROLLBACK")
    other.close()
    assert bench.gettoken("a").status == 200
    bench.broker.close()


def test_a_database_that_goes_away_is_503_and_comes_back(postgresql: str) -> None:
    import psycopg

    bench = Bench(postgresql)
    assert bench.broker.health().status == 200
    name = postgresql.rpartition("/")[2]
    server = postgresql.rpartition("/")[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        assert bench.broker.health().status == 503
        assert bench.gettoken("a").code == "UNAVAILABLE"
        admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert bench.gettoken("a").status == 200
    assert bench.broker.health().status == 200
    bench.broker.close()


def test_an_error_never_shows_what_was_to_be_recorded(ledger: Ledger) -> None:
    with ledger._engine.begin() as connection:
        connection.execute(text("DROP TABLE vvos_grants"))
    sealed = uuid.uuid4().hex  # not a literal: a traceback shows the lines of this file
    with pytest.raises((Unavailable, ProgrammingError)) as caught:
        record(ledger, token=sealed)
    trace = "".join(traceback.format_exception(caught.value))
    assert "vvos_grants" in trace
    assert sealed not in trace
