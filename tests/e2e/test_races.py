"""Two clients, one key: the service itself decides, and the loser learns it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from vvos_core import Exists, Result
from vvos_core.broker import create_app
from vvos_core.broker.serve import BrokerServer

from .conftest import Stage, config_for


@pytest.mark.parametrize("size", [100, 9 * 1024 * 1024], ids=["one put", "multipart"])
def test_of_two_that_may_not_cover_one_wins_and_the_object_is_its(stage: Stage, size: int) -> None:
    barrier = threading.Barrier(2)
    results: dict[int, Result] = {}

    def put(number: int) -> None:
        upload = stage.client()
        upload.add_files([(bytes([number]) * size, "争.bin")])
        barrier.wait()
        (results[number],) = upload.submit()

    threads = [threading.Thread(target=put, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [number for number, result in results.items() if result.state == "done"]
    assert len(won) == 1
    (lost,) = {1, 2} - set(won)
    assert isinstance(results[lost].error, Exists)
    assert stage.read("争.bin") == bytes(won) * size
    assert stage.unfinished() == 0


@pytest.mark.parametrize("size", [100, 9 * 1024 * 1024], ids=["one put", "multipart"])
@pytest.mark.parametrize(("on_exists", "state"), [("fail", "failed"), ("skip", "skipped")])
def test_a_taken_key_fails_or_is_skipped_as_the_profile_says(
    stage: Stage, tmp_path: Path, size: int, on_exists: str, state: str
) -> None:
    config = config_for(stage.s3, tmp_path, on_exists=on_exists)
    with BrokerServer(create_app(config)) as broker:
        from vvos_core import VVOS

        upload = VVOS(api={name: f"{broker.url}/{name}" for name in ("gettoken", "exists", "notifier")})
        upload.add_files([(b"first", "键.bin")])
        assert upload.submit()[0].state == "done"
        upload.add_files([(b"x" * size, "键.bin")])
        (result,) = upload.submit()
    assert result.state == state
    assert isinstance(result.error, Exists) is (state == "failed")
    assert stage.read("键.bin") == b"first"
    assert stage.unfinished() == 0


def test_what_may_be_covered_is_replaced(stage: Stage) -> None:
    for data in (b"first", b"second", b"third" * 2_000_000):
        upload = stage.client(cover=True)
        upload.add_files([(data, "键.bin")])
        assert upload.submit()[0].state == "done"
        assert stage.read("键.bin") == data
