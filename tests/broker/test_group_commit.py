"""Several calls' writes in one transaction: those that are expected are waited for, and nobody waits for nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from vvos_core.broker import group_commit
from vvos_core.broker.group_commit import GroupCommit


class Database:
    """Counts transactions."""

    def __init__(self) -> None:
        self.transactions = 0

    @contextmanager
    def begin(self) -> Iterator[Any]:
        self.transactions += 1
        yield self


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def group(database: Database) -> GroupCommit:
    return GroupCommit(database.begin)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE", 30)


def test_a_write_waits_for_one_that_is_expected(
    group: GroupCommit, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected, waits = threading.Event(), threading.Event()
    wait_for = group._gathering.wait_for

    def waiting(predicate: Callable[[], bool], timeout: float) -> bool:
        waits.set()
        return wait_for(predicate, timeout)

    monkeypatch.setattr(group._gathering, "wait_for", waiting)
    answers = []

    def late() -> None:
        with group.expected():
            expected.set()
            if waits.wait(10):
                answers.append(group.run(b"2", lambda connection: "二"))

    other = threading.Thread(target=late)
    other.start()
    assert expected.wait(10)
    assert group.run(b"1", lambda connection: "一") == "一"
    other.join()
    assert (answers, database.transactions) == (["二"], 1)


def test_one_alone_waits_for_nothing(group: GroupCommit, database: Database) -> None:
    with group.expected():
        assert group.run(b"1", lambda connection: 1) == 1
    assert group.run(b"1", lambda connection: 2) == 2
    assert database.transactions == 2


def test_nobody_waits_for_what_fails_or_says_that_it_takes_longer(group: GroupCommit) -> None:
    with pytest.raises(ValueError, match="none"), group.expected():
        raise ValueError("none")
    told, go = threading.Event(), threading.Event()

    def slow() -> None:
        with group.expected():
            group.expect_no_more()
            told.set()
            assert go.wait(30)

    other = threading.Thread(target=slow)
    other.start()
    assert told.wait(30)
    done = threading.Thread(target=lambda: group.run(b"1", lambda connection: 1))
    done.start()
    done.join(10)
    assert not done.is_alive(), "it waited for one that had said it would take longer"
    go.set()
    other.join()


def test_patience_ends(group: GroupCommit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE", 0.001)
    expected, go = threading.Event(), threading.Event()

    def never() -> None:
        with group.expected():
            expected.set()
            assert go.wait(30)

    other = threading.Thread(target=never)
    other.start()
    assert expected.wait(30)
    assert group.run(b"1", lambda connection: 1) == 1
    go.set()
    other.join()
