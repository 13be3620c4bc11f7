"""What was granted and what was notified: recorded once, however often and from however many brokers it is asked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, delete, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError as PoolTimeout

from ..errors import Unavailable
from ..model import Call, Event, Finished, Grant, NotifyRequest
from . import outbox
from .group_commit import GroupCommit
from .schema import BEGUN, GRANTS, NOTIFIED, UPLOADS, open_database

_AT_ONCE = 500  # keys in one IN: older SQLite takes 999 parameters


class Recorded(Struct, frozen=True):
    """A gettoken that was answered before."""

    asked: bytes
    """SHA-256 of what was asked."""
    access_token: str
    failed: bytes
    """The JSON of the files that were refused."""


class Entry(Struct, frozen=True, kw_only=True):
    """A finished upload, as it is recorded."""

    grant: Grant
    url: str
    checksum: str
    listeners: tuple[str, ...] = ()
    """Who is to be told of it."""


_NO_CALL = Call()


class Ledger:
    """The broker's state in a database; threads share it.

    Parameters
    ----------
    url: ``sqlite:///file`` or ``postgresql://user@host/name``.
    connections: how many threads use it at a time.

    Every method raises ``Unavailable`` when the database does not answer. The constructor raises ``ConfigError``.
    """

    def __init__(self, url: str, connections: int = 16) -> None:
        self._engine = open_database(url, connections)
        self._reading = self._engine.execution_options(writes=False)
        find = _FIND_GRANT.compile(dialect=self._engine.dialect)
        self._find, self._positional = str(find), find.positional
        self._driver: Any = self._engine.dialect.loaded_dbapi
        self._together = GroupCommit(lambda: self._connect(writes=True))
        insert: Any = postgresql.insert if self._engine.dialect.name == "postgresql" else sqlite.insert
        self._add_grant = insert(GRANTS).on_conflict_do_nothing().returning(GRANTS.c.request)
        self._add_upload = insert(UPLOADS).on_conflict_do_nothing()
        self.outbox = outbox.Outbox(self._connect)
        add = insert(NOTIFIED).on_conflict_do_nothing()
        self._add_new = add.execution_options(preserve_rowcount=True)
        self._add_notified = add.returning(NOTIFIED.c.upload)

    def close(self) -> None:
        """Give the connections back. The ledger can still be used: it opens new ones."""
        self._engine.dispose()

    def ping(self) -> None:
        with self._connect(writes=False) as connection:
            connection.execute(text("SELECT 1"))

    def granting(self) -> AbstractContextManager[None]:
        """Inside, this thread is about to ``grant``: others that do so share its transaction."""
        return self._together.expected()

    def granting_slowly(self) -> None:
        """Inside ``granting``: it has to wait for others first."""
        self._together.expect_no_more()

    def granted(self, who: str, request_id: str) -> Recorded | None:
        """What this request was answered before, if it was."""
        request = digest(who, request_id)
        try:
            return self._granted(request)
        except (self._driver.Error, PoolTimeout):  # what is wrong, and what to do about it, is known there
            with self._connect(writes=False) as connection:
                return _recorded(connection, request)

    def _granted(self, request: bytes) -> Recorded | None:
        """By the driver alone: it is in every gettoken's way, and the layers above take five times as long."""
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            cursor.execute(self._find, (request,) if self._positional else {"this": request})
            row = cursor.fetchone()
            cursor.close()
        except self._driver.Error:
            connection.invalidate()
            raise
        finally:
            connection.close()
        return None if row is None else Recorded(bytes(row[0]), row[1], bytes(row[2]))

    def grant(
        self,
        who: str,
        request_id: str,
        *,
        asked: bytes,
        access_token: str,
        failed: bytes,
        issued_at: float,
        expires_at: float,
        grants: Sequence[Grant],
        begun: Sequence[bytes] = (),
    ) -> Recorded | None:
        """Record the answer to a request. When another was first, nothing is recorded, and that one's is answered.

        ``begun``: what ``Leftovers.begin`` noted of these uploads, which is now known better. Raises ``Unavailable``
        when a sweeper has given them up meanwhile; then nothing is recorded.
        """
        request = digest(who, request_id)
        row = {
            "request": request,
            "who": who,
            "request_id": request_id,
            "asked": asked,
            "access_token": access_token,
            "failed": failed,
            "issued_at": issued_at,
            "expires_at": expires_at,
        }
        uploads = _uploads(who, request_id, grants)

        def record(connection: Connection) -> Recorded | None:
            if connection.execute(self._add_grant, row).one_or_none() is None:
                return _recorded(connection, request)
            if uploads:
                connection.execute(self._add_upload, uploads)
            if begun and sum(connection.execute(_KNOWN, {"these": some}).rowcount for some in _some(begun)) < len(
                begun
            ):
                raise Unavailable("the broker took too long to begin these uploads, and gave them up; try again.")
            return None

        return self._together.run(request, record)

    def renew(self, who: str, request_id: str, grants: Sequence[Grant]) -> set[str]:
        """Record the new expiry of uploads, so that nobody takes them for abandoned.

        Answers the server keys of those that somebody did: they are being aborted, or are gone.
        """
        keys = {_upload(who, request_id, grant): grant.key for grant in grants if grant.upload_id}
        by_expiry: dict[float, list[bytes]] = {}
        for row in _uploads(who, request_id, grants):
            by_expiry.setdefault(row["expires_at"], []).append(row["upload"])
        if not keys:
            return set()
        kept: set[bytes] = set()
        with self._connect(writes=True) as connection:
            for until, uploads in by_expiry.items():
                for some in _some(uploads):
                    kept.update(map(bytes, connection.scalars(_RENEW, {"these": some, "until": until})))
        return {key for upload, key in keys.items() if upload not in kept}

    def notified(self, who: str, request_id: str, grants: Sequence[Grant]) -> dict[str, str]:
        """The url of each server key among ``grants`` that was notified before."""
        uploads = {_upload(who, request_id, grant): grant.key for grant in grants}
        with self._connect(writes=False) as connection:
            return _urls(connection, uploads)

    def notify(
        self, who: str, request_id: str, entries: Sequence[Entry], now: float, call: Call = _NO_CALL
    ) -> tuple[dict[str, str], set[str]]:
        """Record finished uploads, all or none: the url of each server key, and the keys recorded only now.

        What is recorded now is put into the outbox for its listeners, together with ``call``.
        """
        uploads = {_upload(who, request_id, entry.grant): entry for entry in entries}
        # In one order, always: two transactions that insert the same rows in different orders would block each other.
        rows = [
            {
                "upload": upload,
                "who": who,
                "request_id": request_id,
                "profile": entry.grant.profile,
                "key": entry.grant.key,
                "url": entry.url,
                "size": entry.grant.size,
                "checksum": entry.checksum,
                "notified_at": now,
            }
            for upload, entry in sorted(uploads.items())
        ]
        if not rows:
            return {}, set()
        with self._connect(writes=True) as connection:
            added = self._added(connection, rows)
            finished = [{"this": upload} for upload in sorted(added) if uploads[upload].grant.upload_id]
            if finished:
                connection.execute(_FINISH, finished)
            told = [
                row
                for upload in sorted(added)
                if uploads[upload].listeners
                for row in _told(upload, uploads[upload], who, request_id, now, call)
            ]
            if told:
                connection.execute(outbox.ADD, told)
            late = {upload: entry.grant.key for upload, entry in uploads.items() if upload not in added}
            urls = _urls(connection, late)
        new = {uploads[upload].grant.key: uploads[upload].url for upload in added}
        return {**urls, **new}, set(new)

    def _added(self, connection: Connection, rows: list[dict[str, Any]]) -> set[bytes]:
        """Insert rows; which of them nobody had inserted before."""
        # Nearly always that is all of them, and to be told how many takes a fraction of being told which.
        with connection.begin_nested() as attempt:
            if connection.execute(self._add_new, rows).rowcount == len(rows):
                return {row["upload"] for row in rows}
            attempt.rollback()
        return set(connection.scalars(self._add_notified, rows))

    def connect(self, *, writes: bool) -> AbstractContextManager[Connection]:
        """A transaction on the same database, for what is kept beside the ledger. Raises ``Unavailable``."""
        return self._connect(writes=writes)

    @contextmanager
    def _connect(self, *, writes: bool) -> Iterator[Connection]:
        try:
            with (self._engine if writes else self._reading).begin() as connection:
                yield connection
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            raise Unavailable("the broker's database did not answer; try again.") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Unavailable("the broker's database went away; try again.") from error
            raise


_RENEW = (
    update(UPLOADS)
    .where(UPLOADS.c.upload.in_(bindparam("these", expanding=True)), UPLOADS.c.claimed_at.is_(None))
    .values(expires_at=bindparam("until"))
    .returning(UPLOADS.c.upload)
)
# Not deleted: an object that was there already is notified without the upload that was begun for it ever completing.
_FINISH = update(UPLOADS).where(UPLOADS.c.upload == bindparam("this")).values(expires_at=0.0, claimed_at=0.0)
_KNOWN = delete(BEGUN).where(BEGUN.c.begun.in_(bindparam("these", expanding=True)), BEGUN.c.claimed_at.is_(None))
_FIND_GRANT = select(GRANTS.c.asked, GRANTS.c.access_token, GRANTS.c.failed).where(
    GRANTS.c.request == bindparam("this")
)
_FIND_NOTIFIED = select(NOTIFIED.c.upload, NOTIFIED.c.url).where(
    NOTIFIED.c.upload.in_(bindparam("these", expanding=True))
)


def _recorded(connection: Connection, request: bytes) -> Recorded | None:
    row = connection.execute(_FIND_GRANT, {"this": request}).one_or_none()
    return None if row is None else Recorded(bytes(row.asked), row.access_token, bytes(row.failed))


def _urls(connection: Connection, uploads: Mapping[bytes, str]) -> dict[str, str]:
    found = {}
    for these in _some(list(uploads)):
        for row in connection.execute(_FIND_NOTIFIED, {"these": these}):
            found[uploads[bytes(row.upload)]] = row.url
    return found


def _some(every: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """All of them, no more at a time than one statement takes."""
    return (every[start : start + _AT_ONCE] for start in range(0, len(every), _AT_ONCE))


def _uploads(who: str, request_id: str, grants: Sequence[Grant]) -> list[dict[str, Any]]:
    rows = [
        {
            "upload": _upload(who, request_id, grant),
            "profile": grant.profile,
            "key": grant.key,
            "upload_id": grant.upload_id,
            "expires_at": grant.expires_at,
        }
        for grant in grants
        if grant.upload_id
    ]
    return sorted(rows, key=lambda row: row["upload"])


def _told(upload: bytes, entry: Entry, who: str, request_id: str, now: float, call: Call) -> list[dict[str, Any]]:
    """The outbox's rows. A listener learns what the object is, and nothing with which it could be put again."""
    event = Event(id="", url=entry.url, who=who, request_id=request_id, at=now)
    grant = replace(entry.grant, upload_id="", access_token="", data={})
    done = Finished(grant=grant, size=grant.size, checksum=entry.checksum, event=event)
    return outbox.rows(upload, NotifyRequest(objects=(done,), call=call), entry.listeners)


def _upload(who: str, request_id: str, grant: Grant) -> bytes:
    return digest(who, request_id, grant.profile, grant.key)


def digest(*names: str) -> bytes:
    """One short name for several."""
    # None of the names can hold the separator.
    return hashlib.sha256("\0".join(names).encode()).digest()
