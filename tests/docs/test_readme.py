"""What the README shows works: its blocks are run as they stand, against a broker and a local S3."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from vvos_s3.emulator import S3Emulator

from vvos_core import VVOS
from vvos_core.broker import create_app
from vvos_core.broker.serve import BrokerServer
from vvos_core.profile import load

from .blocks import blocks

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
ADDRESS = "http://127.0.0.1:8080"
CLIENT, BACKGROUND, BUSINESS, MOUNTED = blocks(README, "python")
BROKER, SWAP = blocks(README, "toml")
SECRETS = {
    "S3_ACCESS_KEY": "key",
    "S3_SECRET_KEY": "secret",
    "MINIO_ACCESS_KEY": "key",
    "MINIO_SECRET_KEY": "secret",
    "VVOS_SEAL_KEY": "0123456789abcdef0123456789abcdef",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with what the README speaks of."""
    (tmp_path / "holiday.mp4").write_bytes(b"film" * 1000)
    (tmp_path / "照片").mkdir()
    (tmp_path / "照片" / "一.jpg").write_bytes(b"photo")
    (tmp_path / "uploads.py").write_text(BUSINESS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "uploads", raising=False)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Emulator]:
    """A local S3, put in the place of the profile's by the environment."""
    with S3Emulator(bucket="media") as emulator:
        monkeypatch.setenv("S3_ACCESS_KEY", emulator.info["access_key"])
        monkeypatch.setenv("S3_SECRET_KEY", emulator.info["secret_key"])
        monkeypatch.setenv("VVOS_PROFILES__MEDIA__ENDPOINT", emulator.info["endpoint"])
        monkeypatch.setenv("VVOS_PROFILES__MEDIA__REGION", emulator.info["region"])
        yield emulator


def test_the_client_in_ten_lines(folder: Path, storage: S3Emulator) -> None:
    (folder / "vvos.toml").write_text(BROKER.replace('business = "uploads:Uploads"', 'access = "open"'))
    with BrokerServer(create_app(load())) as server:
        program = CLIENT.replace(ADDRESS, server.url)
        assert program != CLIENT
        (folder / "program.py").write_text(program + BACKGROUND + "print(*(result.state for result in results))")
        done = subprocess.run([sys.executable, "program.py"], capture_output=True, text=True, timeout=60, check=True)
    told = [line for line in done.stdout.splitlines() if line.startswith("done")]
    assert len(told) == 4, done.stdout
    assert all(storage.info["endpoint"] in line for line in told[:3])


def test_the_broker_in_ten_lines(folder: Path, storage: S3Emulator) -> None:
    (folder / "vvos.toml").write_text(BROKER)
    with BrokerServer(create_app(load())) as server:
        api = {name: f"{server.url}/{name}" for name in ("gettoken", "exists", "notifier")}
        upload = VVOS(api=api)
        upload.add_files("holiday.mp4")
        (refused,) = upload.submit()
        assert refused.error is not None
        assert "log in first." in str(refused.error)
        upload.add_files("holiday.mp4")
        (result,) = upload.submit(header={"Authorization": "Bearer s3cr3t-of-amy"})
    assert result.state == "done"
    assert result.key == "users/amy/holiday.mp4"


def test_the_broker_beside_an_application(folder: Path, storage: S3Emulator) -> None:
    (folder / "vvos.toml").write_text(BROKER)
    (folder / "app.py").write_text(MOUNTED)
    names: dict[str, object] = {}
    exec(compile(MOUNTED, "app.py", "exec"), names)
    with BrokerServer(names["app"]) as server:
        assert requests.get(f"{server.url}/uploads/healthz", timeout=10).status_code == 200
        api = {name: f"{server.url}/uploads/{name}" for name in ("gettoken", "exists", "notifier")}
        upload = VVOS(api=api)
        upload.add_files([("holiday.mp4", "影片.mp4")])
        (result,) = upload.submit(header={"Authorization": "Bearer s3cr3t-of-amy"})
    assert result.key == "users/amy/影片.mp4"


def test_swapping_the_storage_is_one_line(folder: Path) -> None:
    (folder / "vvos.toml").write_text(SWAP)
    assert load().profile().name == "archive"
    (folder / "vvos.toml").write_text(SWAP.replace('default_profile = "archive"', 'default_profile = "media"'))
    assert load().profile().name == "media"
