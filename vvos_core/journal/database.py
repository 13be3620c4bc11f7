"""The SQLite file of the journal: opened and checked, replaced when it is damaged, its errors told in a sentence."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ..errors import Busy, JournalError
from . import tables
from .folder import check, journals, set_aside
from .locks import Locks, leave, locks_of
from .salvage import make_new

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_WAIT = 5.0
"""Seconds that SQLite waits for another connection."""


class Database:
    """The journal in ``folder``. Every method raises ``JournalError`` when it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: Locks | None = None
        self._path: Path | None = None
        self._connection: sqlite3.Connection | None = None
        self._full = True

    def claim(self, names: Mapping[str, str], owner: object) -> dict[str, Busy]:
        """See ``Journal.claim_all``."""
        busy: dict[str, Busy] = {}
        with _told(self._folder):
            locks = self._with_locks()
            for id, name in names.items():
                try:
                    locks.claim(id, name, owner)
                except Busy as error:
                    busy[id] = error
        return busy

    def release(self, id: str, owner: object) -> None:
        if self._locks is not None:
            self._locks.release(id, owner)

    def read(self, ask: Callable[[sqlite3.Connection], _T]) -> _T | None:
        """What ``ask`` answers, in one transaction; None, and nothing is made, where there is no journal."""
        with _told(self._folder):
            if self._is_other():
                if not os.path.lexists(self._folder):
                    return None
                check(self._folder)
                if not journals(self._folder):
                    return None
                with self._with_locks().writing():
                    self._open()
            try:
                return self._transact("BEGIN", ask)
            except (sqlite3.DatabaseError, ValueError) as error:
                with self._with_locks().writing():
                    self._mend(error)
                return self._transact("BEGIN", ask)

    def write(self, say: Callable[[sqlite3.Connection], object], *, full: bool) -> None:
        """Do what ``say`` does, in one transaction; ``full``: it survives a loss of power once this returns."""
        with _told(self._folder), self._with_locks().writing():
            if self._is_other():
                self._open()
            try:
                self._write(say, full)
            except (sqlite3.DatabaseError, ValueError) as error:
                self._mend(error)
                self._write(say, full)

    def close(self, owner: object) -> None:
        """Close the file, and release what ``owner`` has."""
        self._disconnect()
        locks, self._locks = self._locks, None
        if locks is not None:
            locks.release_all(owner)
            leave(locks)

    def _with_locks(self) -> Locks:
        if self._locks is None or self._is_other():
            self._locks = locks_of(self._folder, self._locks)
        return self._locks

    def _is_other(self) -> bool:
        """Whether the journal is not open, or is no more under its name: another process replaced it."""
        return self._connection is None or self._path is None or not os.path.lexists(self._path)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _open(self) -> None:
        self._disconnect()
        *older, self._path = journals(self._folder) or [make_new(self._folder)[0]]
        for damaged in older:  # a process was ended after it had replaced it, and before it could set it aside
            set_aside(damaged)
        try:
            self._check_form(self._path)
            self._connect(self._path)
        except (sqlite3.DatabaseError, ValueError) as error:
            self._mend(error)

    def _check_form(self, path: Path) -> None:
        """Raises ``JournalError`` for a later version, ``ValueError`` for what is no journal. Changes nothing."""
        looking = sqlite3.connect(f"{path.as_uri()}?immutable=1", uri=True)
        try:
            [(application,)] = looking.execute("PRAGMA application_id")
            [(version,)] = looking.execute("PRAGMA user_version")
        finally:
            looking.close()
        if application != tables.APPLICATION or version < tables.VERSION:
            raise ValueError("file is not a journal")
        if version > tables.VERSION:
            raise JournalError(
                f"{path} is a journal of version {version}, and this VVOS knows version {tables.VERSION}; use the "
                "newer VVOS, or set VVOS_STATE to another folder."
            )

    def _connect(self, path: Path) -> None:
        # Used by one thread at a time, which need not always be the same.
        connection = sqlite3.connect(
            f"{path.as_uri()}?mode=rw", uri=True, timeout=_WAIT, isolation_level=None, check_same_thread=False
        )
        try:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            [(mode,)] = connection.execute("PRAGMA journal_mode = WAL")
            if mode != "wal":  # it was, when it was made
                raise ValueError("its head says that it has no log")
            for pragma in ("secure_delete = ON", "fullfsync = ON", "synchronous = FULL"):
                connection.execute(f"PRAGMA {pragma}").fetchall()
            if [found for (found,) in connection.execute("SELECT sql FROM sqlite_master ORDER BY rootpage")] != [
                *tables.SCHEMA
            ]:
                raise ValueError("its tables are not those of a journal")
            [found, *_] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if found != "ok":
                raise ValueError(str(found))
            tables.check(connection)
        except BaseException:
            connection.close()
            raise
        self._path, self._connection, self._full = path, connection, True

    def _write(self, say: Callable[[sqlite3.Connection], object], full: bool) -> None:
        assert self._connection is not None
        if full != self._full:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._full = full
        self._transact("BEGIN IMMEDIATE", say)

    def _transact(self, begin: str, do: Callable[[sqlite3.Connection], _T]) -> _T:
        assert self._connection is not None
        self._connection.execute(begin)
        try:
            answer = do(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        return answer

    def _mend(self, error: Exception) -> None:
        """Replace a damaged journal by what can be read of it; raise ``error`` when it is something else."""
        if not _is_damage(error) and not self._blames_head(error):
            raise error
        if self._path is None or not os.path.lexists(self._path):  # another process has done it meanwhile
            self._open()
            return
        self._disconnect()
        why = " ".join(str(error).split())
        path, said = make_new(self._folder, self._path)
        log.warning("%s: the journal %s was damaged (%s): %s", JournalError.code, self._path, why, said)
        self._connect(path)

    def _blames_head(self, error: Exception) -> bool:
        """Whether it is a head that was damaged, and not the system, that keeps the file from being read or written."""
        read_only = "readonly" in str(error) and self._path is not None and os.access(self._path, os.W_OK)
        return read_only or "unsupported file format" in str(error)


def _is_damage(error: Exception) -> bool:
    # Exactly these: OperationalError tells of the system, ProgrammingError and the like of mistakes of ours.
    kinds = (sqlite3.DatabaseError, sqlite3.DataError, sqlite3.IntegrityError, sqlite3.InternalError)
    return isinstance(error, ValueError) or type(error) in kinds


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Errors of the system and of SQLite as one sentence."""
    try:
        yield
    except (OSError, sqlite3.Error, ValueError) as error:
        why = (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
        why = " ".join(why.split()).rstrip(".").lower()
        advice = next((advice for word, advice in _ADVICE if word in why), "look at the folder, or move it away")
        raise JournalError(
            f"The journal in {folder} cannot be used: {why}; {advice}, or set VVOS_STATE to another folder."
        ) from error


_ADVICE = (
    ("full", "free some space"),
    ("space left", "free some space"),
    ("quota", "free some space"),
    ("locked", "wait for the process that holds it"),
    ("read-only", "make it writable"),
    ("readonly", "make it writable"),
    ("permission", "make it readable and writable for its owner"),
    ("unable to open", "make it readable and writable for its owner"),
)
"""What to do, by a word of the system's or SQLite's message."""
