"""The table is complete: every pair of state and event is in it, or refused by name."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, strategies as st

from vvos_core import errors
from vvos_core.model import Grant, Receipt, Stored
from vvos_core.protocol import events as ev
from vvos_core.protocol.machine import advance
from vvos_core.protocol.states import FINAL, State
from vvos_core.protocol.table import MOVES, TABLE
from vvos_core.protocol.upload import Upload

from .doubles import Sum

GRANT = Grant(provider="p", key="k", client_key="k", size=10, multipart=True, part_size=4, upload_id="u")
FAILURE = errors.Denied("no.")
EXAMPLES: dict[type[ev.Event], ev.Event] = {
    ev.Started: ev.Started(),
    ev.SourceFailed: ev.SourceFailed(FAILURE),
    ev.TokenGranted: ev.TokenGranted(GRANT, Sum()),
    ev.TokenRefused: ev.TokenRefused(FAILURE),
    ev.TokenExpired: ev.TokenExpired(1),
    ev.RenewalDue: ev.RenewalDue(),
    ev.NothingFound: ev.NothingFound(),
    ev.ObjectFound: ev.ObjectFound(10, "sum:1"),
    ev.PartsFound: ev.PartsFound((Receipt(number=1, size=4, proof="x", checksum="sum:1"),)),
    ev.ExistsFailed: ev.ExistsFailed(FAILURE),
    ev.ChecksumComputed: ev.ChecksumComputed("sum:1"),
    ev.ChunkStored: ev.ChunkStored(Receipt(number=1, size=4, proof="x", checksum="sum:1")),
    ev.ChunkFailed: ev.ChunkFailed(1, FAILURE),
    ev.Completed: ev.Completed(Stored(key="k", size=10)),
    ev.CompleteUnanswered: ev.CompleteUnanswered(FAILURE),
    ev.CompleteFailed: ev.CompleteFailed(FAILURE),
    ev.NotifyStarted: ev.NotifyStarted(),
    ev.NotifySucceeded: ev.NotifySucceeded("https://x"),
    ev.NotifyFailed: ev.NotifyFailed(FAILURE),
    ev.PauseRequested: ev.PauseRequested(),
    ev.ResumeRequested: ev.ResumeRequested(),
    ev.CancelRequested: ev.CancelRequested(),
}


def upload_in(state: State) -> Upload:
    upload = Upload(0, 10)
    upload.state = state
    if state is not State.PENDING:
        upload.grant = GRANT
        upload.hasher = Sum()
        from vvos_core.model import Plan

        upload.plan = Plan(size=10, multipart=True, part_size=4)
    return upload


def test_every_event_has_an_example() -> None:
    assert set(EXAMPLES) == set(ev.EVENTS)


@pytest.mark.parametrize(
    ("state", "event"), list(product(State, ev.EVENTS)), ids=lambda value: getattr(value, "__name__", value)
)
def test_every_pair_is_in_the_table_or_refused(state: State, event: type[ev.Event]) -> None:
    upload = upload_in(state)
    if (state, event) in MOVES:
        advance(upload, EXAMPLES[event])
        assert upload.state in {row.to for row in MOVES[state, event]}
    else:
        with pytest.raises(errors.ProtocolError) as refused:
            advance(upload, EXAMPLES[event])
        assert state.value in str(refused.value)
        assert event.__name__ in str(refused.value)
        assert upload.state is state


def test_every_pair_ends_with_a_row_without_a_guard_and_has_only_one() -> None:
    for rows in MOVES.values():
        assert [row.when is None for row in rows] == [False] * (len(rows) - 1) + [True]


def test_every_state_can_be_reached_and_every_other_state_left() -> None:
    reached = {State.PENDING}
    while True:
        more = {row.to for row in TABLE if row.state in reached} - reached
        if not more:
            break
        reached |= more
    assert reached == set(State)
    for state in State:
        leaves = {row.to for row in TABLE if row.state is state} - {state}
        assert bool(leaves) is (state not in FINAL)


def test_an_end_stays_the_end() -> None:
    assert all(row.to is row.state for row in TABLE if row.state in FINAL)


@given(st.lists(st.sampled_from(sorted(EXAMPLES.values(), key=repr)), max_size=60))
def test_no_sequence_of_events_leads_out_of_the_table(events: list[ev.Event]) -> None:
    """Any sequence, sensible or not: each event moves along the table, or is refused and changes nothing."""
    upload = Upload(0, 10)
    for event in events:
        before = upload.state
        legal = {row.to for row in MOVES.get((before, type(event)), ())}
        try:
            advance(upload, event)
        except errors.ProtocolError:
            assert not legal
            assert upload.state is before
        else:
            assert upload.state in legal
