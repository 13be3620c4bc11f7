"""``vvos providers``: what is installed, what is broken and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vvos_core.loader import installed

from .running import Run

Make = Callable[..., Path]


def entries(out: str) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads(out)["providers"]:
        assert set(entry) == {"name", "distribution", "version", "target", "rules", "error"}
        found.setdefault(entry["name"], []).append(entry)
    return found


def test_an_installed_one(run: Run) -> None:
    status, out, err = run("providers")
    assert (status, err) == (0, "")
    (own,) = (item for item in installed() if item.name == "s3")
    assert f"s3  (vvos-s3 {own.version})\n" in out
    assert "8.0 MiB, at least 5.0 MiB, at most 5.0 GiB, 10,000 of them" in out
    assert "48.8 TiB" in out
    status, out, _ = run("providers", "--json")
    (entry,) = entries(out)["s3"]
    assert (status, entry["target"], entry["error"]) == (0, "vvos_s3:S3", None)
    assert entry["rules"]["max_parts"] == 10_000


def test_broken_ones(run: Run, distribution: Make) -> None:
    distribution(
        "vvos-broken",
        "0.3",
        "[vvos.providers]\nbroken = broken_provider:P\nhalf = half_provider:P\n",
        broken_provider='raise RuntimeError("no \\x1b[31mgood")',
        half_provider="class P: pass",
    )
    status, out, _ = run("providers")
    assert status == 1
    assert "\x1b" not in out
    who = "the provider broken (vvos-broken 0.3, broken_provider:P)"
    assert f"broken  (vvos-broken 0.3)\n  broken: {who} cannot be imported" in out
    assert "RuntimeError: no \\x1b[31mgood" in out
    assert "half  (vvos-broken 0.3)\n  broken: " in out
    assert "s3  (vvos-s3 " in out
    status, out, _ = run("providers", "--json")
    found = entries(out)
    assert status == 1
    assert found["broken"][0]["error"]["code"] == "PLUGIN"
    assert found["half"][0]["rules"] is None
    assert found["s3"][0]["error"] is None


def test_two_claimants(run: Run, distribution: Make) -> None:
    distribution("vvos-imposter", "9.9", "[vvos.providers]\ns3 = imposter:P\n")
    status, out, _ = run("providers", "--json")
    mine = entries(out)["s3"]
    assert status == 1
    assert [entry["distribution"] for entry in mine] == ["vvos-imposter", "vvos-s3"]
    for entry in mine:
        assert "vvos-imposter 9.9" in entry["error"]["message"]
        assert "Uninstall all but one" in entry["error"]["message"]


def test_none(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vvos_core.cli.providers.installed", list)
    status, out, _ = run("providers")
    assert (status, out) == (0, "No provider is installed. Install one: pip install vvos-NAME\n")
