"""A cloud on stage: its emulator, a broker before it, and a fault proxy before each of the two."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from vvos_core import VVOS, Profile, Result, RetryPolicy, Secret
from vvos_core.broker import create_app
from vvos_core.broker.serve import BrokerServer
from vvos_core.errors import BY_CODE
from vvos_core.http import Http
from vvos_core.profile import BrokerSettings, Config
from vvos_core.testing.doubles import content
from vvos_core.testing.faults import FaultProxy

from .fault_matrix import CLOUDS, LARGE, SMALL, Cloud

QUICK = RetryPolicy(attempts=3, base=0.01, longest=0.05)


class Play:
    """What a test plays on. ``to_cloud`` is None where there is no network between."""

    def __init__(
        self,
        cloud: Cloud,
        profile: Profile,
        folder: Path,
        emulator: Any,
        to_cloud: FaultProxy | None,
        to_broker: FaultProxy,
    ) -> None:
        self.cloud = cloud
        self.profile = profile
        self.emulator = emulator
        self.to_cloud = to_cloud
        self.to_broker = to_broker
        self.files = {SMALL: content(900), LARGE: content(cloud.size)}
        self._folder = folder

    def reset(self) -> None:
        """No fault, no object, nothing recorded."""
        self.pass_all()
        if self.emulator:
            self.emulator.reset()
        for path in (self._folder / "root").rglob("*.*"):
            if path.is_file() and ".vvos" not in path.parts:
                path.unlink()
        with closing(sqlite3.connect(self._folder / "broker.db")) as database, database:
            database.execute("DELETE FROM vvos_notified")

    def pass_all(self) -> None:
        self.to_broker.pass_all()
        if self.to_cloud:
            self.to_cloud.pass_all()

    def put(self) -> list[Result]:
        """Upload the two files, as a client that knows the broker only."""
        upload = VVOS(
            api={name: f"{self.to_broker.url}/{name}" for name in ("gettoken", "exists", "notifier")}, retry=QUICK
        )
        upload.add_files([(data, key) for key, data in self.files.items()])
        return upload.submit()

    def read(self, key: str) -> bytes:
        """An object, by the official SDK."""
        if self.emulator:
            return b"".join(self.emulator.read(key))
        return (self._folder / "root" / key).read_bytes()

    def notified(self) -> list[str]:
        """The keys that the broker recorded as finished."""
        with closing(sqlite3.connect(self._folder / "broker.db")) as database:
            return sorted(key for (key,) in database.execute("SELECT key FROM vvos_notified"))

    def check(self, results: list[Result]) -> dict[str, str]:
        """What is reported done is there, whole; the rest failed with a named error. Answers the failures."""
        assert {result.client_key for result in results} == set(self.files)
        failures = {}
        for result in results:
            if result.state == "done":
                want = self.files[result.client_key]
                assert sha256(self.read(result.client_key)).digest() == sha256(want).digest(), result.client_key
                assert result.url
            else:
                assert result.state == "failed", result.state
                assert result.error is not None
                assert result.error.code in BY_CODE, repr(result.error)
                assert str(result.error).endswith((".", "?"))
                failures[result.client_key] = str(result.error)
        done = {result.client_key for result in results if result.state == "done"}
        assert done <= set(self.notified())
        return failures


@contextmanager
def playing(name: str, folder: Path) -> Iterator[Play]:
    """The cloud of this name in ``CLOUDS``, running; ``folder`` is for what it keeps."""
    cloud = CLOUDS[name]
    with ExitStack() as stack:
        emulator, to_cloud, settings = None, None, dict(cloud.settings)
        provider = "directory"
        if cloud.emulator:
            (point,) = entry_points(group="vvos.emulators", name=cloud.emulator)
            emulator = stack.enter_context(point.load()())
            to_cloud = stack.enter_context(FaultProxy(emulator.info["endpoint"]))
            settings = dict(emulator.profile()) | settings
            for host in cloud.hosts:
                settings[host] = to_cloud.url if host == "endpoint" else [to_cloud.url]
            provider = settings.pop("provider")
        else:
            (folder / "root").mkdir()
            settings["root"] = str(folder / "root")
        profile = Profile(name="media", provider=provider, settings=settings)
        config = Config(
            profiles={"media": profile},
            broker=BrokerSettings(
                database=f"sqlite:///{folder / 'broker.db'}", seal_keys=(Secret("k" * 40),), access="open"
            ),
        )
        broker = stack.enter_context(BrokerServer(create_app(config)))
        to_broker = stack.enter_context(FaultProxy(broker.url))
        yield Play(cloud, profile, folder, emulator, to_cloud, to_broker)


def impatient(timeout: float) -> tuple[Any, str, tuple[float, float]]:
    """What to set (``setitem``) for the ``Http`` that are made from now on to give up after so many seconds."""
    defaults = Http.__init__.__kwdefaults__
    assert defaults is not None
    assert "timeout" in defaults
    return defaults, "timeout", (5.0, timeout)
