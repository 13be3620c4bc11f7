"""``kill -9`` of the client: it goes on, nothing is lost, little is sent again, nothing is left."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from vvos_core.testing.faults import swallow

from .killing import CONCURRENCY, Tally, theatre

RUNS = {"s3": 4, "qiniu": 4, "aliyun": 4}


@pytest.mark.parametrize("name", RUNS)
def test_a_client_that_is_killed_goes_on_where_it_stopped(name: str, tmp_path: Path) -> None:
    with theatre(name, tmp_path) as stage:
        chance = random.Random(f"{name} 7")
        for _ in range(RUNS[name]):
            stage.play(chance, kills=1)
        tally: Tally = stage.settle()
    assert tally.kills > 0, "nothing was killed"
    assert (tally.wrong, tally.orphans, tally.strange) == (0, 0, 0), tally
    assert max(tally.again) <= CONCURRENCY * stage.part, tally


@pytest.mark.parametrize("name", ["s3", "aliyun"])
def test_an_upload_whose_beginning_nobody_heard_of_is_swept(name: str, tmp_path: Path) -> None:
    with theatre(name, tmp_path) as stage:
        stage.to_cloud.stage(swallow(), "POST", r"\?uploads")
        stage.play(random.Random(7), kills=0)
        assert stage.unfinished() == 1
        tally = stage.settle()
    assert (tally.wrong, tally.orphans, tally.strange) == (0, 0, 0), tally
