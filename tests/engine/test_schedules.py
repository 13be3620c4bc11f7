"""Thousands of schedules of faults, expiries, crashes, edits and concurrent runs, over several runs of one folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from vvos_core.protocol.states import State

from ..effort import IN_MEMORY
from .simulation import CALM, CONCURRENCY, NAMES, Round, World, simulated

SCHEDULES = int(os.environ.get("SCHEDULES", "400"))
"""How many are tried; the soak tries more."""

names = st.sampled_from(NAMES)
hooks = st.sampled_from(["token", "exists", "put_chunk", "put_chunk", "complete", "notify"])
fates = st.sampled_from(
    ["before", "after", "UNAVAILABLE", "SERVICE_FAILED", "TOKEN_EXPIRED", "DENIED", "NOT_FOUND", "BAD_ANSWER"]
)
outside = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["edit", "hide", "grow", "forget", "lose"]), names),
    st.sampled_from(["expire", "wait", "arrive"]),
)
inside = st.one_of(
    outside,
    st.builds("{} {}".format, st.sampled_from(["another", "pause", "resume", "cancel"]), names),
    st.sampled_from(["pause", "resume", "cancel", "stop"]),
)
crashes = st.tuples(st.sampled_from(["step", "before", "after"]), st.integers(1, 25))
rounds = st.builds(
    Round,
    names=st.lists(names, min_size=1, unique=True).map(tuple),
    cover=st.sampled_from([True, True, True, False]),
    between=st.lists(outside, max_size=2).map(tuple),
    order=st.lists(st.integers(0, 7), min_size=1, max_size=12).map(tuple),
    faults=st.dictionaries(st.tuples(hooks, st.integers(1, 8)), fates, max_size=3),
    deeds=st.lists(st.tuples(st.integers(1, 25), inside), max_size=3).map(tuple),
    crash=st.none() | crashes,
    ghosts=st.integers(0, 3),
)


@settings(
    max_examples=SCHEDULES,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(
    rounds=st.lists(rounds, min_size=1, max_size=4),
    lifetime=st.sampled_from([0.0, 0.0, 6.0, 30.0]),
    seal=st.booleans(),
    inodes=st.sampled_from([True, True, False]),
)
def test_whatever_happens_nothing_is_lost_mixed_or_sent_twice(
    rounds: list[Round], lifetime: float, seal: bool, inodes: bool
) -> None:
    play(rounds, lifetime=lifetime, seal=seal, inodes=inodes)


FILM = NAMES[0]
FOUND = {
    "stopped after the grant was sealed, before the object was made": [
        Round(names=(FILM,), faults={("complete", 1): "DENIED"})
    ],
    "edited, with its time put back, while it was sent": [Round(names=(FILM,), deeds=((7, f"hide {FILM}"),))],
    "edited after the grant was sealed for the old bytes": [
        Round(names=(FILM,), faults={("complete", 1): "DENIED"}),
        Round(names=(FILM,), between=(f"hide {FILM}",)),
    ],
    "and killed when the journal had forgotten the old bytes": [
        Round(names=(FILM,), faults={("complete", 1): "DENIED"}),
        Round(names=(FILM,), between=(f"hide {FILM}",), crash=("step", 2)),
        Round(names=(FILM,)),
    ],
    "begun in parts, and then so small that it goes in one": [
        Round(names=(FILM,), deeds=((4, "stop"),)),
        Round(names=(FILM,), between=(f"grow {FILM}", f"grow {FILM}")),
    ],
    "begun with leave to replace, and put again without": [
        Round(names=(FILM,), deeds=((4, "stop"),)),
        Round(names=(FILM,), cover=False, between=("expire",)),
    ],
    "cancelled while its chunks were compared": [
        Round(names=(FILM,), deeds=((3, "stop"),)),
        Round(names=(FILM,), deeds=((1, f"cancel {FILM}"),)),
    ],
    "killed with more answers come than heard of": [Round(crash=("before", 4), order=(2, 5), ghosts=2)],
}


@pytest.mark.parametrize("seal", [False, True])
@pytest.mark.parametrize("schedule", FOUND)
def test_what_was_found_once_stays_mended(schedule: str, seal: bool) -> None:
    play(FOUND[schedule], lifetime=0.0, seal=seal, inodes=True)


def play(rounds: list[Round], *, lifetime: float, seal: bool, inodes: bool) -> None:
    """Play the rounds and then a calm one, and see that all is as it has to be."""
    with tempfile.TemporaryDirectory(dir=IN_MEMORY) as folder:
        world = World(Path(folder), lifetime=lifetime, seal=seal, inodes=inodes)
        with simulated(world):
            for round in rounds:
                world.play(round)
                assert world.wrong == []
            world.arrive()
            jobs = world.play(CALM)
        assert world.wrong == []
        assert {name: job.upload.state for name, job in jobs.items()} == dict.fromkeys(NAMES, State.DONE), [
            job.upload.error for job in jobs.values()
        ]
        assert world.cloud.objects == {name: world.history[name][-1] for name in NAMES}
        assert [record.client_key for record in world.records() if record.state == "unfinished"] == []
        assert set(world.cloud.uploads) <= world.orphans
        assert max(world.lost, default=0) <= CONCURRENCY, "more than was in flight is sent again"
