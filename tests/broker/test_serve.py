"""Serving: a process that says where it listens, stops when told to, and says in a sentence why it cannot start."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from vvos_core import request_token
from vvos_core.broker import app as app_module, create_app
from vvos_core.broker.hooks import Access
from vvos_core.broker.serve import BrokerServer, serve
from vvos_core.errors import ConfigError
from vvos_core.hooks import hookimpl
from vvos_core.model import Secret
from vvos_core.profile import BrokerSettings, Config, Profile

from .fake import SEAL_KEY, FakeCalls, database

ROOT = Path(__file__).parents[2]
ASK = {"requestToken": request_token.make("b"), "keys": ["a"], "files": {"a": {"size": 5}}}
SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:3]
from fake import SEAL_KEY, FakeCalls
from vvos_core.broker import app
from vvos_core.broker.serve import serve
from vvos_core.profile import BrokerSettings, Config, Profile

def before(name):
    print("entered", flush=True)
    sys.stdin.readline()

def load(profile, plugins):
    calls = FakeCalls()
    calls.before = before
    return calls

app.load = load
config = Config(
    profiles={"main": Profile(name="main", provider="fake")},
    broker=BrokerSettings(database=sys.argv[3], seal_keys=(SEAL_KEY,), access="open", port=0),
)
serve(config, on_ready=lambda url: print(url, flush=True))
print("stopped", flush=True)
"""


def config(tmp_path: Path, **settings: Any) -> Config:
    given = {"database": database(tmp_path), "seal_keys": (SEAL_KEY,), "access": "open", **settings}
    return Config(profiles={"main": Profile(name="main", provider="fake")}, broker=BrokerSettings(**given))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the profiles that were opened, each as a fake."""
    names: list[str] = []

    def load(profile: Profile, plugins: Sequence[object]) -> FakeCalls:
        names.append(profile.name)
        return FakeCalls()

    monkeypatch.setattr(app_module, "load", load)
    return names


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(ROOT), str(Path(__file__).parent), database(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_calls_in_progress_end_and_returns(process: subprocess.Popen[str], sig: signal.Signals) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    answers: list[httpx.Response] = []
    caller = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/gettoken", json=ASK, timeout=30, trust_env=False))
    )
    caller.start()
    assert process.stdout.readline() == "entered\n"
    process.send_signal(sig)
    port = int(url.rpartition(":")[2])
    while _listens(port):  # until it takes no more calls
        pass
    process.stdin.write("\n")
    process.stdin.flush()
    caller.join()
    assert answers[0].status_code == 200
    out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("stopped\n", 0)
    logged = [json.loads(line) for line in err.splitlines()]
    assert [line["status"] for line in logged if line["event"] == "answered"] == [200]


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_create_app_reads_the_configuration(tmp_path: Path, loaded: list[str]) -> None:
    settings = config(tmp_path, database=Secret(database(tmp_path)), prefix="up")
    with BrokerServer(create_app(settings)) as server:
        answer = httpx.post(f"{server.url}/gettoken", json=ASK, trust_env=False)
        assert answer.json()["keys"] == {"a": "up/a"}
    assert loaded == ["main"]


def test_create_app_takes_the_businesss_object(tmp_path: Path, loaded: list[str]) -> None:
    class Business:
        @hookimpl
        def authorize(self, call: object) -> Access:
            return Access(who="小明", prefix="m")

    with BrokerServer(create_app(config(tmp_path, access="business"), business=Business())) as server:
        answer = httpx.post(f"{server.url}/gettoken", json=ASK, trust_env=False)
        assert answer.json()["keys"] == {"a": "m/a"}


def test_create_app_imports_what_the_configuration_names(tmp_path: Path, loaded: list[str]) -> None:
    with pytest.raises(ConfigError, match="'no_such_shop' cannot be imported"):
        create_app(config(tmp_path, access="business", business="no_such_shop:rules"))


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"seal_keys": ()}, r"broker\.seal_keys: it is missing\. Write seal_keys = "),
        ({"access": "business"}, r"nobody says who may upload\. Write business = "),
        ({"database": "oracle://x"}, "not the URL of a database"),
        ({"prefix": "../up"}, "prefix"),
        ({"profile": "other"}, "other"),
    ],
)
def test_what_is_missing_is_said_before_it_listens(
    tmp_path: Path, loaded: list[str], settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says):
        serve(config(tmp_path, **settings), port=0)


def test_without_a_profile_it_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="profile"):
        create_app(Config(broker=config(tmp_path).broker))


def test_a_port_that_is_taken_is_a_sentence(tmp_path: Path, loaded: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen at 127\.0\.0\.1:{port} \(Address already in use\)"):
            BrokerServer(create_app(config(tmp_path)), port=port)


def test_a_host_that_is_not_here_is_a_sentence(tmp_path: Path, loaded: list[str]) -> None:
    with pytest.raises(ConfigError, match="cannot listen at"):
        BrokerServer(create_app(config(tmp_path)), host="host.invalid")


def test_an_application_that_cannot_start_is_a_sentence() -> None:
    async def broken(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    with pytest.raises(ConfigError, match="did not start"), BrokerServer(broken):
        pass


@pytest.mark.parametrize("missing", ["starlette", "sqlalchemy", "cryptography", "structlog"])
def test_a_missing_package_is_a_sentence(missing: str) -> None:
    program = f"""
import sys
sys.modules[{missing!r}] = None
import vvos_core.broker.serve
from vvos_core.broker import create_app
from vvos_core.errors import ConfigError
from vvos_core.profile import Config
try:
    create_app(Config())
except ConfigError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert f"the broker needs the package '{missing}" in done.stdout
    assert "install vvos[broker]" in done.stdout
