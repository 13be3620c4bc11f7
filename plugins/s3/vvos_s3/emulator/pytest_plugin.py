"""Fixtures: `s3_emulator` with fresh state for each test, and `s3_client`, a boto3 client for it.

Use with `pytest_plugins = ["vvos_s3.emulator.pytest_plugin"]`. One server serves the whole session; each test gets an
empty bucket and an empty log, which takes about a millisecond.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from .server import S3Emulator


@pytest.fixture(scope="session")
def s3_emulator_session() -> Iterator[S3Emulator]:
    """The running server; tests want `s3_emulator`."""
    with S3Emulator() as emulator:
        yield emulator


@pytest.fixture
def s3_emulator(s3_emulator_session: S3Emulator) -> S3Emulator:
    """An emulator with an empty bucket, no uploads, no sessions, no records, and the real clock."""
    s3_emulator_session.reset()
    s3_emulator_session.clock = time.time
    return s3_emulator_session


@pytest.fixture
def s3_client(s3_emulator: S3Emulator) -> Iterator[Any]:
    """A boto3 client: SigV4 everywhere, path style, no retries (a test wants to see the first answer)."""
    import boto3  # type: ignore[import-untyped,unused-ignore]  # ships no types
    from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types

    info = s3_emulator.info
    client = boto3.client(
        "s3",
        endpoint_url=info["endpoint"],
        aws_access_key_id=info["access_key"],
        aws_secret_access_key=info["secret_key"],
        region_name=info["region"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )
    yield client
    client.close()
