"""A broker that is killed between any two statements: each event arrives, twice at most under one id, and in order."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from vvos_core.broker.delivery import LEASE
from vvos_core.broker.ledger import Ledger
from vvos_core.broker.schema import NOTIFIED, OUTBOX

from .outbox_crashing import NOW, run as work
from .receiving import Receiver

Run = Callable[..., list[int]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Does tasks at the same time, each in a process of its own; answers how these ended."""
    program = [sys.executable, "-m", "tests.broker.outbox_crashing"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def run(*tasks: dict[str, Any]) -> list[int]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(tasks) + "\n")
            process.stdin.flush()
            return [int(status) for status in json.loads(process.stdout.readline())]

        try:
            yield run
        finally:
            process.stdin.close()
            process.wait(30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def in_order(receiver: Receiver, key: str) -> list[str]:
    """The request ids of one key as they came, each repetition in a row left out."""
    came = [delivered.body["data"]["requestId"] for delivered in receiver.seen if delivered.key == key]
    return [each for number, each in enumerate(came) if number == 0 or came[number - 1] != each]


@pytest.mark.parametrize("do", ["notify", "deliver"])
def test_killed_at_every_moment(any_database: str, run: Run, receiver: Receiver, do: str) -> None:
    task: dict[str, Any] = {"database": any_database, "url": receiver.url, "keys": ["相册/a"]}
    again = {**task, "now": NOW + 1 + LEASE}
    repeated, status, moments = 0, -9, 0
    while status != 0:
        moments += 1
        clear(any_database)
        if do == "deliver":
            work(**task, do="notify")
        (status,) = run({**task, "do": do, "die_at": moments})
        assert status in (0, -9)
        # The client asks again, another broker is there, and the claim of the one that was killed runs out.
        work(**again, do="notify")
        work(**again, do="deliver")
        assert len(set(receiver.ids)) == 2, f"killed at moment {moments}"
        assert len(receiver.ids) in (2, 3)
        assert in_order(receiver, "相册/a") == ["1", "2"]
        repeated += len(receiver.ids) == 3
        receiver.seen.clear()
    assert moments > 10
    assert (repeated > 0) == (do == "deliver"), "what was delivered and not yet forgotten comes again, and nothing else"


def clear(url: str) -> None:
    ledger = Ledger(url)
    with ledger._engine.begin() as connection:
        connection.execute(delete(NOTIFIED))
        connection.execute(delete(OUTBOX))
    ledger.close()


def test_brokers_share_the_work_and_send_nothing_twice(any_database: str, run: Run, receiver: Receiver) -> None:
    keys = [f"第{n}张" for n in range(25)]
    task: dict[str, Any] = {"database": any_database, "url": receiver.url, "keys": keys}
    work(**task, do="notify")
    # One may end while the other still has the first event of the last keys; whoever comes next has the rest.
    assert run(*[{**task, "do": "deliver"}] * 3) == [0, 0, 0]
    work(**task, do="deliver")
    assert len(receiver.ids) == len(set(receiver.ids)) == 50
    assert all(in_order(receiver, key) == ["1", "2"] for key in keys)
