"""Makes the moves: `advance` takes an upload and an event, and answers commands.

How it works
------------
`table.TABLE` holds every legal move: *(state, event) → guarded rows*. `advance` finds the rows of the pair, takes the
first whose guard holds, sets the state and runs the row's action, which answers the commands. A pair that is not in
the table is a ``ProtocolError``.

Chunks are handed out through a window, so that an upload of ten thousand parts never has more than ``window`` of them
with the engine. ``flying`` holds the numbers that were handed out and have not come back; an upload is aborted at the
provider only when nothing flies, so that no late part is left behind. Whatever the state, what comes back is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import errors
from ..errors import ProtocolError
from ..model import Receipt
from . import events as ev
from .commands import Command
from .states import State
from .table import MOVES, RESTARTS
from .upload import Upload


def advance(upload: Upload, event: ev.Event) -> list[Command]:
    """Make the move of ``event``; answers what is to be done next.

    Raises ``ProtocolError``, naming state and event, when the table has no such move; the upload is then unchanged.
    """
    rows = MOVES.get((upload.state, type(event)))
    if rows is None:
        raise ProtocolError(f"an upload that is {upload.state.value} does not know the event {type(event).__name__}.")
    _count_back(upload, event)
    for row in rows:
        if row.when is None or row.when(upload, event):
            break
    if row.to is State.TOKEN and upload.state is not State.TOKEN:
        upload.came_from = upload.state
    upload.state = row.to
    return row.do(upload, event) if row.do else []


def _count_back(upload: Upload, event: ev.Event) -> None:
    """Note what has come back from the engine, in whatever state: a stored chunk is never forgotten."""
    note = _NOTES.get(type(event))
    if note is not None:
        note(upload, event)
    if upload.open and upload.restarts < RESTARTS and _is_gone(event):
        upload.lost = True


def _stored(upload: Upload, event: ev.Event) -> None:
    assert isinstance(event, ev.ChunkStored)
    upload.flying.discard(event.receipt.number)
    upload.receipts[event.receipt.number] = event.receipt
    upload.renewals = 0
    _combine(upload)


def _returned(upload: Upload, event: ev.Event) -> None:
    assert isinstance(event, (ev.ChunkFailed, ev.TokenExpired))
    if event.number:
        upload.flying.discard(event.number)
        upload.returned.append(event.number)


def _granted(upload: Upload, event: ev.Event) -> None:
    assert isinstance(event, ev.TokenGranted)
    upload.hasher = event.checksum


def _listed(upload: Upload, event: ev.Event) -> None:
    _combine(upload)
    if isinstance(event, (ev.PartsFound, ev.ObjectFound)) and event.parts is not None:
        _believe(upload, event.parts)


def _resumed(upload: Upload, event: ev.Event) -> None:
    assert isinstance(event, ev.ResumeRequested)
    if event.changed is None:
        return
    if event.changed:
        upload.receipts = {n: receipt for n, receipt in upload.receipts.items() if n not in event.changed}
        upload.unsent = 1
        upload.checksum = ""
    # A grant that names the checksum of other bytes is good for them alone.
    upload.lost = upload.grant is not None and bool(upload.grant.checksum) and not upload.all_stored


_NOTES: Mapping[type[ev.Event], Callable[[Upload, ev.Event], None]] = {
    ev.ChunkStored: _stored,
    ev.ChunkFailed: _returned,
    ev.TokenExpired: _returned,
    ev.TokenGranted: _granted,
    ev.NothingFound: _listed,
    ev.PartsFound: _listed,
    ev.ObjectFound: _listed,
    ev.ResumeRequested: _resumed,
}
"""What is noted of an event, whatever the state."""


def _combine(upload: Upload) -> None:
    if upload.all_stored and upload.hasher is not None:
        in_order = [upload.receipts[number] for number in sorted(upload.receipts)]
        upload.checksum = upload.hasher.combine(in_order)


def _believe(upload: Upload, parts: tuple[Receipt, ...]) -> None:
    """Keep of our receipts what the service lists too, with the same proof: it may have forgotten, and what it has
    beyond ours (a chunk whose answer was lost, or nobody's) is sent again."""
    listed = {part.number: part.proof for part in parts}
    upload.receipts = {n: receipt for n, receipt in upload.receipts.items() if listed.get(n) == receipt.proof}
    upload.unsent = 1
    upload.returned.clear()


def _is_gone(event: ev.Event) -> bool:
    """Whether it says that the multipart upload cannot be gone on with, now or ever."""
    if isinstance(event, ev.ChunkFailed | ev.CompleteUnanswered):
        return isinstance(event.error, errors.NotFound)
    # A grant that expired too long ago, or was sealed with keys that are no more, will never be renewed.
    never = (errors.NotFound, errors.TokenExpired, errors.BadToken)
    return isinstance(event, ev.TokenRefused) and isinstance(event.error, never)
