"""Fixtures: ``qiniu_emulator`` with fresh state for each test.

Use with ``pytest_plugins = ["vvos_qiniu.emulator.pytest_plugin"]``. One server serves the whole session; each test gets
an empty bucket and an empty log.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .server import QiniuEmulator


@pytest.fixture(scope="session")
def qiniu_emulator_session() -> Iterator[QiniuEmulator]:
    """The running server; tests want ``qiniu_emulator``."""
    with QiniuEmulator() as emulator:
        yield emulator


@pytest.fixture
def qiniu_emulator(qiniu_emulator_session: QiniuEmulator) -> QiniuEmulator:
    """An emulator with an empty bucket, no uploads, no records, and the real clock."""
    qiniu_emulator_session.reset()
    qiniu_emulator_session.clock = time.time
    return qiniu_emulator_session
