"""Killing the network between client and broker, and between client and S3: who went away is named."""

from __future__ import annotations

import os

import pytest

from vvos_core import Result, Unavailable
from vvos_core.testing.faults import refuse

from .conftest import Stage

SMALL = "小文件.txt", b"small"
LARGE = "大 文件+%#?&.bin", os.urandom(9 * 1024 * 1024)


def put(stage: Stage) -> dict[str, Result]:
    upload = stage.client()
    upload.add_files([(data, key) for key, data in (SMALL, LARGE)])
    return {result.client_key: result for result in upload.submit()}


@pytest.mark.parametrize("call", ["gettoken", "exists", "notifier"])
def test_a_broker_that_goes_away_is_named(stage: Stage, call: str) -> None:
    stage.to_broker.stage(refuse(), "POST", f"^/{call}$")
    results = put(stage)
    for result in results.values():
        assert result.state == "failed"
        assert isinstance(result.error, Unavailable)
        assert stage.to_broker.address in str(result.error)
    if call == "gettoken":
        assert stage.keys() == []


def test_an_s3_that_goes_away_is_named_and_no_object_is_left(stage: Stage) -> None:
    stage.to_s3.stage(refuse(), "PUT")
    results = put(stage)
    for result in results.values():
        assert result.state == "failed"
        assert isinstance(result.error, Unavailable)
        assert stage.to_s3.address in str(result.error)
        assert "Signature" not in str(result.error), "a presigned url is a capability"
    assert stage.keys() == []
