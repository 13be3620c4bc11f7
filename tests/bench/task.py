"""What a contender is asked to do, and what came of it: passed between the bench and its child processes as JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

BUCKET = "bench"
REGION = "us-east-1"
ACCESS_KEY = "bench-access"
SECRET_KEY = "bench-secret-key"

Work: TypeAlias = Callable[[], None]


class Task(Struct, frozen=True, kw_only=True):
    """One run of one contender."""

    contender: str
    endpoint: str
    """The drain, ``http://127.0.0.1:port``."""
    broker: str = ""
    """The address below which a broker answers; for VVOS."""
    authority: str = ""
    """The path of the certificate to trust; empty over plain HTTP."""
    folder: str
    """Absolute path. What is uploaded is ``name`` in it, or all of its files, each under its own name."""
    name: str = ""
    prefix: str
    """What every key begins with, ``…/``; another in every run."""
    settings: dict[str, int | str] = {}
    command: list[str] = []
    """A command line: it is run as it is, with ``environment``; otherwise the contender is a library."""
    environment: dict[str, str] = {}


class Run(Struct, frozen=True, kw_only=True):
    """What came of it."""

    seconds: float
    cpu: float
    """Seconds of processor time, user and system, of the process and its children."""
    memory: int
    """Bytes: the most that was resident at once, of one process."""
    error: str = ""
