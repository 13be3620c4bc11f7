"""``vvos uploads``, ``resume`` and ``abort``: what Ctrl-C, a kill or a failure left behind."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vvos_s3.emulator import S3Emulator

from vvos_core.client import VVOS

from .running import Run, Spawn
from .test_interrupt import Dam, begin, dam as dam

_ = dam


@pytest.fixture
def stopped(toml: Callable[..., Path], dam: Dam, clean: Path, spawn: Spawn, run: Run) -> list[dict[str, object]]:
    """Two uploads of 20 MiB in parts, killed while the service held the first of them."""
    toml(endpoint=dam.url)
    process = begin(spawn, clean)
    assert dam.held.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    dam.opened.set()
    status, out, _ = run("uploads", "--json")
    assert status == 0
    listed: list[dict[str, object]] = json.loads(out)["uploads"]
    assert sorted(str(entry["clientKey"]) for entry in listed) == ["second.bin", "大.bin"]
    return listed


def test_they_are_listed_with_age_size_and_progress(stopped: list[dict[str, object]], run: Run) -> None:
    status, out, _ = run("uploads")
    assert status == 0
    assert "20.0 MiB" in out
    assert "大.bin" in out
    assert all(str(entry["id"]) in out for entry in stopped)


def test_resume_finishes_all_of_them(stopped: list[dict[str, object]], run: Run, service: S3Emulator) -> None:
    begun = service.counts["CreateMultipartUpload"]
    status, out, _ = run("resume")
    assert status == 0
    assert out.count("uploaded") == 2
    assert service.counts["CreateMultipartUpload"] == begun, "no upload was begun again"
    assert b"".join(service.read("大.bin")) == b"x" * 20 * 2**20
    assert run("uploads")[1] == "No upload is unfinished.\n"


def test_resume_sends_as_fast_as_it_may(
    stopped: list[dict[str, object]], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, object] = {}

    class Given(VVOS):
        def __init__(self, **arguments: Any) -> None:
            given.update(arguments)
            super().__init__(**arguments)

    monkeypatch.setattr("vvos_core.unfinished.VVOS", Given)
    assert run("resume", "--concurrency", "2", "--limit-rate", "200M")[0] == 0
    assert (given["concurrency"], given["limit_rate"]) == (2, 200 * 2**20)


def test_resume_and_abort_take_the_beginning_of_an_id(
    stopped: list[dict[str, object]], run: Run, service: S3Emulator
) -> None:
    first, second = (str(entry["id"]) for entry in stopped)
    assert run("resume", first[:12])[0] == 0
    assert run("abort", second[:12])[0] == 0
    assert run("uploads")[1] == "No upload is unfinished.\n"
    assert service.counts["AbortMultipartUpload"] == 1


def test_abort_makes_the_provider_forget_them(stopped: list[dict[str, object]], run: Run, service: S3Emulator) -> None:
    status, out, _ = run("abort")
    assert status == 0
    assert out.count("aborted") == 2
    assert service.counts["AbortMultipartUpload"] == 2
    assert run("uploads")[1] == "No upload is unfinished.\n"


def test_an_id_that_is_nobodys_is_refused(run: Run) -> None:
    for command in ("resume", "abort"):
        status, _, err = run(command, "feed")
        assert status == 1
        assert "there is no unfinished upload 'feed'; vvos uploads lists them. [NOT_FOUND]" in err


def test_the_same_command_again_finishes_too(stopped: list[dict[str, object]], run: Run, service: S3Emulator) -> None:
    begun = service.counts["CreateMultipartUpload"]
    assert run("put", "大.bin", "second.bin")[0] == 0
    assert service.counts["CreateMultipartUpload"] == begun
    assert run("uploads")[1] == "No upload is unfinished.\n"


def test_a_journal_that_cannot_be_read_is_a_sentence(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VVOS_STATE", str(tmp_path / "file"))
    status, _, err = run("uploads")
    assert status == 1
    assert err.endswith("[JOURNAL]\n")


def test_a_terminated_put_is_stopped_as_by_ctrl_c(
    toml: Callable[..., Path], dam: Dam, clean: Path, spawn: Spawn, run: Run
) -> None:
    toml(endpoint=dam.url)
    process = begin(spawn, clean)
    assert dam.held.wait(60)
    process.send_signal(signal.SIGTERM)
    dam.opened.set()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"run the same command again, or vvos resume, to go on" in err
    assert len(run("uploads")[1].splitlines()) == 2
