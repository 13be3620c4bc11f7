"""A `VVOS` whose provider is the cloud in memory, and what its callbacks are told."""

from __future__ import annotations

import threading

import pytest

from vvos_core import VVOS, Profile, Progress, Result, RetryPolicy, VVOSError

from ..engine.cloud import Cloud, calls_of


def data(size: int) -> bytes:
    return bytes(index * 7 % 251 for index in range(size))


class Told:
    """Callbacks that keep what they are told."""

    def __init__(self) -> None:
        self.results: list[tuple[VVOSError | None, Result]] = []
        self.progress: list[tuple[VVOSError | None, Progress]] = []
        self.threads: set[threading.Thread] = set()

    def on_result(self, error: VVOSError | None, result: Result) -> None:
        self.threads.add(threading.current_thread())
        self.results.append((error, result))

    def on_progress(self, error: VVOSError | None, progress: Progress) -> None:
        self.threads.add(threading.current_thread())
        self.progress.append((error, progress))


def client(monkeypatch: pytest.MonkeyPatch, cloud: Cloud, *, cover: bool = False, on_exists: str = "fail") -> VVOS:
    """The real client; only where it would look for an installed provider it is given ``cloud``."""
    monkeypatch.setattr(
        "vvos_core.destination.load",
        lambda profile, plugins: calls_of(cloud, *plugins, keep_existing=profile.on_exists == "skip"),
    )
    profile = Profile(name="p", provider="cloud", on_exists="skip" if on_exists == "skip" else "fail")
    return VVOS(profile=profile, cover=cover, retry=RetryPolicy(base=0), concurrency=3)
