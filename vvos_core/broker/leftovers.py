"""What may be left behind at the providers, as the database knows it: uploads that expired, and begun for nobody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import bindparam, delete, insert, or_, select, tuple_, update

from .ledger import Ledger, digest
from .schema import BEGUN, GRANTS, UPLOADS

BATCH = 100
"""Rows of one transaction: others that write wait for no more than these."""
CLAIM_SECONDS = 300
"""After so long a sweeper is taken for dead, and what it had taken is taken again. Aborting twice is harmless."""
BEGIN_SECONDS = 3600
"""After so long a gettoken that has not recorded its uploads is taken for dead."""

Place = tuple[str, str]
"""Profile and server key."""


class Upload(Struct, frozen=True):
    """An upload that nobody wants."""

    upload: bytes
    profile: str
    key: str
    upload_id: str
    expires_at: float


class Begun(Struct, frozen=True):
    """An upload that may have been begun by a gettoken that did not end."""

    begun: bytes
    profile: str
    key: str
    begun_at: float


class Leftovers:
    """The two lists, in the ledger's database. Every method raises ``Unavailable`` when it does not answer."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def begin(self, call: str, places: Sequence[Place], now: float) -> dict[Place, bytes]:
        """Note where uploads are about to be begun: the name of each note. ``call`` is an id of this gettoken alone."""
        notes = {place: digest(call, *place) for place in places}
        rows = [
            {"begun": name, "profile": profile, "key": key, "begun_at": now} for (profile, key), name in notes.items()
        ]
        if rows:
            with self._ledger.connect(writes=True) as connection:
                connection.execute(insert(BEGUN), rows)
        return notes

    def forget(self, notes: Sequence[bytes]) -> None:
        """Nothing is left where these say."""
        if notes:
            with self._ledger.connect(writes=True) as connection:
                connection.execute(_FORGET, [{"this": name} for name in notes])

    def take(self, before: float, now: float, last: Upload | None) -> list[Upload]:
        """Some uploads, after ``last``, that expired before ``before`` or are finished: taken, none comes back."""
        query = select(UPLOADS.c.upload, UPLOADS.c.profile, UPLOADS.c.key, UPLOADS.c.upload_id, UPLOADS.c.expires_at)
        query = query.where(UPLOADS.c.expires_at < before, _free(UPLOADS, now))
        if last is not None:
            query = query.where(tuple_(UPLOADS.c.expires_at, UPLOADS.c.upload) > (last.expires_at, last.upload))
        query = query.order_by(UPLOADS.c.expires_at, UPLOADS.c.upload).limit(BATCH).with_for_update(skip_locked=True)
        with self._ledger.connect(writes=True) as connection:
            rows = connection.execute(query).all()
            if rows:
                connection.execute(_TAKE, [{"this": row.upload, "at": now} for row in rows])
        return [Upload(bytes(row.upload), row.profile, row.key, row.upload_id, row.expires_at) for row in rows]

    def gone(self, upload: Upload) -> None:
        """It was aborted."""
        with self._ledger.connect(writes=True) as connection:
            connection.execute(_GONE, {"this": upload.upload})

    def leave(self, upload: Upload) -> None:
        """It could not be aborted: the next sweep tries again."""
        with self._ledger.connect(writes=True) as connection:
            connection.execute(_TAKE, {"this": upload.upload, "at": 0.0})

    def half_begun(self, now: float, last: Begun | None) -> list[Begun]:
        """Some notes of calls that have not ended in ``BEGIN_SECONDS``, after ``last``: now they cannot any more."""
        query = select(BEGUN.c.begun, BEGUN.c.profile, BEGUN.c.key, BEGUN.c.begun_at)
        query = query.where(BEGUN.c.begun_at < now - BEGIN_SECONDS)
        if last is not None:
            query = query.where(tuple_(BEGUN.c.begun_at, BEGUN.c.begun) > (last.begun_at, last.begun))
        query = query.order_by(BEGUN.c.begun_at, BEGUN.c.begun).limit(BATCH).with_for_update(skip_locked=True)
        with self._ledger.connect(writes=True) as connection:
            rows = connection.execute(query).all()
            if rows:
                connection.execute(_CONDEMN, [{"this": row.begun, "at": now} for row in rows])
        return [Begun(bytes(row.begun), row.profile, row.key, row.begun_at) for row in rows]

    def known(self, key: str, now: float) -> set[str] | None:
        """The ids of all uploads of ``key`` that somebody may want; None while a gettoken is beginning one."""
        with self._ledger.connect(writes=False) as connection:
            if connection.execute(_BEGINNING, {"key": key, "since": now - BEGIN_SECONDS}).first() is not None:
                return None
            return set(connection.scalars(_IDS, {"key": key}))

    def prune(self, before: float) -> int:
        """Empty the records of answers that expired before ``before``: how many, at most ``BATCH``.

        That there was a request is kept, or it could be granted a second time; its token is what takes room.
        """
        some = select(GRANTS.c.request).where(GRANTS.c.access_token != "", GRANTS.c.expires_at < before).limit(BATCH)
        with self._ledger.connect(writes=True) as connection:
            full = list(connection.scalars(some))
            if full:
                connection.execute(_EMPTY, {"these": full})
        return len(full)


def _free(table: Any, now: float) -> Any:
    return or_(table.c.claimed_at.is_(None), table.c.claimed_at <= now - CLAIM_SECONDS)


_FORGET = delete(BEGUN).where(BEGUN.c.begun == bindparam("this"))
_CONDEMN = update(BEGUN).where(BEGUN.c.begun == bindparam("this")).values(claimed_at=bindparam("at"))
_BEGINNING = select(BEGUN.c.begun).where(BEGUN.c.key == bindparam("key"), BEGUN.c.begun_at >= bindparam("since"))
_IDS = select(UPLOADS.c.upload_id).where(UPLOADS.c.key == bindparam("key"))
_TAKE = update(UPLOADS).where(UPLOADS.c.upload == bindparam("this")).values(claimed_at=bindparam("at"))
_GONE = delete(UPLOADS).where(UPLOADS.c.upload == bindparam("this"))
_EMPTY = (
    update(GRANTS).where(GRANTS.c.request.in_(bindparam("these", expanding=True))).values(access_token="", failed=b"")
)
