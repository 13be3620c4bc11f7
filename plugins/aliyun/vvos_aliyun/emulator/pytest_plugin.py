"""Fixtures: ``aliyun_emulator`` with fresh state for each test, and ``aliyun_bucket``, an oss2 Bucket (V4) on it.

Use with ``pytest_plugins = ["vvos_aliyun.emulator.pytest_plugin"]``. One server serves the whole session; each test
gets an empty bucket and an empty log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from .server import AliyunEmulator


@pytest.fixture(scope="session")
def aliyun_emulator_session() -> Iterator[AliyunEmulator]:
    """The running server; tests want ``aliyun_emulator``."""
    with AliyunEmulator() as emulator:
        yield emulator


@pytest.fixture
def aliyun_emulator(aliyun_emulator_session: AliyunEmulator) -> AliyunEmulator:
    """An emulator with an empty bucket, no uploads, no STS credentials, no records, and the real clock."""
    aliyun_emulator_session.reset()
    aliyun_emulator_session.clock = time.time
    return aliyun_emulator_session


@pytest.fixture
def aliyun_bucket(aliyun_emulator: AliyunEmulator) -> Iterator[Any]:
    """The bucket as oss2 sees it, signing with V4."""
    import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types

    info = aliyun_emulator.info
    auth = oss2.AuthV4(info["access_key"], info["secret_key"])
    bucket = oss2.Bucket(auth, info["endpoint"], info["bucket"], region=info["region"])
    yield bucket
    bucket.session.session.close()
