"""Killing the network between client and broker, and between client and S3, at every kind of call."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from vvos_core import Result, Unavailable

from .conftest import Stage
from .relay import Judge, Relay

SMALL = "小文件.txt", b"small"
LARGE = "大 文件+%#?&.bin", os.urandom(9 * 1024 * 1024)


def nth(count: int, fate: str, wanted: Callable[[bytes], bool]) -> Judge:
    """``fate`` for the first ``count`` of the requests that are ``wanted``."""
    left = count

    def judge(head: bytes, relay: Relay) -> str:
        nonlocal left
        if not wanted(head) or not left:
            return ""
        left -= 1
        return fate

    return judge


def put(stage: Stage) -> dict[str, Result]:
    upload = stage.client()
    upload.add_files([(data, key) for key, data in (SMALL, LARGE)])
    return {result.client_key: result for result in upload.submit()}


CALLS_OF_S3: dict[str, Callable[[bytes], bool]] = {
    "single put": lambda head: head.startswith(b"PUT") and b"partNumber" not in head,
    "part": lambda head: head.startswith(b"PUT") and b"partNumber" in head,
    "complete": lambda head: head.startswith(b"POST") and b"uploadId" in head,
}
CALLS_OF_BROKER: dict[str, Callable[[bytes], bool]] = {
    name: lambda head, name=name: head.startswith(f"POST /{name}".encode())  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
    for name in ("gettoken", "exists", "notifier")
}


@pytest.mark.parametrize("fate", ["cut", "swallow"])
@pytest.mark.parametrize("call", CALLS_OF_S3)
def test_a_call_to_s3_that_is_lost_once_costs_nothing(stage: Stage, call: str, fate: str) -> None:
    stage.to_s3.judge = nth(1, fate, CALLS_OF_S3[call])
    results = put(stage)
    assert fate in stage.to_s3.judged, "the fault was staged"
    for key, data in (SMALL, LARGE):
        assert results[key].state == "done", results[key].error
        assert stage.read(key) == data
    assert stage.unfinished() == 0


@pytest.mark.parametrize("fate", ["cut", "swallow"])
@pytest.mark.parametrize("call", CALLS_OF_BROKER)
def test_a_call_to_the_broker_that_is_lost_once_costs_nothing(stage: Stage, call: str, fate: str) -> None:
    stage.to_broker.judge = nth(1, fate, CALLS_OF_BROKER[call])
    results = put(stage)
    assert fate in stage.to_broker.judged, "the fault was staged"
    for key, data in (SMALL, LARGE):
        assert results[key].state == "done", results[key].error
        assert stage.read(key) == data
    assert stage.unfinished() == 0


@pytest.mark.parametrize("call", CALLS_OF_BROKER)
def test_a_broker_that_goes_away_is_named(stage: Stage, call: str) -> None:
    def judge(head: bytes, relay: Relay) -> str:
        if CALLS_OF_BROKER[call](head):
            relay.stop()
        return ""

    stage.to_broker.judge = judge
    results = put(stage)
    for result in results.values():
        assert result.state == "failed"
        assert isinstance(result.error, Unavailable)
        assert stage.to_broker.url.removeprefix("http://") in str(result.error)
    if call == "gettoken":
        assert stage.keys() == []


def test_an_s3_that_goes_away_is_named_and_no_object_is_left(stage: Stage) -> None:
    def judge(head: bytes, relay: Relay) -> str:
        if head.startswith(b"PUT"):
            relay.stop()
        return ""

    stage.to_s3.judge = judge
    results = put(stage)
    for result in results.values():
        assert result.state == "failed"
        assert isinstance(result.error, Unavailable)
        assert stage.to_s3.url.removeprefix("http://") in str(result.error)
        assert "Signature" not in str(result.error), "a presigned url is a capability"
    assert stage.keys() == []
