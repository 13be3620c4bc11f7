"""``vvos put`` in a process of its own, with a broker and a service behind real sockets."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from vvos_s3.emulator import S3Emulator

from vvos_core.cli.document import Document

from .running import Run, Spawn

MIB = 1024 * 1024


def read(service: S3Emulator, key: str) -> bytes:
    return b"".join(service.read(key))


def parsed(out: bytes | str) -> dict[str, Any]:
    """The one document, which has exactly the documented fields with the documented types."""
    text = out.decode("utf-8") if isinstance(out, bytes) else out
    document = json.loads(text)
    msgspec.convert(document, Document, strict=True)
    assert set(document) == {"ok", "files", "bytes", "seconds", "error"}
    for file in document["files"]:
        assert set(file) == {"clientKey", "key", "url", "size", "state", "checksum", "reused", "error"}
    for error in (document["error"], *(file["error"] for file in document["files"])):
        assert error is None or set(error) == {"code", "message"}
    return dict(document)


def test_files_and_folders_through_a_broker(broker: str, service: S3Emulator, clean: Path, spawn: Spawn) -> None:
    film = os.urandom(9 * MIB)
    (clean / "film.mp4").write_bytes(film)
    (clean / "资料" / "图片").mkdir(parents=True)
    (clean / "资料" / "说明.txt").write_text("你好", encoding="utf-8")
    (clean / "资料" / "图片" / "空.png").write_bytes(b"")
    process = spawn("put", "film.mp4", "资料", "--api", broker, "--prefix", "夏/")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    lines = sorted(out.decode().splitlines())
    url = f"{service.info['endpoint']}/vvos/up/{quote('夏')}/film.mp4"
    assert lines[0] == f"uploaded   夏/film.mp4 → up/夏/film.mp4 (9.0 MiB)  {url}"
    assert len(lines) == 3
    assert err.decode().startswith("3 files, 9.0 MiB in ")
    assert read(service, "up/夏/film.mp4") == film
    assert read(service, "up/夏/资料/说明.txt") == "你好".encode()
    assert read(service, "up/夏/资料/图片/空.png") == b""


def test_json_through_a_broker(broker: str, service: S3Emulator, clean: Path, spawn: Spawn) -> None:
    (clean / "一.txt").write_bytes(b"abc")
    process = spawn("put", "一.txt", "gone.txt", "--api", broker, "--json")
    out, err = process.communicate(timeout=60)
    document = parsed(out)
    assert out.count(b"\n") == 1
    assert process.returncode == 1
    assert (document["ok"], document["bytes"], document["error"]) == (False, 3, None)
    arrived, missing = document["files"]
    assert (arrived["clientKey"], arrived["key"], arrived["size"], arrived["state"], arrived["reused"]) == (
        "一.txt",
        "up/一.txt",
        3,
        "done",
        False,
    )
    assert arrived["url"].startswith("http://127.0.0.1:")
    assert arrived["checksum"].startswith("crc64nvme:")
    assert missing["state"] == "failed"
    assert missing["error"]["code"] == "SOURCE_MISSING"
    assert err.decode() == "failed     gone.txt: SOURCE_MISSING gone.txt is not there; check the path.\n"


def test_standard_input_metadata_and_type(broker: str, service: S3Emulator, clean: Path, spawn: Spawn) -> None:
    (clean / "in").write_bytes(b"piped " * 1000)
    with (clean / "in").open("rb") as stdin:
        process = spawn(
            *("put", "-", "--key", "管/piped.bin", "--api", broker, "--type", "text/x-piped"),
            *("--meta", "owner=a=b", "--meta", "n=1", "--quiet"),
            stdin=stdin,
        )
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert read(service, "up/管/piped.bin") == b"piped " * 1000
    put = next(record for record in service.requests if record.operation == "PutObject")
    headers = {name.lower(): value for name, value in put.headers}
    assert headers["content-type"] == "text/x-piped"
    assert headers["x-amz-meta-owner"] == "a=b"
    assert headers["x-amz-meta-n"] == "1"


def test_with_the_profiles_own_keys(toml: Callable[..., Path], service: S3Emulator, clean: Path, spawn: Spawn) -> None:
    path = toml().rename(clean / "other.toml")
    (clean / "a.txt").write_bytes(b"a")
    process = spawn("put", "a.txt", "--config", str(path), "--profile", "local", "--key", "名.txt")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert read(service, "名.txt") == b"a"


def test_the_configured_api_is_used(
    broker: str, toml: Callable[..., Path], service: S3Emulator, clean: Path, run: Run
) -> None:
    calls = "\n".join(f'{name} = "{broker}/{name}"' for name in ("gettoken", "exists", "notifier"))
    toml(tail=f"[api]\n{calls}")
    (clean / "a.txt").write_bytes(b"a")
    assert run("put", "a.txt", "-q")[0] == 0
    assert read(service, "up/a.txt") == b"a"


@pytest.mark.parametrize("remote", [False, True])
def test_cover_and_not(
    toml: Callable[..., Path], broker: str, service: S3Emulator, clean: Path, run: Run, remote: bool
) -> None:
    toml()
    more, key = (["--api", broker], "up/a.txt") if remote else ([], "a.txt")
    (clean / "a.txt").write_bytes(b"first")
    assert run("put", "a.txt", *more)[0] == 0
    status, out, _ = run("put", "a.txt", *more)
    assert (status, out[:10]) == (0, "unchanged ")
    (clean / "a.txt").write_bytes(b"other")
    status, out, err = run("put", "a.txt", "--no-cover", *more)
    assert (status, out) == (1, "")
    assert err.startswith("failed     a.txt: EXISTS ")
    assert read(service, key) == b"first"
    assert run("put", "a.txt", "--cover", *more)[0] == 0
    assert read(service, key) == b"other"


def test_what_the_profile_skips_is_no_failure(
    toml: Callable[..., Path], service: S3Emulator, clean: Path, run: Run
) -> None:
    toml(more='on_exists = "skip"')
    (clean / "a.txt").write_bytes(b"first")
    run("put", "a.txt")
    (clean / "a.txt").write_bytes(b"other")
    status, out, _ = run("put", "a.txt")
    assert (status, out) == (0, "skipped    a.txt: a.txt is there already, and was left as it is\n")
    status, out, _ = run("put", "a.txt", "--json")
    document = parsed(out)
    assert (status, document["ok"], document["bytes"], document["files"][0]["state"]) == (0, True, 0, "skipped")
    assert read(service, "a.txt") == b"first"


def test_hostile_names_reach_no_terminal(broker: str, clean: Path, spawn: Spawn) -> None:
    folder = os.fsencode(clean / "d")
    os.mkdir(folder)
    names = (
        b"\xff.txt",
        b"\x1b[31mred\x07.txt",
        b"two\nuploaded  lies.txt",
        "gpj.\u202eexe".encode(),
        "好.txt".encode(),
    )
    for name in names:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(b"x")
    process = spawn("put", "d", "--api", broker)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    for stream in (out, err):
        assert not set(stream) & {*range(10), *range(11, 32), 127}
        assert "\u202e" not in stream.decode("utf-8")
    assert len(out.splitlines()) == 2
    assert len(err.splitlines()) == 4  # three failures, and the summary
    assert rb"\x1b[31mred\x07" in err
    process = spawn("put", "d", "--api", broker, "--json")
    out, _ = process.communicate(timeout=60)
    document = parsed(out)
    found = {file["clientKey"]: file["state"] for file in document["files"]}
    assert found == {
        "d/\\udcff.txt": "failed",
        "d/\x1b[31mred\x07.txt": "failed",
        "d/two\nuploaded  lies.txt": "failed",
        "d/gpj.\u202eexe": "done",
        "d/好.txt": "done",
    }


def test_output_in_another_encoding_raises_nothing(broker: str, clean: Path, spawn: Spawn) -> None:
    (clean / "好.txt").write_bytes(b"x")
    process = spawn("put", "好.txt", "--api", broker, env={"PYTHONIOENCODING": "latin-1"})
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert out.startswith(rb"uploaded   \u597d.txt \u2192 up/\u597d.txt")


def test_a_reader_that_goes_away_stops_nothing(broker: str, service: S3Emulator, clean: Path, spawn: Spawn) -> None:
    (clean / "d").mkdir()
    for number in range(50):
        (clean / "d" / f"{number}.txt").write_bytes(b"%d" % number)
    reading, writing = os.pipe()
    os.close(reading)
    process = spawn("put", "d", "--api", broker, stdout=writing)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err.decode().startswith("50 files, ")
    assert len(err.splitlines()) == 1
    assert read(service, "up/d/49.txt") == b"49"


def test_a_broker_that_is_not_there(clean: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        port = unheard.getsockname()[1]
        (clean / "a.txt").write_bytes(b"a")
        status, out, err = run("put", "a.txt", "--api", f"http://127.0.0.1:{port}")
    assert (status, out) == (1, "")
    assert err.startswith("failed     a.txt: UNAVAILABLE ")
    assert f"127.0.0.1:{port}" in err
