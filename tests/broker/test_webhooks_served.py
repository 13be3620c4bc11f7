"""From an upload to the receiver: through `vvos serve`'s server, a mounted application, and the command line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.routing import Mount

from vvos_core import VVOS, hookimpl
from vvos_core.broker import create_app
from vvos_core.broker.app import open_ledger
from vvos_core.broker.serve import BrokerServer
from vvos_core.cli import main
from vvos_core.errors import NotFound
from vvos_core.model import NotifyRequest
from vvos_core.profile import Config, load
from vvos_core.testing.server import Response

from .receiving import SECRET, Delivered, Receiver
from .test_outbox import entry

WAIT = 20.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def config(tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A broker over a folder, with a webhook."""
    monkeypatch.setenv("SEAL", "s" * 32)
    monkeypatch.setenv("HOOK", SECRET)
    (tmp_path / "objects").mkdir()
    (tmp_path / "vvos.toml").write_text(
        f"""
[profiles.media]
provider = "directory"
root = {json.dumps(str(tmp_path / "objects"))}
[broker]
access = "open"
database = "sqlite:///{tmp_path}/broker.db"
seal_keys = [{{ env = "SEAL" }}]
[[broker.webhooks]]
name = "app"
url = "{receiver.url}"
secret = {{ env = "HOOK" }}
allow_private = true
"""
    )
    monkeypatch.chdir(tmp_path)
    return load()


def upload(url: str, *keys: str, **notifier: Any) -> None:
    vvos = VVOS(api={name: f"{url}/{name}" for name in ("gettoken", "exists", "notifier")})
    vvos.add_files([(b"hello", key) for key in keys])
    assert [result.state for result in vvos.submit(notifier=notifier)] == ["done"] * len(keys)


def arrival(receiver: Receiver, count: int) -> Callable[[], None]:
    """Waits until ``count`` deliveries came."""
    came = threading.Semaphore(0)

    def answer(delivered: Delivered) -> Response:
        came.release()
        return Response(204)

    receiver.answer = answer

    def wait() -> None:
        for _ in range(count):
            assert came.acquire(timeout=WAIT)

    return wait


class Sync:
    """A plugin of the application."""

    name = "sync"

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.came = threading.Semaphore(0)

    @hookimpl
    def notify(self, request: NotifyRequest) -> list[Any]:
        for done in request.objects:
            assert done.event is not None
            self.heard.append(done.grant.key)
            assert not done.grant.data
        self.came.release()
        if len(self.heard) == 1:
            raise NotFound("not this one.")
        return []


@pytest.mark.parametrize("mounted", [False, True])
def test_webhooks_and_plugins_hear_of_an_upload(config: Config, receiver: Receiver, mounted: bool) -> None:
    wait, sync = arrival(receiver, 2), Sync()
    app: Any = create_app(config, plugins=[sync])
    if mounted:
        app = Starlette(routes=[Mount("/up", app=app)])
    with BrokerServer(app) as server:
        upload(f"{server.url}/up" if mounted else server.url, "相册/a.jpg", "b.jpg", album=7)
        wait()
        for _ in range(2):
            assert sync.came.acquire(timeout=WAIT)
    assert sorted(delivered.key for delivered in receiver.seen) == sorted(sync.heard) == ["b.jpg", "相册/a.jpg"]
    assert receiver.seen[0].body["data"]["params"] == {"album": 7}
    assert receiver.seen[0].body["data"]["profile"] == "media"


def test_what_was_left_is_delivered_at_the_next_start(config: Config, receiver: Receiver) -> None:
    receiver.answer = lambda delivered: Response(500)
    with BrokerServer(create_app(config)) as server:
        upload(server.url, "a.jpg")
    ledger = open_ledger(config)
    (waiting,) = ledger.outbox.waiting()
    with ledger._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE vvos_outbox SET due_at = 0, claimed_until = 0")
    ledger.close()
    receiver.seen.clear()
    wait = arrival(receiver, 1)
    with BrokerServer(create_app(config)):
        wait()
    assert receiver.ids == [waiting.id]


def test_the_command_line(config: Config, receiver: Receiver, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*args: str) -> tuple[int, str]:
        capsys.readouterr()
        return main(["broker", *args]), capsys.readouterr().out

    receiver.answer = lambda delivered: Response(410)
    unheard = replace(config, broker=replace(config.broker, webhooks=()))
    with BrokerServer(create_app(unheard)) as server:
        upload(server.url, "nobody.jpg")
    assert run("outbox") == (0, "")
    _record(config, "相册/a.jpg", "b.jpg")
    status, out = run("outbox")
    assert status == 0
    assert sorted(line.split("  ")[1:5] for line in out.splitlines()) == [
        ["app", "media", "b.jpg", "0 tries"],
        ["app", "media", "相册/a.jpg", "0 tries"],
    ]
    assert run("outbox", "--dead") == (0, "")
    assert run("deliver") == (1, "0 events delivered, 2 failed.\n")
    status, out = run("outbox", "--dead", "--json")
    first, second = json.loads(out)["events"]
    assert {first["key"], second["key"]} == {"相册/a.jpg", "b.jpg"}
    assert (first["attempts"], "answered 410" in first["error"]) == (1, True)
    receiver.answer = lambda delivered: Response(204)
    assert run("deliver") == (0, "0 events delivered, 0 failed.\n")
    assert run("retry", first["id"], "evt_none") == (1, "1 event will be delivered again.\n")
    assert run("retry") == (0, "1 event will be delivered again.\n")
    receiver.seen.clear()
    assert run("deliver") == (0, "2 events delivered, 0 failed.\n")
    assert sorted(receiver.ids) == sorted([first["id"], second["id"]])
    assert run("outbox") == (0, "")


def _record(config: Config, *keys: str) -> None:
    ledger = open_ledger(config)
    entries = [replace(item, grant=replace(item.grant, profile="media")) for item in map(entry, keys)]
    ledger.notify("小明", "r", entries, 1_000_000_000.0)
    ledger.close()
