"""A broker that is killed: calls run in forked children, which die at the n-th step of the database or the provider.

A step is each moment before and after a statement, a commit, a call of the provider, and what the provider's service
does in it. The children are forked from the test's process, so that no interpreter has to start; whoever forks has
closed its own connections.
"""

from __future__ import annotations

import itertools
import os
import signal
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event, func, select

from vvos_core.broker import schema
from vvos_core.broker.ledger import Ledger
from vvos_core.broker.service import Broker
from vvos_core.builtin.folder import Folder
from vvos_core.calls import Calls
from vvos_core.loader import load
from vvos_core.profile import BrokerSettings, Profile

from .fake import SEAL_KEY, Bench, Clock

PART = 1000
"""Bytes: what is larger goes in parts."""
MOST = 400
"""Steps; a call that has more does not end."""


class Stage(Bench):
    """A broker over a folder, and a database that both it and its children open."""

    def __init__(self, database: str, root: Path, clock: Clock) -> None:
        self.clock = clock
        self.root = root
        self._database = database
        settings = {"root": str(root), "threshold": PART, "part_size": PART}
        self._profile = Profile(name="main", provider="directory", settings=settings)
        self.broker = self.open()

    def open(self) -> Broker:
        """A broker of its own, as another process would have."""

        def open_ledger() -> Ledger:
            self.ledger = Ledger(self._database, connections=1)
            return self.ledger

        return Broker(
            BrokerSettings(seal_keys=(SEAL_KEY,), access="open"),
            lambda name: load(self._profile),
            open_ledger=open_ledger,
            default_profile="main",
            clock=self.clock,
        )

    def unfinished(self) -> set[str]:
        """The ids of all uploads that are left in the folder."""
        uploads = self.root / ".vvos" / "uploads"
        return set(os.listdir(uploads)) if uploads.exists() else set()

    def count(self, table: Any) -> int:
        assert self.ledger is not None
        with self.ledger.connect(writes=False) as connection:
            return connection.scalar(select(func.count()).select_from(table)) or 0

    def noted(self) -> set[str]:
        """The ids of all uploads that the database knows."""
        assert self.ledger is not None
        with self.ledger.connect(writes=False) as connection:
            return set(connection.scalars(select(schema.UPLOADS.c.upload_id)))

    def killed(self, call: Callable[[Stage, int], object], after: Callable[[int], None]) -> int:
        """``call`` in a child that is killed at its first step, then at its second, until one lives to the end.

        ``after`` is told the number of the child when it is dead. Answers how many were killed.
        """
        for number in itertools.count():
            assert number < MOST, "the call does not end"
            self.broker.close()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # newer Pythons warn of threads: these hold nothing
                child = os.fork()
            if child == 0:
                _die_or_do(self, call, number)
            _, status = os.waitpid(child, 0)
            after(number)
            if not os.WIFSIGNALED(status):
                assert os.waitstatus_to_exitcode(status) == 0, "the call failed in the child"
                return number
            assert os.WTERMSIG(status) == signal.SIGKILL
        raise AssertionError


def _die_or_do(stage: Stage, call: Callable[[Stage, int], object], number: int) -> None:
    """In the child: never returns."""
    status = 1
    try:
        stage.broker = stage.open()
        _arm(stage, number)
        call(stage, number)
        status = 0
    finally:
        os._exit(status)


def _arm(stage: Stage, number: int) -> None:
    """From now on count steps, and die at step ``number``."""
    steps = itertools.count()

    def step(*_: object) -> None:
        if next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        inner = getattr(owner, name)

        def stepped(*args: Any, **more: Any) -> Any:
            step()
            answer = inner(*args, **more)
            step()
            return answer

        setattr(owner, name, stepped)

    def execute(*_: object) -> None:
        step()

    event.listen(Engine, "before_cursor_execute", execute)
    event.listen(Engine, "after_cursor_execute", execute)
    assert stage.ledger is not None
    around(stage.ledger._engine.dialect, "do_commit")
    for name in ("token", "verify", "abort", "unfinished"):
        around(Calls, name)
    for name in ("begin", "abort"):
        around(Folder, name)


def names(number: int) -> Iterator[str]:
    """Three keys that no other child uses."""
    return (f"{number}/{name}" for name in ("片.mp4", "b.bin", "c.txt"))
