"""Services for the security tests: each cloud, and each provider, in turn."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from .places import CLOUDS, Place, cloud_place, directory_place


@pytest.fixture(autouse=True, scope="session")
def _plain_environment() -> Iterator[None]:
    """No proxy, and no cloud's configuration of the machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.lower().endswith("_proxy") or name.startswith("AWS_") or "QINIU" in name:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def emulators() -> Iterator[dict[str, Any]]:
    """The three clouds' emulators, found as ``vvos emulate`` finds them."""
    with ExitStack() as stack:
        running = {}
        for name in CLOUDS:
            (point,) = entry_points(group="vvos.emulators", name=name)
            running[name] = stack.enter_context(point.load()())
        yield running


@pytest.fixture(params=CLOUDS)
def cloud(request: pytest.FixtureRequest, emulators: dict[str, Any]) -> Iterator[Place]:
    """Each cloud in turn, empty."""
    emulator = emulators[request.param]
    emulator.reset()
    emulator.clock = time.time
    yield cloud_place(request.param, emulator)
    emulator.clock = time.time


@pytest.fixture(params=[*CLOUDS, "directory"])
def place(request: pytest.FixtureRequest, emulators: dict[str, Any], tmp_path: Path) -> Iterator[Place]:
    """Each provider in turn, empty: the clouds and the plain directory."""
    if request.param == "directory":
        yield directory_place(tmp_path)
        return
    emulator = emulators[request.param]
    emulator.reset()
    emulator.clock = time.time
    yield cloud_place(request.param, emulator)
    emulator.clock = time.time
