"""kill -9 of the broker at every statement: the same call again gives one answer, and nothing is lost or left."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vvos_core.broker import schema
from vvos_core.broker.leftovers import BEGIN_SECONDS, CLAIM_SECONDS
from vvos_core.broker.seal import RENEWABLE

from .crashing import PART, Stage, names
from .fake import Answer, Clock

BIG = PART + 1
TTL = 3600


@pytest.fixture
def stage(any_database: str, tmp_path: Path) -> Iterator[Stage]:
    root = tmp_path / "根"
    root.mkdir()
    clock = Clock()
    clock.now = time.time()  # the folder's files have real times
    made = Stage(any_database, root, clock)
    yield made
    made.broker.close()


def gettoken(stage: Stage, number: int, **fields: Any) -> Answer:
    first, second, third = names(number)
    files = {first: {"size": BIG}, second: {"size": BIG}, third: {"size": 5}}
    return stage.gettoken(first, second, third, request=f"r{number}", files=files, **fields)


def granted(stage: Stage, number: int) -> Answer:
    answer = gettoken(stage, number)
    assert answer.code == "SUCCESS", answer.body
    return answer


def ids(answer: Answer) -> set[str]:
    return {grant["uploadId"] for grant in answer["grants"].values() if "uploadId" in grant}


def sweep(stage: Stage, after: float) -> None:
    stage.clock.now += after
    assert stage.broker.sweeping.sweep().left == 0


def test_gettoken(stage: Stage) -> None:
    wanted: set[str] = set()

    def after(number: int) -> None:
        first = granted(stage, number)
        again = granted(stage, number)
        assert (again["accessToken"], ids(again)) == (first["accessToken"], ids(first))
        assert len(ids(first)) == 2
        wanted.update(ids(first))

    killed = stage.killed(granted, after)
    assert killed > 16
    assert stage.noted() == wanted
    orphans = stage.unfinished() - wanted
    assert orphans, "it was never killed between beginning and noting"
    sweep(stage, BEGIN_SECONDS + 1)
    assert stage.unfinished() == wanted, "only the orphans are aborted"
    sweep(stage, TTL + RENEWABLE)
    assert (stage.unfinished(), stage.noted(), stage.count(schema.BEGUN)) == (set(), set(), 0)


def renew(stage: Stage, token: Answer, number: int) -> Answer:
    answer = stage.gettoken(*names(number), accessToken=token["accessToken"], files={})
    assert answer.code == "SUCCESS", answer.body
    return answer


def test_renewal(stage: Stage) -> None:
    token = granted(stage, 0)
    stage.clock.now += TTL + 1

    def after(number: int) -> None:
        assert ids(renew(stage, token, 0)) == ids(token)

    assert stage.killed(lambda child, number: renew(child, token, 0), after) > 6
    sweep(stage, TTL + RENEWABLE - 1)
    assert stage.unfinished() == ids(token)
    sweep(stage, 2)
    assert stage.unfinished() == set()


def finish(stage: Stage, token: Answer, number: int) -> Answer:
    answer = stage.call("notifier", accessToken=token["accessToken"], keys=list(names(number)))
    assert answer.code == "SUCCESS", answer.body
    return answer


def test_notifier(stage: Stage) -> None:
    tokens: dict[int, Answer] = {}

    def arrive(number: int) -> None:
        """The objects of one batch, as if they had been put."""
        tokens[number] = granted(stage, number)
        (stage.root / str(number)).mkdir()
        for key, grant in tokens[number]["grants"].items():
            (stage.root / key).write_bytes(b"x" * grant["size"])

    def after(number: int) -> None:
        recorded = stage.count(schema.NOTIFIED)
        assert recorded in (3 * number, 3 * number + 3), "half a batch was recorded"
        first = finish(stage, tokens[number], number)
        for key in names(number):
            (stage.root / key).unlink()  # asked again, it answers what it recorded
        assert finish(stage, tokens[number], number).body == first.body
        assert stage.count(schema.NOTIFIED) == 3 * number + 3
        arrive(number + 1)

    arrive(0)
    assert stage.killed(lambda child, number: finish(child, tokens[number], number), after) > 10
    sweep(stage, 0)
    assert stage.unfinished() == ids(tokens[max(tokens)]), "of what is finished nothing is left"


def test_sweep(stage: Stage) -> None:
    stage.clock.now -= TTL + RENEWABLE + 1
    for number in range(3):
        granted(stage, number)
    stage.clock.now += TTL + RENEWABLE + 1
    living = granted(stage, 900)
    lost: list[int] = []

    def after(number: int) -> None:
        """One more upload that expired, for the next child."""
        assert ids(living) <= stage.unfinished()
        lost.append(number)
        stage.clock.now -= TTL + RENEWABLE + 1
        granted(stage, 1000 + number)
        stage.clock.now += TTL + RENEWABLE + 1 + CLAIM_SECONDS
        renew(stage, living, 900)

    killed = stage.killed(lambda child, number: sweep(child, 0), after)
    assert killed > 10
    assert len(lost) == killed + 1
    sweep(stage, CLAIM_SECONDS)
    assert stage.unfinished() == stage.noted() == ids(living)
