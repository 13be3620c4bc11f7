"""Several broker processes on one PostgreSQL: any call may go to any of them, also while their seal key is changed."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from vvos_s3.emulator import S3Emulator

from vvos_core import MIB, VVOS, Secret, request_token
from vvos_core.broker import create_app
from vvos_core.broker.serve import BrokerServer
from vvos_core.testing.server import LocalServer, Request, Response

from ..broker.conftest import postgresql as postgresql
from .conftest import QUICK, boto3_client, config_for

OLD, NEW = "o" * 40, "n" * 40
CALLS = ("gettoken", "exists", "notifier")
LAUNCH = "import sys; from vvos_core.cli import main; sys.exit(main())"


@pytest.fixture
def processes(emulator: S3Emulator, postgresql: str, tmp_path: Path) -> Iterator[list[str]]:
    """The addresses of three processes of ``vvos serve``."""
    emulator.reset()
    info = emulator.info
    path = tmp_path / "vvos.toml"
    path.write_text(
        f'[profiles.media]\nprovider = "s3"\nbucket = "{info["bucket"]}"\nregion = "{info["region"]}"\n'
        f'endpoint = "{info["endpoint"]}"\naccess_key = {{ env = "ACCESS" }}\nsecret_key = {{ env = "HIDDEN" }}\n'
        '[broker]\naccess = "open"\nport = 0\ndatabase = { env = "DATABASE" }\nseal_keys = [{ env = "SEAL" }]\n'
    )
    secrets = {"ACCESS": info["access_key"], "HIDDEN": info["secret_key"], "DATABASE": postgresql, "SEAL": OLD}
    command = [sys.executable, "-c", LAUNCH, "serve", "--config", str(path)]
    running = [
        subprocess.Popen(
            command, env={**os.environ, **secrets}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for _ in range(3)
    ]
    try:
        lines = [process.stdout.readline() for process in running if process.stdout is not None]
        assert all("listening at" in line for line in lines)
        yield [line.split()[-1] for line in lines]
    finally:
        for process in running:
            process.terminate()
        for process in running:
            with process:
                process.wait(30)
    assert [process.returncode for process in running] == [0, 0, 0]


class Brokers:
    """Three brokers in this process, with nothing in common but their database."""

    def __init__(self, emulator: S3Emulator, database: str, folder: Path) -> None:
        self._config = config_for(emulator, folder)
        self._database = database
        self._running = [self._start(OLD) for _ in range(3)]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self._running]

    def restart(self, place: int, *keys: str) -> None:
        """One broker ends, and another with these seal keys takes its place."""
        self._running[place].stop()
        self._running[place] = self._start(*keys)

    def stop(self) -> None:
        for server in self._running:
            server.stop()

    def _start(self, *keys: str) -> BrokerServer:
        sealing = tuple(map(Secret, keys))
        broker = replace(self._config.broker, database=Secret(self._database), seal_keys=sealing)
        return BrokerServer(create_app(replace(self._config, broker=broker))).__enter__()


@pytest.fixture
def brokers(emulator: S3Emulator, postgresql: str, tmp_path: Path) -> Iterator[Brokers]:
    emulator.reset()
    made = Brokers(emulator, postgresql, tmp_path)
    yield made
    made.stop()


class Turns:
    """Forwards each call to the next broker, whoever was asked before."""

    def __init__(self, urls: list[str]) -> None:
        self._urls = urls
        self._next = itertools.count()
        self.client = httpx.Client(trust_env=False, timeout=60)
        self.went: list[tuple[str, int]] = []

    def __call__(self, request: Request) -> Response:
        place = next(self._next) % len(self._urls)
        call = request.path.strip("/")
        self.went.append((call, place))
        body = b"".join(iter(lambda: request.body.read(65536), b""))
        headers = {"Content-Type": "application/json"}
        answer = self.client.post(f"{self._urls[place]}/{call}", content=body, headers=headers)
        return Response(answer.status_code, [("Content-Type", "application/json")], answer.content)


@pytest.fixture
def turns(processes: list[str]) -> Iterator[Turns]:
    made = Turns(processes)
    yield made
    made.client.close()


@pytest.fixture
def client(turns: Turns) -> Iterator[Callable[..., VVOS]]:
    server = LocalServer("127.0.0.1", 0, turns, "turns")
    server.start()

    def make(**options: Any) -> VVOS:
        return VVOS(api={name: f"{server.url}/{name}" for name in CALLS}, retry=QUICK, **options)

    yield make
    server.stop()


def unfinished(emulator: S3Emulator) -> int:
    return len(boto3_client(emulator).list_multipart_uploads(Bucket=emulator.info["bucket"]).get("Uploads", []))


def at_once(do: Callable[[int], Any], count: int) -> list[Any]:
    """``do`` in so many threads that begin together."""
    start = threading.Barrier(count)

    def run(number: int) -> Any:
        start.wait()
        return do(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_one_batch_is_served_by_all(turns: Turns, client: Callable[..., VVOS], emulator: S3Emulator) -> None:
    files = {f"第{n}张.bin": bytes([n]) * size for n, size in enumerate([10] * 60 + [9 * MIB] * 3)}
    upload = client()
    upload.add_files([(data, name) for name, data in files.items()])
    results = upload.submit()
    assert [result.error for result in results] == [None] * len(files)
    assert {name: b"".join(emulator.read(name)) for name in files} == files
    assert {place for _, place in turns.went} == {0, 1, 2}
    assert unfinished(emulator) == 0


def test_the_same_request_to_all_at_once_is_one_grant(brokers: Brokers, emulator: S3Emulator) -> None:
    ask = {
        "requestToken": request_token.make("同"),
        "keys": ["片.mp4", "b.bin"],
        "files": {"片.mp4": {"size": 20 * MIB}, "b.bin": {"size": 5}},
    }

    def gettoken(number: int) -> Any:
        return httpx.post(f"{brokers.urls[number % 3]}/gettoken", json=ask, trust_env=False, timeout=60).json()

    answers = at_once(gettoken, 6)
    assert [answer["code"] for answer in answers] == ["SUCCESS"] * 6
    assert len({answer["accessToken"] for answer in answers}) == 1
    assert len({answer["grants"]["片.mp4"]["uploadId"] for answer in answers}) == 1
    assert len({json.dumps(answer["grants"], sort_keys=True) for answer in answers}) == 1
    assert unfinished(emulator) == 1, "what the others began was aborted"


def test_the_seal_key_changes_under_an_upload(brokers: Brokers, emulator: S3Emulator) -> None:
    """[old] → [new, old] everywhere → [new] everywhere; what is in flight is renewed in between, or lasts."""
    ask = {"requestToken": request_token.make("r"), "keys": ["片"], "files": {"片": {"size": 5}}}

    def call(place: int, name: str, **fields: Any) -> Any:
        return httpx.post(f"{brokers.urls[place]}/{name}", json=fields, trust_env=False, timeout=60).json()

    granted = call(0, "gettoken", **ask)
    put = granted["grants"]["片"]["data"]["put"]
    for place in range(3):
        # A broker that knows only the old key opens no token of the new one: first all learn it, then one may seal.
        brokers.restart(place, OLD, NEW)
        for each in range(3):
            found = call(each, "exists", accessToken=granted["accessToken"], keys=["片"])
            assert found["code"] == "SUCCESS"
    tokens = [granted["accessToken"]]
    for place in range(3):
        brokers.restart(place, NEW, OLD)
        tokens.append(call(place, "gettoken", **ask, accessToken=tokens[-1])["accessToken"])
        for each in range(3):
            for token in tokens:
                assert call(each, "exists", accessToken=token, keys=["片"])["code"] == "SUCCESS"
    sent = httpx.put(put["url"], content=b"bytes", headers=put["headers"], trust_env=False)
    assert sent.status_code == 200
    for place in range(3):
        brokers.restart(place, NEW)
        answers = [call(each, "notifier", accessToken=tokens[-1], keys=["片"]) for each in range(3)]
        assert [answer["code"] for answer in answers] == ["SUCCESS"] * 3
    assert call(0, "exists", accessToken=granted["accessToken"], keys=["片"])["code"] == "BAD_TOKEN"
