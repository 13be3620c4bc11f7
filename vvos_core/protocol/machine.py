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

from ..errors import ProtocolError
from . import events as ev
from .commands import Command
from .states import State
from .table import MOVES
from .upload import Upload


def advance(upload: Upload, event: ev.Event) -> list[Command]:
    """Make the move of ``event``; answers what is to be done next.

    Raises ``ProtocolError``, naming state and event, when the table has no such move; the upload is then unchanged.
    """
    rows = MOVES.get((upload.state, type(event)))
    if rows is None:
        raise ProtocolError(f"an upload that is {upload.state.value} does not know the event {type(event).__name__}.")
    _count_back(upload, event)
    row = next(row for row in rows if row.when is None or row.when(upload, event))
    if row.to is State.TOKEN and upload.state is not State.TOKEN:
        upload.came_from = upload.state
    upload.state = row.to
    return row.do(upload, event) if row.do else []


def _count_back(upload: Upload, event: ev.Event) -> None:
    """Note what has come back from the engine, in whatever state: a stored chunk is never forgotten."""
    if isinstance(event, ev.ChunkStored):
        upload.flying.discard(event.receipt.number)
        upload.receipts[event.receipt.number] = event.receipt
        upload.renewals = 0
    elif isinstance(event, ev.ChunkFailed | ev.TokenExpired) and event.number:
        upload.flying.discard(event.number)
        upload.returned.append(event.number)
    elif isinstance(event, ev.PartsFound):
        upload.receipts.update((receipt.number, receipt) for receipt in event.receipts)
    else:
        return
    if upload.all_stored and upload.hasher is not None:
        in_order = [upload.receipts[number] for number in sorted(upload.receipts)]
        upload.checksum = upload.hasher.combine(in_order)
