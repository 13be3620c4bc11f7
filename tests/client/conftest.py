"""A cloud in memory, a client of it, and a broker over real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from vvos_core import VVOS

from ..engine.cloud import Cloud
from .brokers import Broker, extended
from .uploading import client


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def vvos(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> VVOS:
    return client(monkeypatch, cloud)


@pytest.fixture
def broker(cloud: Cloud) -> Iterator[Broker]:
    with Broker(extended(cloud)) as one:
        yield one


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,[::1]")
