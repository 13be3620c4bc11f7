"""The legal moves of an upload, as one table of data, with the guards and actions that its rows name.

A row reads: in ``state``, on ``event``, if ``when`` holds, go to ``to`` and ``do`` that. Of the rows of one
(state, event) the first whose guard holds is taken; the last has no guard, so that every pair has an answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from .. import errors
from . import commands as do, events as ev
from .states import FINAL, State
from .upload import Upload

RENEWALS = 3
"""How often a grant may be renewed without one chunk stored in between; a clock far off would renew for ever."""
ROUNDS = 5
"""How often one upload may ask ``exists`` about a conflict; rivals that write and delete would keep it for ever."""
RESTARTS = 2
"""How often an upload that the provider forgot is begun again, in one run."""

Guard = Callable[[Upload, ev.Event], bool]
Action = Callable[[Upload, ev.Event], list[do.Command]]


class Move(Struct, frozen=True):
    """One row of the table."""

    state: State
    event: type[ev.Event]
    to: State
    do: Action | None = None
    when: Guard | None = None


# ── guards: may read the upload, never change it ──────────────────────────────────────────────────────────────────────


def first_grant(upload: Upload, event: ev.Event) -> bool:
    return upload.came_from in (State.PENDING, State.PAUSED, State.EXISTS)


def was_notifying(upload: Upload, event: ev.Event) -> bool:
    return upload.came_from is State.NOTIFYING


def seal_missing(upload: Upload, event: ev.Event) -> bool:
    """All is stored, the grant was asked to name the object's checksum, and the one just given does not."""
    asked = upload.all_stored and bool(upload.checksum)
    return asked and isinstance(event, ev.TokenGranted) and _unsealed(upload, event.grant.checksum)


def lost(upload: Upload, event: ev.Event) -> bool:
    return upload.lost


def lost_and_landed(upload: Upload, event: ev.Event) -> bool:
    """The upload is to begin again, and nothing of the old one is on its way any more."""
    return upload.lost and not upload.flying


def needs_seal(upload: Upload, event: ev.Event) -> bool:
    return upload.all_stored and upload.grant is not None and _unsealed(upload, upload.grant.checksum)


def all_stored(upload: Upload, event: ev.Event) -> bool:
    return upload.all_stored


def outdated(upload: Upload, event: ev.Event) -> bool:
    """A chunk was refused under a grant that has been renewed since: it goes again, and nothing expired."""
    return isinstance(event, ev.TokenExpired) and event.grant is not None and event.grant is not upload.grant


def may_renew(upload: Upload, event: ev.Event) -> bool:
    return upload.renewals < RENEWALS


def same_object(upload: Upload, event: ev.Event) -> bool:
    """What is there is what would be sent: same size, same checksum."""
    found = _found(upload, event)
    return (
        found is not None
        and found.size == upload.size
        and bool(found.checksum)
        and found.checksum == _own(upload, event)
    )


def could_be_same(upload: Upload, event: ev.Event) -> bool:
    """Same size, and a checksum of ours would tell."""
    found = _found(upload, event)
    return (
        found is not None
        and found.size == upload.size
        and not upload.checksum
        and upload.hasher is not None
        and found.checksum.startswith(upload.hasher.name + ":")
    )


def surely_ours(upload: Upload, event: ev.Event) -> bool:
    """``complete`` lost its answer, and an object of our size is there that has no checksum to compare.

    The broker verifies it again before anybody is told.
    """
    found = _found(upload, event)
    return upload.unanswered and found is not None and found.size == upload.size and not found.checksum


def keep_existing(upload: Upload, event: ev.Event) -> bool:
    return upload.grant is not None and upload.grant.keep_existing


def may_cover(upload: Upload, event: ev.Event) -> bool:
    return upload.grant is not None and upload.grant.cover


def may_cover_lost(upload: Upload, event: ev.Event) -> bool:
    return may_cover(upload, event) and upload.lost


def may_cover_sealed(upload: Upload, event: ev.Event) -> bool:
    return may_cover(upload, event) and needs_seal(upload, event)


def may_cover_stored(upload: Upload, event: ev.Event) -> bool:
    return may_cover(upload, event) and upload.all_stored


def conflict(upload: Upload, event: ev.Event) -> bool:
    """Something has the key. It may be our own, from a call whose answer was lost: ask before judging.

    Not while other chunks fly: one part of several makes no object, so this is no lost answer of ours.
    """
    return (
        isinstance(event, ev.ChunkFailed | ev.CompleteFailed)
        and isinstance(event.error, errors.Exists)
        and upload.rounds < ROUNDS
        and not upload.flying
    )


def may_ask_again(upload: Upload, event: ev.Event) -> bool:
    return upload.rounds < ROUNDS


def broken_off(upload: Upload, event: ev.Event) -> bool:
    """Reading was not found impossible, but stopped by the user."""
    return isinstance(event, ev.SourceFailed) and isinstance(event.error, errors.Cancelled)


def denied(upload: Upload, event: ev.Event) -> bool:
    """Somebody said no, who may say yes another time: what is stored is worth keeping."""
    return isinstance(event, ev.CompleteFailed) and isinstance(event.error, errors.Denied)


def as_read(upload: Upload, event: ev.Event) -> bool:
    """The object that was made has the size and, where both sides know it, the checksum of what was read."""
    if not isinstance(event, ev.Completed) or event.stored.size != upload.size:
        return False
    theirs, ours = event.stored.checksum, upload.checksum
    comparable = bool(theirs and ours) and theirs.partition(":")[0] == ours.partition(":")[0]
    return not comparable or theirs == ours


def _unsealed(upload: Upload, checksum: str) -> bool:
    return upload.grant is not None and upload.grant.seal and checksum != upload.checksum


def _found(upload: Upload, event: ev.Event) -> ev.ObjectFound | None:
    return event if isinstance(event, ev.ObjectFound) else upload.found


def _own(upload: Upload, event: ev.Event) -> str:
    return event.value if isinstance(event, ev.ChecksumComputed) else upload.checksum or upload.remembered


# ── actions: change the upload, answer commands ───────────────────────────────────────────────────────────────────────


def request_token(upload: Upload, event: ev.Event) -> list[do.Command]:
    return [do.RequestToken()]


def renew(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.renewals += 1
    return [do.RequestToken()]


def keep_grant(upload: Upload, event: ev.Event) -> list[do.Command]:
    assert isinstance(event, ev.TokenGranted)
    upload.hold(event.grant)
    return []


def restart(upload: Upload, event: ev.Event) -> list[do.Command]:
    # The provider may have said that it forgot the old one, and have it all the same.
    given_up = [do.Abort(upload.grant)] if upload.open and upload.grant is not None else []
    upload.start_over()
    return [*given_up, do.RequestToken()]


def keep_grant_and_settle(upload: Upload, event: ev.Event) -> list[do.Command]:
    return keep_grant(upload, event) + settle(upload, event)


def keep_grant_and_check(upload: Upload, event: ev.Event) -> list[do.Command]:
    return [*keep_grant(upload, event), do.CheckExists(parts=upload.came_from is State.PAUSED and upload.open)]


def keep_grant_and_send(upload: Upload, event: ev.Event) -> list[do.Command]:
    return keep_grant(upload, event) + send(upload, event)


def keep_grant_and_complete(upload: Upload, event: ev.Event) -> list[do.Command]:
    return keep_grant(upload, event) + complete(upload, event)


def keep_grant_and_notify(upload: Upload, event: ev.Event) -> list[do.Command]:
    return [*keep_grant(upload, event), do.Notify()]


def send(upload: Upload, event: ev.Event) -> list[do.Command]:
    """Hand out chunks until the window is full: first what came back, then what never went."""
    assert upload.plan is not None
    out: list[do.Command] = []
    while len(upload.flying) < upload.window:
        if upload.returned:
            number = upload.returned.popleft()
        elif upload.unsent <= upload.plan.count:
            number = upload.unsent
            upload.unsent += 1
        else:
            break
        if number not in upload.receipts and number not in upload.flying:
            upload.flying.add(number)
            out.append(do.PutChunk(number))
    return out


def complete(upload: Upload, event: ev.Event) -> list[do.Command]:
    return [do.Complete(tuple(upload.receipts[number] for number in sorted(upload.receipts)))]


def check_conflict(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.rounds += 1
    return [do.CheckExists()]


def check_unanswered(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.unanswered = True
    return check_conflict(upload, event)


def compute_checksum(upload: Upload, event: ev.Event) -> list[do.Command]:
    assert isinstance(event, ev.ObjectFound)
    upload.found = event
    return [do.ComputeChecksum()]


def adopt(upload: Upload, event: ev.Event) -> list[do.Command]:
    """The object is there, byte for byte: what was begun is dropped, and the object is reported like one just made."""
    upload.checksum = _own(upload, event)
    upload.reused = not upload.receipts
    return [*settle(upload, event), do.Notify()]


def notify(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.open = False
    return [do.Notify()]


def finish(upload: Upload, event: ev.Event) -> list[do.Command]:
    assert isinstance(event, ev.NotifySucceeded)
    upload.url = event.url
    return []


def settle(upload: Upload, event: ev.Event) -> list[do.Command]:
    """Abort what is open at the provider, once nothing flies; of a failure, unless a later run can go on with it."""
    resumable = upload.kept and upload.state is State.FAILED
    if upload.open and not upload.flying and not resumable:
        upload.open = False
        return [do.Abort()]
    return []


def fail(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.error = getattr(event, "error", None)
    return settle(upload, event)


def give_up(upload: Upload, event: ev.Event) -> list[do.Command]:
    """Fail for good: no later run can make an object of what is stored."""
    upload.kept = False
    return fail(upload, event)


def fail_exists(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.kept = False
    key = upload.grant.key if upload.grant else ""
    upload.error = errors.Exists(f"{key} is there already and may not be replaced; allow it with cover.", key=key)
    return settle(upload, event)


def fail_expired(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.error = errors.TokenExpired(
        "the token expired again as soon as it was renewed; compare the clocks of the broker and of the provider."
    )
    return settle(upload, event)


def fail_unsealed(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.error = errors.ContractBroken("the renewed grant does not name the checksum that it was asked for.")
    return settle(upload, event)


def fail_mismatch(upload: Upload, event: ev.Event) -> list[do.Command]:
    upload.open = False
    upload.error = errors.Mismatch(
        "what the provider stored is not what was read: size or checksum differ; put it again."
    )
    return []


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────────

S = State


def _start_over(state: State, event: type[ev.Event]) -> tuple[Move, ...]:
    """A lost upload begins again when the last of its chunks has come back."""
    return (
        Move(state, event, S.TOKEN, restart, lost_and_landed),
        Move(state, event, state, None, lost),
    )


def _go_on(state: State, event: type[ev.Event]) -> tuple[Move, ...]:
    """On towards the object: seal the grant, complete, or send what is missing."""
    return (
        *_start_over(state, event),
        Move(state, event, S.TOKEN, request_token, needs_seal),
        Move(state, event, S.COMPLETING, complete, all_stored),
        Move(state, event, S.UPLOADING, send),
    )


def _object_there(event: type[ev.Event]) -> tuple[Move, ...]:
    """The verdict on an object that is there."""
    return (
        Move(S.EXISTS, event, S.UPLOADED, adopt, same_object),
        *((Move(S.EXISTS, event, S.EXISTS, compute_checksum, could_be_same),) if event is ev.ObjectFound else ()),
        Move(S.EXISTS, event, S.UPLOADED, adopt, surely_ours),
        Move(S.EXISTS, event, S.TOKEN, restart, may_cover_lost),
        Move(S.EXISTS, event, S.TOKEN, request_token, may_cover_sealed),
        Move(S.EXISTS, event, S.COMPLETING, complete, may_cover_stored),
        Move(S.EXISTS, event, S.UPLOADING, send, may_cover),
        Move(S.EXISTS, event, S.SKIPPED, settle, keep_existing),
        Move(S.EXISTS, event, S.FAILED, fail_exists),
    )


def _expired(state: State) -> tuple[Move, ...]:
    return (
        Move(state, ev.TokenExpired, S.TOKEN, renew, may_renew),
        Move(state, ev.TokenExpired, S.FAILED, fail_expired),
    )


def _stay(states: Iterable[State], events: Iterable[type[ev.Event]], action: Action | None = None) -> tuple[Move, ...]:
    return tuple(Move(state, event, state, action) for state in states for event in events)


# What may still come back to an upload that was stopped while a command of it was on its way.
_LATE = (
    ev.TokenRefused,
    ev.TokenExpired,
    ev.RenewalDue,
    ev.NothingFound,
    ev.ObjectFound,
    ev.PartsFound,
    ev.ExistsFailed,
    ev.ChecksumComputed,
    ev.SourceFailed,
    ev.ChunkStored,
    ev.ChunkFailed,
)
_ASKED_TOO_LATE = (ev.CancelRequested, ev.PauseRequested)
_STOPPABLE = (S.PENDING, S.TOKEN, S.EXISTS, S.UPLOADING)

TABLE: tuple[Move, ...] = (
    # pending
    Move(S.PENDING, ev.Started, S.TOKEN, request_token),
    Move(S.PENDING, ev.SourceFailed, S.FAILED, fail),
    # token
    Move(S.TOKEN, ev.TokenGranted, S.TOKEN, restart, lost_and_landed),
    Move(S.TOKEN, ev.TokenGranted, S.UPLOADING, keep_grant, lost),
    Move(S.TOKEN, ev.TokenGranted, S.FAILED, fail_unsealed, seal_missing),
    Move(S.TOKEN, ev.TokenGranted, S.EXISTS, keep_grant_and_check, first_grant),
    Move(S.TOKEN, ev.TokenGranted, S.UPLOADED, keep_grant_and_notify, was_notifying),
    Move(S.TOKEN, ev.TokenGranted, S.COMPLETING, keep_grant_and_complete, all_stored),
    Move(S.TOKEN, ev.TokenGranted, S.UPLOADING, keep_grant_and_send),
    Move(S.TOKEN, ev.TokenRefused, S.TOKEN, restart, lost_and_landed),
    Move(S.TOKEN, ev.TokenRefused, S.UPLOADING, None, lost),
    Move(S.TOKEN, ev.TokenRefused, S.FAILED, fail),
    Move(S.TOKEN, ev.ChunkFailed, S.TOKEN, None, lost),
    Move(S.TOKEN, ev.ChunkFailed, S.FAILED, fail),
    *_stay([S.TOKEN], [ev.ChunkStored, ev.TokenExpired, ev.RenewalDue]),
    # exists
    *_go_on(S.EXISTS, ev.NothingFound),
    *_go_on(S.EXISTS, ev.PartsFound),
    *_object_there(ev.ObjectFound),
    *_object_there(ev.ChecksumComputed),
    Move(S.EXISTS, ev.ExistsFailed, S.FAILED, fail),
    Move(S.EXISTS, ev.SourceFailed, S.FAILED, fail),
    *_expired(S.EXISTS),
    # uploading
    *_go_on(S.UPLOADING, ev.ChunkStored),
    *_start_over(S.UPLOADING, ev.ChunkFailed),
    Move(S.UPLOADING, ev.ChunkFailed, S.EXISTS, check_conflict, conflict),
    Move(S.UPLOADING, ev.ChunkFailed, S.FAILED, fail),
    Move(S.UPLOADING, ev.RenewalDue, S.UPLOADING, None, lost),
    Move(S.UPLOADING, ev.RenewalDue, S.TOKEN, request_token),
    *_start_over(S.UPLOADING, ev.TokenExpired),
    Move(S.UPLOADING, ev.TokenExpired, S.UPLOADING, send, outdated),
    *_expired(S.UPLOADING),
    # completing
    Move(S.COMPLETING, ev.Completed, S.UPLOADED, notify, as_read),
    Move(S.COMPLETING, ev.Completed, S.FAILED, fail_mismatch),
    Move(S.COMPLETING, ev.CompleteFailed, S.EXISTS, check_conflict, conflict),
    Move(S.COMPLETING, ev.CompleteFailed, S.FAILED, fail, denied),
    Move(S.COMPLETING, ev.CompleteFailed, S.FAILED, give_up),
    Move(S.COMPLETING, ev.CompleteUnanswered, S.EXISTS, check_unanswered, may_ask_again),
    Move(S.COMPLETING, ev.CompleteUnanswered, S.FAILED, fail),
    Move(S.COMPLETING, ev.SourceFailed, S.FAILED, fail),
    *_expired(S.COMPLETING),
    # uploaded, notifying
    Move(S.UPLOADED, ev.NotifyStarted, S.NOTIFYING),
    Move(S.NOTIFYING, ev.NotifySucceeded, S.DONE, finish),
    Move(S.NOTIFYING, ev.NotifyFailed, S.FAILED, fail),
    *_expired(S.NOTIFYING),
    # paused; the engine resumes an upload only when nothing of it is on its way
    Move(S.PAUSED, ev.ResumeRequested, S.TOKEN, request_token),
    Move(S.PAUSED, ev.TokenGranted, S.PAUSED, keep_grant),
    Move(S.PAUSED, ev.SourceFailed, S.PAUSED, None, broken_off),
    Move(S.PAUSED, ev.SourceFailed, S.FAILED, fail),
    *_stay([S.PAUSED], [event for event in _LATE if event is not ev.SourceFailed]),
    # what the user asks for
    *(Move(state, ev.PauseRequested, S.PAUSED) for state in _STOPPABLE),
    *(Move(state, ev.CancelRequested, S.CANCELLED, settle) for state in (*_STOPPABLE, S.PAUSED)),
    *_stay([S.PAUSED], [ev.PauseRequested]),
    *_stay([S.COMPLETING, S.UPLOADED, S.NOTIFYING, *sorted(FINAL, key=lambda s: s.value)], _ASKED_TOO_LATE),
    # the end
    *_stay([S.FAILED, S.CANCELLED], [ev.TokenGranted], keep_grant_and_settle),
    *_stay([S.FAILED, S.CANCELLED], _LATE, settle),
)


def _by_pair(table: Iterable[Move]) -> Mapping[tuple[State, type[ev.Event]], tuple[Move, ...]]:
    pairs: dict[tuple[State, type[ev.Event]], tuple[Move, ...]] = {}
    for move in table:
        pair = (move.state, move.event)
        pairs[pair] = (*pairs.get(pair, ()), move)
    return pairs


MOVES = _by_pair(TABLE)
"""The table, looked up by (state, event)."""
