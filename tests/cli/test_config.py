"""``vvos config check``: every mistake with its line, the providers' own among them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .running import Run

SEAL = 'seal_keys = [{ env = "SEAL" }]'


@pytest.fixture(autouse=True)
def seal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAL", "s" * 40)


def test_all_right(toml: Callable[..., Path], run: Run) -> None:
    toml(tail=f'[broker]\naccess = "open"\nport = 8090\n{SEAL}')
    assert run("config", "check") == (0, "vvos.toml: all right (1 profile, broker on 127.0.0.1:8090)\n", "")


def test_all_right_as_a_client(clean: Path, run: Run) -> None:
    calls = "\n".join(f'{name} = "https://up.example/{name}"' for name in ("gettoken", "exists", "notifier"))
    (clean / "客户.toml").write_text(f"[api]\n{calls}", encoding="utf-8")
    status, out, _ = run("config", "check", "--config", "客户.toml")
    assert (status, out) == (0, "客户.toml: all right (0 profiles, uploads through https://up.example/gettoken)\n")


def test_every_mistake_in_the_files_order(toml: Callable[..., Path], run: Run) -> None:
    toml(
        more='bukket = "b"\npart_size = 1',
        tail='[profiles.second]\nprovider = "nosuch"\n[broker]\nprot = 1\naccess = "open"\nttl = "long"',
    )
    status, out, err = run("config", "check")
    lines = out.splitlines()
    assert status == 2
    assert [line.split(": ")[:2] for line in lines] == [
        ["vvos.toml:8", "profiles.local.bukket"],
        ["vvos.toml:9", "profiles.local.part_size"],
        ["vvos.toml:11", "profiles.second.provider"],
        ["vvos.toml:13", "broker.prot"],
        ["vvos.toml:15", "broker.ttl"],
    ]
    assert "did you mean" in lines[0]
    assert "nosuch" in lines[2]
    assert "did you mean" in lines[3]
    assert err == "vvos: 5 mistakes.\n"


def test_bad_toml_and_no_file(clean: Path, run: Run) -> None:
    (clean / "vvos.toml").write_text("[broker\n")
    status, out, err = run("config", "check")
    assert (status, out.startswith("vvos.toml:1: "), err) == (2, True, "vvos: 1 mistake.\n")
    status, out, _ = run("config", "check", "--config", "gone\x1b.toml")
    assert (status, out.startswith("gone\\x1b.toml: ")) == (2, True)


def test_nothing_to_check(run: Run) -> None:
    status, out, err = run("config", "check")
    assert (status, out) == (2, "")
    assert "nothing is configured" in err


def test_the_environment_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GETTOKEN", "EXISTS", "NOTIFIER"):
        monkeypatch.setenv(f"VVOS_API__{name}", "https://up.example/x")
    status, out, _ = run("config", "check")
    assert (status, out) == (0, "the environment: all right (0 profiles, uploads through https://up.example/x)\n")


def test_no_secret_is_shown(clean: Path, run: Run) -> None:
    (clean / "vvos.toml").write_text('[profiles.a]\nprovider = "s3"\nbucket = "b"\nsecret_key = "hunter2hunter2"\n')
    status, out, err = run("config", "check")
    assert status == 2
    assert "profiles.a.secret_key" in out
    assert "hunter2" not in out + err
