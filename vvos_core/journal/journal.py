"""The client's journal: what was granted and what the service confirmed, for the run after a crash."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from ..errors import Busy, JournalError
from ..model import Grant, Receipt
from . import tables
from .folder import state_folder
from .record import Record, receipt_row, row_id, upload_row

if TYPE_CHECKING:
    from sqlite3 import Connection

    from .database import Database

_T = TypeVar("_T")
_UNSYNCED = 1.0
"""Seconds (monotonic) of commits that a loss of power may cost at most."""
_PRUNE_EVERY = 1000


class Journal:
    """The uploads of one user, in one folder that several processes share. One thread at a time uses a ``Journal``.

    ``begin``, ``renew``, ``store``, ``forget``, ``fail``, ``finish`` and ``drop`` only gather; ``commit`` writes what
    they said in one transaction. ``find`` and ``records`` answer what was committed.

    What was committed survives the end of the process, whatever ends it. A loss of power keeps every commit with a
    ``begin``, ``finish`` or ``drop`` and all before it; of the others it may take those of the last second, which costs
    sending those chunks again.

    A damaged journal is replaced by what can be read of it, which a warning in the log tells; the damaged one is kept.

    Every method but ``release`` and ``close`` raises ``JournalError`` when the journal cannot be used (no room, no
    leave to write, held by another process for five seconds, of a later version), and the same again from then on.
    ``ValueError`` is raised for an id that ``identity`` did not make.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        """``folder``: else the environment variable ``VVOS_STATE``, else the user's state folder. Opens nothing yet."""
        self._asked = folder
        self._database: Database | None = None
        self._said: list[Callable[[Connection], object]] = []
        self._must_last = False
        self._unsynced_since: float | None = None
        self._finished = 0
        self._failure: JournalError | None = None

    def claim(self, id: str, name: str = "It") -> None:
        """Have ``id`` until ``release``, or until this process ends. ``name`` tells a person what it is.

        Raises ``Busy`` when another process, or another ``Journal`` of this one, has it. Where there are no POSIX locks
        (Windows) other processes are not known.
        """
        for busy in self.claim_all({id: name}).values():
            raise busy

    def claim_all(self, names: Mapping[str, str]) -> dict[str, Busy]:
        """Claim several ids, each with its name; answers those that somebody else has, with what ``claim`` raises."""
        for id in names:
            row_id(id)
        return self._try(lambda database: database.claim(names, self))

    def release(self, id: str) -> None:
        if self._database is not None:
            self._database.release(id, self)

    def find(self, ids: Sequence[str]) -> dict[str, Record]:
        """The records of those of ``ids`` that are known, unfinished and finished."""
        return {record.id: record for record in self._find([row_id(id) for id in ids])}

    def begin(self, record: Record) -> None:
        """Know ``record``, in the place of whatever was known under its id."""
        row = upload_row(record)
        receipts = [receipt_row(row[0], receipt, record.changed_at) for receipt in record.receipts]
        self._say(lambda database: tables.begin(database, row, receipts), record.id, must_last=True)

    def renew(self, id: str, grant: Grant) -> None:
        fields = {"grant": grant, "changed_at": time.time()}
        self._say(lambda database: tables.change(database, id, fields), id)

    def store(self, id: str, receipt: Receipt) -> None:
        """The service confirmed a chunk. Nothing happens when ``id`` is not an unfinished upload."""
        row = receipt_row(row_id(id), receipt, time.time())
        self._say(lambda database: tables.store(database, row), id)

    def forget(self, id: str, numbers: Collection[int]) -> None:
        """The provider does not have these chunks (any more)."""
        self._say(lambda database: tables.forget(database, id, numbers), id)

    def fail(self, id: str, error: str) -> None:
        """``error``: ``CODE: sentence``. The upload stays unfinished, with what it has."""
        fields = {"error": error, "changed_at": time.time()}
        self._say(lambda database: tables.change(database, id, fields), id)

    def finish(self, id: str, *, key: str, checksum: str, url: str) -> None:
        """It is there. Its receipts and its grant are forgotten."""
        fields = {"key": key, "checksum": checksum, "url": url, "changed_at": time.time()}
        self._say(lambda database: tables.finish(database, id, fields), id, must_last=True)
        if self._finished % _PRUNE_EVERY == 0:
            self._said.append(tables.prune)
        self._finished += 1

    def drop(self, id: str) -> None:
        self._say(lambda database: tables.drop(database, id), id, must_last=True)

    def commit(self) -> None:
        """Write what was said since the last one, all of it or nothing. Costs nothing when nothing was said."""
        self._check()
        if not self._said:
            return
        said, now, since = self._said, time.monotonic(), self._unsynced_since
        full = self._must_last or (since is not None and now - since >= _UNSYNCED)

        def say(database: Connection) -> None:
            for statement in said:
                statement(database)

        self._try(lambda database: database.write(say, full=full))
        self._unsynced_since = None if full else now if since is None else since
        self._said, self._must_last = [], False

    def records(self) -> Iterator[Record]:
        """All records, oldest first, one in memory at a time."""
        for number in self._read(tables.ids) or []:
            yield from self._find([number])

    def close(self) -> None:
        """Release what is claimed, and forget what was said and not committed."""
        self._said, self._must_last = [], False
        if self._database is not None:
            self._database.close(self)

    def _say(self, statement: Callable[[Connection], object], id: str, must_last: bool = False) -> None:
        self._check()
        row_id(id)  # refused here, where it is said
        self._said.append(statement)
        self._must_last |= must_last

    def _find(self, numbers: Sequence[int]) -> list[Record]:
        return self._read(lambda database: tables.find(database, numbers)) or []

    def _read(self, ask: Callable[[Connection], _T]) -> _T | None:
        return self._try(lambda database: database.read(ask))

    def _try(self, do: Callable[[Database], _T]) -> _T:
        self._check()
        if self._database is None:
            from .database import Database  # here, for SQLite is not needed before

            self._database = Database(state_folder(self._asked))
        try:
            return do(self._database)
        except JournalError as error:
            self._failure = error
            raise

    def _check(self) -> None:
        if self._failure is not None:
            raise JournalError(self._failure.message)
