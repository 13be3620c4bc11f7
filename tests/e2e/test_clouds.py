"""One client, three clouds: swapped by one line of the configuration, and side by side in one batch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from vvos_core import VVOS, Ask, Secret, hookimpl
from vvos_core.broker import create_app
from vvos_core.broker.hooks import Access, BusinessCall, Placed
from vvos_core.broker.serve import BrokerServer
from vvos_core.profile import load

CLOUDS = ("aliyun", "qiniu", "s3")
FILES = {
    "目录/一 二+%#?&.txt": b"one byte more than nothing",
    "目录/空.bin": b"",
    "目录/照片.jpg": os.urandom(4 * 1024 * 1024),
    "目录/电影.mp4": os.urandom(11 * 1024 * 1024 + 17),
}


@pytest.fixture
def clouds() -> Iterator[dict[str, Any]]:
    """The three emulators, found as ``vvos emulate`` finds them."""
    with ExitStack() as stack:
        running = {}
        for name in CLOUDS:
            (point,) = entry_points(group="vvos.emulators", name=name)
            running[name] = stack.enter_context(point.load()())
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return tmp_path


def configured(folder: Path, clouds: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``vvos.toml`` with a profile of each cloud, their secrets in the environment."""
    lines = ['default_profile = "s3"']
    for name, emulator in clouds.items():
        lines.append(f"[profiles.{name}]")
        for setting, value in emulator.profile().items():
            if isinstance(value, Secret):
                variable = f"{name}_{setting}".upper()
                monkeypatch.setenv(variable, value.reveal())
                lines.append(f'{setting} = {{ env = "{variable}" }}')
            else:
                lines.append(f"{setting} = {json.dumps(value)}")
    monkeypatch.setenv("SEAL", "k" * 40)
    database = json.dumps(f"sqlite:///{folder / 'broker.db'}")
    lines += ["[broker]", 'access = "open"', 'seal_keys = [{ env = "SEAL" }]', f"database = {database}"]
    path = folder / "vvos.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def client(url: str) -> VVOS:
    return VVOS(api={name: f"{url}/{name}" for name in ("gettoken", "exists", "notifier")})


def test_between_three_clouds_one_line_of_the_configuration_changes(
    clouds: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configured(folder, clouds, monkeypatch)
    for name, emulator in clouds.items():
        before, after = config.read_text().splitlines(), [f'default_profile = "{name}"']
        config.write_text("\n".join(after + before[1:]) + "\n")
        with BrokerServer(create_app(load(config))) as broker:
            upload = client(broker.url)
            upload.add_files(folder / "目录")
            results = upload.submit()
        assert {result.client_key: str(result.error) for result in results if result.state != "done"} == {}, name
        for key, data in FILES.items():
            assert b"".join(emulator.read(key)) == data, (name, key)


def test_a_batch_may_go_to_several_clouds_at_once(
    clouds: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Sorting:
        """Photos to one cloud, films to another, the rest to the third."""

        @hookimpl
        def authorize(self, call: BusinessCall) -> Access:
            return Access(who="tester")

        @hookimpl
        def name_key(self, call: BusinessCall, file: Ask, access: Access) -> Placed:
            cloud = {"jpg": "aliyun", "mp4": "qiniu"}.get(file.key.rpartition(".")[2], "s3")
            return Placed(key=f"{cloud}/{file.key}", profile=cloud)

    config = configured(folder, clouds, monkeypatch)
    with BrokerServer(create_app(load(config), business=Sorting())) as broker:
        upload = client(broker.url)
        upload.add_files(folder / "目录")
        results = upload.submit()
    assert {result.client_key: str(result.error) for result in results if result.state != "done"} == {}
    for result in results:
        cloud = result.key.partition("/")[0]
        assert b"".join(clouds[cloud].read(result.key)) == FILES[result.client_key]
    assert {result.key.partition("/")[0] for result in results} == set(CLOUDS)
