"""What all processes of one test session need, and the first that asks for it makes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], bytes]) -> bytes:
    """What ``make`` answers of an empty folder: called once in a session, in however many processes it runs."""
    session = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent  # each process has a folder of its own in the session's
    done = session / f"{name}.done"
    with open(session / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder = session / name
            folder.mkdir()
            done.write_bytes(make(folder))
        return done.read_bytes()
