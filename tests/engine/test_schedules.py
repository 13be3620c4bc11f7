"""Thousands of schedules of faults, expiries, crashes, edits and concurrent runs, over several runs of one folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, event, given, settings, strategies as st

from vvos_core.protocol.states import State

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
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), lifetime=lifetime, seal=seal, inodes=inodes)
        with simulated(world):
            for round in rounds:
                jobs = world.play(round)
                event("crashed" if not jobs else ", ".join(sorted({job.upload.state.value for job in jobs.values()})))
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
