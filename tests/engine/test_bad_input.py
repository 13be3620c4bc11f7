"""What is wrong with the machine that a client runs on costs at most the resume, and is told in a sentence."""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from vvos_core.fingerprint import Fingerprint
from vvos_core.protocol.states import State

from .cloud import Cloud
from .test_engine import data
from .test_resume import PARTS, SIZE, Runs, write


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(Cloud(), tmp_path / "state")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "影片.bin", data(SIZE))


def test_over_a_journal_of_a_later_version_an_upload_goes_on_without(
    runs: Runs, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs.stopped_after(5, file)
    (path,) = runs.folder.glob("journal-*.db")
    with sqlite3.connect(path) as journal:
        journal.execute("PRAGMA user_version = 7")
    journal.close()
    before = path.read_bytes()
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.objects["影片.bin"] == data(SIZE)
    assert "is a journal of version 7, and this VVOS knows version 1; use the newer VVOS" in caplog.text
    assert "Uploads go on, and cannot be resumed when they stop. [JOURNAL]" in caplog.text
    assert path.read_bytes() == before


@pytest.mark.parametrize("seconds", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_by_a_day_costs_nothing(
    runs: Runs, file: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    stored = len(runs.stopped_after(5, file).upload.receipts)
    real = time.time
    monkeypatch.setattr("vvos_core.keeper.time", SimpleNamespace(time=lambda: real() + seconds))
    monkeypatch.setattr("vvos_core.journal.journal.time.time", lambda: real() + seconds)
    runs.cloud.counts.clear()
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.counts["put_chunk"] == PARTS - stored
    assert runs.cloud.objects["影片.bin"] == data(SIZE)


def test_on_a_file_system_without_stable_inodes_an_upload_goes_on(
    runs: Runs, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count(1)

    def of(info: os.stat_result) -> Fingerprint:
        return Fingerprint(info.st_dev, next(numbers), info.st_size, info.st_mtime_ns, info.st_ctime_ns)

    monkeypatch.setattr(Fingerprint, "of", of)
    stored = len(runs.stopped_after(5, file).upload.receipts)
    runs.cloud.counts.clear()
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.counts["put_chunk"] == PARTS - stored
