"""Group commit: what several threads write goes into one transaction, since the commit is what takes time.

While one transaction is committed the next writes gather, and whoever comes first then does them all. It waits a
little for those that are known to come soon, so that many calls at once share few transactions, and one call alone
waits for nothing. Nobody is answered before what it wrote is committed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

from ..errors import Unavailable

Result = TypeVar("Result")

PATIENCE = 0.01
"""Seconds that a transaction waits for writes that are expected."""


class GroupCommit:
    """``begin`` opens a transaction, which is committed at its end, or rolled back by an error. Shared by threads."""

    def __init__(self, begin: Callable[[], AbstractContextManager[Connection]]) -> None:
        self._begin = begin
        self._turn = threading.Lock()
        self._gathering = threading.Condition()
        self._gathered: list[_Write] = []
        self._expected = 0
        self._here = threading.local()

    @contextmanager
    def expected(self) -> Iterator[None]:
        """Inside, this thread computes, waiting for nobody, what it is about to write. At most one at a time."""
        with self._gathering:
            self._expected += 1
        self._here.expects = True
        try:
            yield
        finally:
            self.expect_no_more()

    def expect_no_more(self) -> None:
        """What this thread is to write will take longer. Harmless where nothing is expected of it."""
        if getattr(self._here, "expects", False):
            self._here.expects = False
            with self._gathering:
                self._expected -= 1
                if not self._expected:
                    self._gathering.notify_all()

    def run(self, order: bytes, write: Callable[[Connection], Result]) -> Result:
        """What ``write`` answers, once it is committed; what it raises, when nothing of it is.

        Parameters
        ----------
        order: the same for writes that may touch the same rows; those of one transaction are done by it, since two
            transactions that take the same rows in different orders would block each other.
        write: does its statements. It may be called again, when an error of another's has undone what it did.

        Raises also what ``begin`` and the commit raise: for all that were in the transaction.
        """
        mine = _Write(order, write)
        with self._gathering:
            self._gathered.append(mine)
        self.expect_no_more()
        with self._turn:  # for as long as others commit
            if not mine.done:
                with self._gathering:
                    if self._expected:
                        self._gathering.wait_for(lambda: not self._expected, PATIENCE)
                    together, self._gathered = self._gathered, []
                self._commit(sorted(together, key=lambda each: each.order))
        if mine.error is not None:
            raise mine.error
        result: Result = mine.result
        return result

    def _commit(self, together: list[_Write]) -> None:
        try:
            if not self._committed(together):
                for each in together:
                    self._committed([each])
        finally:
            for each in together:
                if not each.done:
                    each.end(Unavailable("the broker is stopping; try again."))

    def _committed(self, together: list[_Write]) -> bool:
        """Whether they have ended, well or not; False when all are undone by an error that is one's own."""
        own = False
        try:
            with self._begin() as connection:
                for each in together:
                    try:
                        each.result = each.do(connection)
                    except (OperationalError, InterfaceError):  # the database's
                        raise
                    except Exception:
                        own = True
                        raise
        except Exception as error:  # noqa: BLE001  # whatever one raises is raised again in its own call
            if own and len(together) > 1:
                return False
            for each in together:
                each.end(error)
        else:
            for each in together:
                each.end(None)
        return True


class _Write:
    """One of them, and what became of it."""

    def __init__(self, order: bytes, do: Callable[[Connection], Any]) -> None:
        self.order = order
        self.do = do
        self.result: Any = None
        self.error: Exception | None = None
        self.done = False

    def end(self, error: Exception | None) -> None:
        self.error, self.done = error, True
