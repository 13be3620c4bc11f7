"""``vvos broker``: sweeps the database and the provider of a real broker, and says what it did."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from vvos_s3.emulator import S3Emulator

from vvos_core.broker.ledger import Ledger
from vvos_core.broker.leftovers import BEGIN_SECONDS, Leftovers
from vvos_core.calls import Calls
from vvos_core.cli.broker import SUMMARIES
from vvos_core.loader import load
from vvos_core.model import MIB, Ask, Grant, TokenRequest
from vvos_core.profile import load as configuration

from .running import Run

Make = Callable[..., Path]


@pytest.fixture
def provider(toml: Make, clean: Path) -> Calls:
    toml(tail="[broker]\nsweep_after = 0")
    return load(configuration(None).profile("local"))


def begin(provider: Calls, key: str, now: float) -> Grant:
    ask = Ask(client_key=key, key=key, size=20 * MIB)
    (grant,) = provider.token(TokenRequest(files=(ask,), request_token="e30.x.y", issued_at=now, expires_at=now + 60))
    assert isinstance(grant, Grant)
    return grant


def test_sweep(provider: Calls, run: Run, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    now = time.time()
    ledger = Ledger(f"sqlite:///{clean / 'vvos-broker.db'}")
    for key, until in (("过期", now - 5), ("living", now + 999)):
        grant = begin(provider, key, now)

        ledger.grant(
            "我",
            key,
            asked=b"",
            access_token="t",
            failed=b"[]",
            issued_at=now - 60,
            expires_at=until,
            grants=[replace(grant, expires_at=until, profile="local")],
        )
    begin(provider, "orphan", now)
    Leftovers(ledger).begin("killed", [("local", "orphan")], now - BEGIN_SECONDS - 1)
    ledger.close()
    assert run("broker", "sweep") == (0, "2 uploads aborted, 0 uploads left for the next sweep, 0 records pruned\n", "")
    assert [len(provider.unfinished(key)) for key in ("过期", "living", "orphan")] == [0, 1, 0]
    status, out, _ = run("broker", "sweep", "--json")
    assert (status, json.loads(out)) == (0, {"aborted": 0, "left": 0, "pruned": 0})


def test_what_is_left_is_status_1(toml: Make, run: Run, clean: Path, service: S3Emulator) -> None:
    toml(endpoint="http://127.0.0.1:1", tail="[broker]\nsweep_after = 0")
    ledger = Ledger(f"sqlite:///{clean / 'vvos-broker.db'}")
    Leftovers(ledger).begin("killed", [("local", "k")], 1.0)
    ledger.close()
    status, out, err = run("broker", "sweep")
    assert (status, out) == (1, "0 uploads aborted, 1 upload left for the next sweep, 0 records pruned\n")
    assert "could not be reached" in err


def test_a_database_that_cannot_be_opened(toml: Make, run: Run) -> None:
    toml(tail='[broker]\ndatabase = "sqlite:////no/such/folder/x.db"')
    status, out, err = run("broker", "sweep")
    assert (status, out) == (2, "")
    assert err.endswith("[CONFIG]\n")


@pytest.mark.parametrize("command", SUMMARIES)
def test_without_a_configuration_nothing_is_made(command: str, run: Run, clean: Path) -> None:
    status, out, err = run("broker", command)
    assert (status, out) == (2, "")
    assert err == 'vvos: no profile is configured; write [profiles.NAME] with provider = "…" into vvos.toml. [CONFIG]\n'
    assert list(clean.iterdir()) == []


@pytest.mark.parametrize("command", SUMMARIES)
def test_what_serve_would_refuse_is_refused(command: str, toml: Make, run: Run, clean: Path) -> None:
    toml(tail='[profiles.two]\nprovider = "s3"')
    status, out, err = run("broker", command)
    assert (status, out) == (2, "")
    assert "there are several profiles" in err
    assert err.endswith("[CONFIG]\n")
    assert [path.name for path in clean.iterdir()] == ["vvos.toml"]
