"""What the command line's tests share: a service, a broker, and ways to run ``vvos`` in this process or its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vvos_s3.emulator import S3Emulator

from vvos_core.broker import create_app
from vvos_core.broker.serve import BrokerServer
from vvos_core.cli import main
from vvos_core.model import Secret
from vvos_core.profile import BrokerSettings, Config, Profile

from .running import Run, Spawn

# SIGINT may be ignored where the tests were started, and children inherit that.
LAUNCH = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from vvos_core.cli import main; sys.exit(main())"
)


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder, no configuration from outside, and the log's handlers as they were."""
    for name in os.environ:
        if name.startswith("VVOS_"):
            monkeypatch.delenv(name)
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home"
    work = tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.setenv("VVOS_STATE", str(tmp_path / "state"))
    monkeypatch.chdir(work)
    handlers = logging.getLogger().handlers[:]
    yield work
    logging.getLogger().handlers = handlers


@pytest.fixture(scope="session")
def one_service() -> Iterator[S3Emulator]:
    with S3Emulator() as emulator:
        yield emulator


@pytest.fixture
def service(one_service: S3Emulator) -> S3Emulator:
    one_service.reset()
    return one_service


def _profile(service: S3Emulator, **more: Any) -> Profile:
    settings = dict(service.profile())
    return Profile(name="local", provider=str(settings.pop("provider")), settings=settings, **more)


@pytest.fixture
def broker(service: S3Emulator, tmp_path: Path) -> Iterator[str]:
    """The address of an open broker that puts ``up/`` before every key."""
    config = Config(
        profiles={"local": _profile(service)},
        broker=BrokerSettings(
            port=0,
            access="open",
            prefix="up/",
            seal_keys=(Secret("k" * 40),),
            database=f"sqlite:///{tmp_path / 'broker.db'}",
        ),
    )
    with BrokerServer(create_app(config)) as server:
        yield server.url


@pytest.fixture
def toml(service: S3Emulator, clean: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a ``vvos.toml`` with a profile ``local`` for the service."""

    def write(endpoint: str = "", more: str = "", tail: str = "") -> Path:
        info = service.info
        monkeypatch.setenv("ACCESS", info["access_key"])
        monkeypatch.setenv("HIDDEN", info["secret_key"])
        path = clean / "vvos.toml"
        path.write_text(
            f'[profiles.local]\nprovider = "s3"\nbucket = "{info["bucket"]}"\nregion = "{info["region"]}"\n'
            f'endpoint = "{endpoint or info["endpoint"]}"\naccess_key = {{ env = "ACCESS" }}\n'
            f'secret_key = {{ env = "HIDDEN" }}\n{more}\n{tail}\n',
            encoding="utf-8",
        )
        return path

    return write


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``vvos`` in this process: status, standard output, standard error."""

    def call(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(list(args))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return call


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Starts ``vvos`` as a process of its own; stops it at the end if the test has not."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *args: str, env: dict[str, str] | None = None, code: str = LAUNCH, **streams: Any
    ) -> subprocess.Popen[bytes]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **streams}
        process = subprocess.Popen([sys.executable, "-c", code, *args], env={**os.environ, **(env or {})}, **streams)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a distribution with entry points and modules, visible to this process and its children."""

    def make(name: str, version: str, entry_points: str, **modules: str) -> Path:
        folder = tmp_path / "site" / name
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(entry_points)
        for module, text in modules.items():
            (folder / f"{module}.py").write_text(text)
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        return folder

    return make
