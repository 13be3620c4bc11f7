"""What ``vvos put`` refuses before anything is sent, and what it says when something breaks; also as a document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from vvos_s3.emulator import S3Emulator

from vvos_core.cli.display import arrival, failure, summary
from vvos_core.cli.outcome import FAULT, WRONG
from vvos_core.errors import Busy, Denied
from vvos_core.results import Result

from .running import Run

URL = "http://127.0.0.1:9"

USAGE: list[tuple[list[str], str]] = [
    ([], "Missing argument"),
    (["a", "--bogus"], "--bogus"),
    (["a", "--meta", "noequals"], "NAME=VALUE"),
    (["a", "--meta", "=v"], "NAME=VALUE"),
    (["a", "--meta", "a=1", "--meta", "a=2"], "twice"),
]
WRONGS: list[tuple[list[str], str, str]] = [
    (["a", "--api", URL, "--profile", "x"], "BAD_REQUEST", "--profile"),
    (["a", "b", "--key", "k", "--api", URL], "BAD_REQUEST", "--key"),
    ([".", "--key", "k", "--api", URL], "BAD_REQUEST", "--key"),
    (["-", "--api", URL], "BAD_REQUEST", "--key"),
    (["a", "-", "--key", "k", "--api", URL], "BAD_REQUEST", "--key"),
    (["a", "--api", "nowhere"], "CONFIG", "--api"),
    (["a"], "CONFIG", "no profile is configured"),
    (["a", "--config", "gone.toml"], "CONFIG", "gone.toml"),
    (["x/a", "y/a", "--api", URL], "DUPLICATE_KEY", "two files have the key a"),
]


@pytest.mark.parametrize(("args", "words"), USAGE)
def test_wrong_usage(run: Run, args: list[str], words: str) -> None:
    status, out, err = run("put", *args)
    assert (status, out) == (2, "")
    assert err.startswith("vvos: ")
    assert words in err
    status, out, err = run("put", *args, "--json")
    document = json.loads(out)
    assert (status, document["ok"], document["files"], document["error"]["code"]) == (2, False, [], "USAGE")
    assert words in document["error"]["message"]
    assert words in err


@pytest.mark.parametrize(("args", "code", "words"), WRONGS)
def test_what_is_refused_before_anything_is_sent(clean: Path, run: Run, args: list[str], code: str, words: str) -> None:
    for name in ("a", "b", "x/a", "y/a"):
        (clean / name).parent.mkdir(exist_ok=True)
        (clean / name).write_bytes(b"")
    status, out, err = run("put", *args)
    assert (status, out) == (WRONG, "")
    assert err.startswith("vvos: ")
    assert words in err
    assert err.endswith(f" [{code}]\n")
    status, out, _ = run("put", *args, "--json")
    document = json.loads(out)
    assert (status, document["ok"], document["error"]["code"]) == (WRONG, False, code)
    assert document["bytes"] == 0


def test_two_files_of_one_key_send_nothing(
    toml: Callable[..., Path], service: S3Emulator, clean: Path, run: Run
) -> None:
    toml()
    for folder in ("x", "y"):
        (clean / folder).mkdir()
        (clean / folder / "同.txt").write_text(folder)
    assert run("put", "x/同.txt", "y/同.txt")[0] == WRONG
    assert not service.requests


def test_an_unknown_command_and_none(run: Run) -> None:
    assert run()[0] == WRONG
    status, _, err = run("putt")
    assert status == WRONG
    assert "putt" in err


def test_what_should_not_happen_is_one_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(path: object) -> None:
        raise RuntimeError("a\x1b[31m fault")

    monkeypatch.setattr("vvos_core.cli.put.load", broken)
    status, out, err = run("put", "a")
    assert (status, out) == (FAULT, "")
    assert err.count("\n") == 1
    assert "please report it" in err
    assert "\x1b" not in err
    status, out, err = run("put", "a", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (FAULT, "INTERNAL")
    monkeypatch.setenv("VVOS_DEBUG", "1")
    with pytest.raises(AssertionError, match="Traceback"):
        run("put", "a")


def test_an_interrupt_before_anything_is_sent(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(path: object, broker: bool) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("vvos_core.cli.put.load", interrupted)
    assert run("put", "a") == (130, "", "vvos: interrupted before anything was sent.\n")
    status, out, _ = run("put", "a", "--json")
    assert (status, json.loads(out)["error"]["code"]) == (130, "CANCELLED")


def result(**more: Any) -> Result:
    values: dict[str, Any] = {
        "client_key": "a",
        "key": "k",
        "url": "u",
        "size": 5,
        "state": "done",
        "checksum": "",
        "reused": False,
        "error": None,
    }
    return Result(**{**values, **more})


def test_what_a_broker_says_reaches_no_terminal_raw() -> None:
    nasty = "\x1b]0;owned\x07\n\u202e"
    lines = [
        arrival(result(key=nasty, url=nasty)),
        arrival(result(state="skipped", key=nasty)),
        failure(result(state="failed", error=Denied(nasty))),
    ]
    assert all(line.isprintable() for line in lines)


def test_the_summary_counts_what_was_sent() -> None:
    failed = result(state="failed", error=Denied("no"))
    assert summary([result(), result(reused=True), result(state="skipped")], 2.0) == "3 files, 5 B in 2.0 s, 2 B/s"
    assert summary([result(), failed], 0.0) == "1 of 2 files arrived, 5 B in 0.0 s"
    assert summary([failed], 1.0) == "0 of 1 file arrived, 0 B in 1.0 s"


@pytest.mark.parametrize("rate", ["", "0", "-1", "fast", "1.5.2M", "2 M", "5T", "٣M", "1" * 400])
def test_a_rate_that_is_none_is_wrong_usage(rate: str, run: Run) -> None:
    status, _, err = run("put", "a.txt", "--api", "http://127.0.0.1:9", "--limit-rate", rate)
    assert status == 2
    assert "write 500K or 2M" in err


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_a_concurrency_that_is_none_is_wrong_usage(number: str, run: Run) -> None:
    status, _, err = run("put", "a.txt", "--api", "http://127.0.0.1:9", "--concurrency", number)
    assert status == 2
    assert "--concurrency" in err


@pytest.mark.parametrize(
    ("text", "rate"), [("1", 1.0), ("500k", 512_000.0), ("2M", 2.0 * 1024**2), ("1.5G", 1.5 * 1024**3)]
)
def test_the_limits_reach_the_client(
    text: str, rate: float, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: dict[str, object] = {}

    def client(**given: object) -> None:
        asked.update(given)
        raise Busy("this is enough.")

    monkeypatch.setattr("vvos_core.cli.put.VVOS", client)
    run("put", "文.txt", "--api", "http://127.0.0.1:9", "--concurrency", "3", "--limit-rate", text)
    assert (asked["concurrency"], asked["limit_rate"]) == (3, rate)
