"""A child that is killed at its n-th step, for each n, and what its successor finds. Prints a line of JSON per n.

A step is a statement that SQLite runs, or a name that the journal makes or changes in its folder.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.journal.making import grant, receipt, record
from vvos_core.journal import Journal


def commits(journal: Journal) -> Iterator[None]:
    """A life of some uploads; commits at each yield."""
    one, two, three = (record(number) for number in (1, 2, 3))
    journal.begin(one)
    yield
    journal.begin(two)
    journal.begin(three)
    journal.store(one.id, receipt(1))
    yield
    for number in range(2, 6):
        journal.store(one.id, receipt(number))
        journal.store(two.id, receipt(number))
    yield
    journal.renew(two.id, grant(2, token="renewed"))
    journal.forget(two.id, [2, 3])
    yield
    journal.finish(one.id, key="存/1", checksum="c:1", url="u")
    journal.fail(two.id, "DENIED: no.")
    yield
    journal.begin(record(2, begun_at=9000.0, receipts=(receipt(9),)))
    journal.drop(three.id)
    yield


def state(folder: Path) -> dict[str, Any]:
    journal = Journal(folder)
    found = {
        one.client_key: [one.state, one.error, one.begun_at, one.grant and one.grant.access_token, one.key]
        + [receipt.number for receipt in one.receipts]
        for one in journal.records()
    }
    journal.close()
    return found


def die_at(step: int) -> None:
    """End this process with SIGKILL at its ``step``-th step."""
    left = [step]

    def count(*_: object) -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(count)
        return connection

    def counted(do: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            count()
            answer = do(*args, **options)
            count()
            return answer

        return call

    setattr(sqlite3, "connect", traced)  # noqa: B010  # an assignment would have to have its overloads
    for name in ("open", "mkdir", "rename", "replace", "unlink", "fsync"):
        setattr(os, name, counted(getattr(os, name)))


def child(folder: Path, step: int, damaged: bool, written: int) -> None:
    if damaged:
        (folder / "journal-1.db").write_bytes(b"\xff" * 100 + (folder / "journal-1.db").read_bytes()[100:])
    die_at(step)
    journal = Journal(folder)
    if damaged:
        list(journal.records())
    else:
        for number, _ in enumerate(commits(journal), 1):
            journal.commit()
            os.write(written, bytes([number]))
    os._exit(0)


def main(root: Path, damaged: bool) -> None:
    step, status = 0, 1
    while status:
        step += 1
        folder = root / str(step)
        if damaged:
            journal = Journal(folder)
            for _ in commits(journal):
                journal.commit()
            journal.close()
        read, write = os.pipe()
        pid = os.fork()
        if not pid:
            child(folder, step, damaged, write)
        os.close(write)
        committed = os.read(read, 100)
        while more := os.read(read, 100):
            committed += more
        os.close(read)
        _, status = os.waitpid(pid, 0)
        told = {"step": step, "status": status, "committed": len(committed), "found": state(folder)}
        print(json.dumps(told))  # noqa: T201  # a program of its own: this is its answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] == "damaged")
