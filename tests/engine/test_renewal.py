"""Grants that are renewed by our own clock, before anybody has to refuse them. Time is simulated."""

from __future__ import annotations

import threading

import pytest

from vvos_core import hookimpl
from vvos_core.engine import Engine
from vvos_core.job import Job, Order
from vvos_core.model import Chunk, Grant, Receipt
from vvos_core.protocol.states import State
from vvos_core.protocol.upload import Upload

from .cloud import Cloud, calls_of
from .test_engine import AT_ONCE, Log, data, source

SECONDS = 9.0
"""How long a chunk takes. A hundred of 1 GiB each, one after the other, take a quarter of an hour."""
FILES = 3


class Timed(Cloud):
    """A chunk takes its time, in which the engine is awake at least twice, as it would be in nine real seconds."""

    def __init__(self, lifetime: float, skew: float = 0.0) -> None:
        super().__init__(lifetime=lifetime)
        self.skew = skew
        """Seconds that the client's clock is ahead of the provider's."""
        self.ticks = 0
        self.ticked = threading.Condition()

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        with self.ticked:
            until = self.ticks + 2
            assert self.ticked.wait_for(lambda: self.ticks >= until, timeout=30)
        receipt: Receipt = Cloud.put_chunk(self, grant, chunk)
        self.now += SECONDS  # the grant is looked at when a request begins
        return receipt

    def clock(self) -> float:
        return self.now + self.skew


class Ticking(Log):
    def __init__(self, cloud: Timed) -> None:
        super().__init__()
        self.cloud = cloud

    def tick(self) -> None:
        with self.cloud.ticked:
            self.cloud.ticks += 1
            self.cloud.ticked.notify_all()


def run(cloud: Timed, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    monkeypatch.setattr("vvos_core.engine.TICK", 0.001)
    jobs = [Job(Upload(number, 400, window=2), source(400), f"f{number}", "", {}) for number in range(FILES)]
    engine = Engine(
        calls_of(cloud), make_request_token=lambda name: name, concurrency=1, retry=AT_ONCE, clock=cloud.clock
    )
    engine.run(iter(jobs), Order(batch="b"), Ticking(cloud))
    return jobs


@pytest.mark.parametrize("skew", [0.0, -86_400.0, 3_000.0])
def test_a_hundred_chunks_of_a_gibibyte_arrive_on_tokens_of_one_minute(
    skew: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = Timed(lifetime=60.0, skew=skew)
    jobs = run(cloud, monkeypatch)
    assert [job.upload.state for job in jobs] == [State.DONE] * FILES
    assert all(cloud.objects[job.client_key] == data(400) for job in jobs)
    renewals = cloud.counts["token"] - 1
    # All files that wait are renewed in one call, whenever four fifths of a minute have gone.
    assert renewals <= cloud.now / 40.0
    assert cloud.refused == 0, "nobody had to be told"
    assert cloud.counts["put_chunk"] == FILES * 100


def test_a_provider_whose_minute_is_shorter_than_ours_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Timed(lifetime=60.0)
    # The client's clock runs at half the speed: what it thinks good for another while is over.
    monkeypatch.setattr(Timed, "clock", lambda self: self.now / 2)
    jobs = run(cloud, monkeypatch)
    assert [job.upload.state for job in jobs] == [State.DONE] * FILES
    assert 0 < cloud.refused < cloud.counts["put_chunk"] / 4
