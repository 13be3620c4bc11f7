"""The outbox: what listeners are still to be told, written in the transaction that records it, and claimed here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Connection, bindparam, delete, insert, not_, select, update

from ..model import NotifyRequest
from .schema import OUTBOX

_read = msgspec.json.Decoder(NotifyRequest).decode


class Claimed(Struct, frozen=True, kw_only=True):
    """An event that its claimer, and nobody else, delivers now."""

    sequence: int
    event_id: str
    listener: str
    profile: str
    key: str
    attempts: int
    """This one is counted."""
    owner: str
    payload: bytes

    def request(self) -> NotifyRequest:
        """What the listener is told. Raises ``msgspec.DecodeError`` for what another release wrote otherwise."""
        return _read(self.payload)


class Waiting(Struct, frozen=True, kw_only=True):
    """An event that is in the outbox, as people see it."""

    id: str
    listener: str
    profile: str
    key: str
    recorded_at: float
    """Seconds since 1970, UTC."""
    attempts: int
    due_at: float
    """When it is tried next, unless an earlier one of its key is in the way."""
    dead_at: float | None
    """When it was given up; None while it is not."""
    error: str
    """Why the last try failed; empty before one did."""


def event_id(upload: bytes, listener: str) -> str:
    """The idempotency key of what ``listener`` is told of ``upload`` (its digest)."""
    return f"evt_{hashlib.sha256(upload + listener.encode()).hexdigest()[:32]}"


def rows(upload: bytes, request: NotifyRequest, listeners: Sequence[str]) -> list[dict[str, Any]]:
    """The rows for one finished upload, one for each listener. ``request`` has one object, whose event gets its id."""
    (done,) = request.objects
    event = done.event
    assert event is not None  # the ledger says what it recorded
    profile, key = done.grant.profile, done.grant.key
    made = []
    for listener in listeners:
        named = replace(event, id=event_id(upload, listener))
        told = replace(request, objects=(replace(done, event=named),))
        made.append(
            {
                "event_id": named.id,
                "listener": listener,
                "profile": profile,
                "key": key,
                "line": hashlib.sha256("\0".join((listener, profile, key)).encode()).digest(),
                "payload": msgspec.json.encode(told),
                "recorded_at": event.at,
                "due_at": event.at,
            }
        )
    return made


class Outbox:
    """The events of one database; threads and processes share it.

    An event is claimed before it is delivered, and the claim lasts for a limited time: what its claimer does not end,
    because it crashed, another claims then. Events of one listener and key stand in line: only the first can be had.
    ``connect`` opens a transaction, as ``Ledger`` does; every method raises ``Unavailable``.
    """

    def __init__(self, connect: Callable[..., AbstractContextManager[Connection]]) -> None:
        self._connect = connect

    def claim(self, listener: str, owner: str, now: float, until: float) -> Claimed | None:
        """The event that has been due for longest, claimed by ``owner``; None when none is due."""
        with self._connect(writes=True) as connection:
            row = connection.execute(_DUE, {"for": listener, "now": now}).one_or_none()
            if row is None:
                return None
            connection.execute(_CLAIM, {"this": row.sequence, "owner": owner, "until": until})
            return Claimed(
                sequence=row.sequence,
                event_id=row.event_id,
                listener=listener,
                profile=row.profile,
                key=row.key,
                attempts=row.attempts + 1,
                owner=owner,
                payload=bytes(row.payload),
            )

    def hold(self, owner: str, sequences: Collection[int], until: float) -> None:
        """Let claims last longer, of events that are still being delivered."""
        with self._connect(writes=True) as connection:
            connection.execute(_HOLD, {"owner": owner, "these": list(sequences), "until": until})

    def delivered(self, event: Claimed) -> None:
        """Forget the event. Nothing is done when the claim was lost: then another one delivers it."""
        with self._connect(writes=True) as connection:
            connection.execute(_FORGET, {"this": event.sequence, "owner": event.owner})

    def failed(self, event: Claimed, error: str, *, due_at: float, dead_at: float | None = None) -> None:
        """Put the event back until ``due_at``, or, with ``dead_at``, aside. Nothing when the claim was lost."""
        values = {"error": error, "due": due_at, "dead": dead_at}
        with self._connect(writes=True) as connection:
            connection.execute(_FAILED, {"this": event.sequence, "owner": event.owner, **values})

    def waiting(self, *, dead: bool = False, most: int = 1000) -> list[Waiting]:
        """At most ``most`` events that are not delivered, the oldest first; only those given up, with ``dead``."""
        query = _LIST.where(OUTBOX.c.dead_at.is_not(None)) if dead else _LIST
        with self._connect(writes=False) as connection:
            return [Waiting(**row) for row in connection.execute(query.limit(most)).mappings()]

    def retry(self, ids: Collection[str], now: float) -> set[str]:
        """Make events that were given up due again, all where ``ids`` is empty. Answers which they were."""
        query = _RETRY.where(OUTBOX.c.event_id.in_(list(ids))) if ids else _RETRY
        with self._connect(writes=True) as connection:
            return set(connection.scalars(query, {"now": now}))


_EARLIER = OUTBOX.alias("earlier")
_DUE = (
    select(OUTBOX)
    .where(
        OUTBOX.c.listener == bindparam("for"),
        OUTBOX.c.dead_at.is_(None),
        OUTBOX.c.due_at <= bindparam("now"),
        OUTBOX.c.claimed_until <= bindparam("now"),
        not_(
            select(_EARLIER.c.sequence)
            .where(
                _EARLIER.c.line == OUTBOX.c.line,
                _EARLIER.c.sequence < OUTBOX.c.sequence,
                _EARLIER.c.dead_at.is_(None),
            )
            .exists()
        ),
    )
    .order_by(OUTBOX.c.due_at, OUTBOX.c.sequence)
    .limit(1)
    # PostgreSQL passes over what another one is claiming; SQLite lets only one write, and leaves this out.
    .with_for_update(skip_locked=True, of=OUTBOX)
)
_CLAIM = (
    update(OUTBOX)
    .where(OUTBOX.c.sequence == bindparam("this"))
    .values(claimed_by=bindparam("owner"), claimed_until=bindparam("until"), attempts=OUTBOX.c.attempts + 1)
)
_HOLD = (
    update(OUTBOX)
    .where(OUTBOX.c.claimed_by == bindparam("owner"), OUTBOX.c.sequence.in_(bindparam("these", expanding=True)))
    .values(claimed_until=bindparam("until"))
)
_MINE = (OUTBOX.c.sequence == bindparam("this"), OUTBOX.c.claimed_by == bindparam("owner"))
_FORGET = delete(OUTBOX).where(*_MINE)
_FAILED = (
    update(OUTBOX)
    .where(*_MINE)
    .values(
        error=bindparam("error"),
        due_at=bindparam("due"),
        dead_at=bindparam("dead"),
        claimed_by="",
        claimed_until=0.0,
    )
)
_LIST = select(
    OUTBOX.c.event_id.label("id"),
    *(
        OUTBOX.c[name]
        for name in ("listener", "profile", "key", "recorded_at", "attempts", "due_at", "dead_at", "error")
    ),
).order_by(OUTBOX.c.sequence)
_RETRY = (
    update(OUTBOX)
    .where(OUTBOX.c.dead_at.is_not(None))
    .values(dead_at=None, attempts=0, due_at=bindparam("now"))
    .returning(OUTBOX.c.event_id)
)
ADD = insert(OUTBOX).values(attempts=0, dead_at=None, error="", claimed_by="", claimed_until=0.0)
"""Adds the ``rows`` of an upload."""
