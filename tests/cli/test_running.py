"""``serve``, ``emulate`` and ``demo`` as processes: what they print, and that they end when told."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3  # type: ignore[import-untyped,unused-ignore]  # it has no types
import pytest
import requests

from vvos_core.cli.emulators import emulator

from .running import Run, Spawn

Make = Callable[..., Path]


def first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode()


def refused(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False


# serve


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve(
    toml: Make, clean: Path, spawn: Spawn, run: Run, monkeypatch: pytest.MonkeyPatch, how: signal.Signals
) -> None:
    monkeypatch.setenv("SEAL", "s" * 40)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        toml(tail=f'[broker]\naccess = "open"\nport = {port}\nseal_keys = [{{ env = "SEAL" }}]')
        process = spawn("serve", "--host", "127.0.0.1", "--port", "0")
        line = first_line(process)
    found = re.fullmatch(r"VVOS broker listening at (http://127\.0\.0\.1:\d+)\n", line)
    assert found, line
    url = found[1]
    assert requests.get(f"{url}/healthz", timeout=10).status_code == 200
    (clean / "中.txt").write_bytes(b"x")
    assert run("put", "中.txt", "--api", url)[0] == 0
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, b"")
    assert all(json.loads(line) for line in err.splitlines())
    assert refused(url)


def test_serve_without_what_it_needs(toml: Make, run: Run) -> None:
    toml(tail='[broker]\naccess = "open"')
    status, out, err = run("serve")
    assert (status, out) == (2, "")
    assert "seal_keys" in err
    assert err.endswith("[CONFIG]\n")


def test_serve_where_another_listens(toml: Make, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAL", "s" * 40)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        toml(tail=f'[broker]\naccess = "open"\nport = {port}\nseal_keys = [{{ env = "SEAL" }}]')
        status, _, err = run("serve")
    assert status == 2
    assert f"cannot listen at 127.0.0.1:{port}" in err


def test_serve_without_the_extra(toml: Make, spawn: Spawn) -> None:
    toml(tail='[broker]\naccess = "open"')
    code = "import sys; sys.modules['sqlalchemy'] = None; from vvos_core.cli import main; sys.exit(main(['serve']))"
    process = spawn(code=code)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.decode() == (
        "vvos: the broker needs the package 'sqlalchemy', which is missing; install vvos[broker]. [CONFIG]\n"
    )


# emulate


# As a shell starts what it puts into the background.
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"


@pytest.mark.parametrize("before", ["", DEAF])
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_emulate(spawn: Spawn, how: signal.Signals, before: str) -> None:
    code = f"{before}import sys; from vvos_core.cli import main; sys.exit(main())"
    process = spawn("emulate", "s3", "--bucket", "my-bucket", code=code)
    info = json.loads(first_line(process))
    assert set(info) == {"endpoint", "access_key", "secret_key", "bucket", "region"}
    assert info["bucket"] == "my-bucket"
    client = boto3.client(
        "s3",
        endpoint_url=info["endpoint"],
        aws_access_key_id=info["access_key"],
        aws_secret_access_key=info["secret_key"],
        region_name=info["region"],
    )
    client.put_object(Bucket="my-bucket", Key="键", Body=b"x")
    client.close()
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, b"", b"")
    assert refused(info["endpoint"])


def test_an_emulator_is_stopped_also_on_failure() -> None:
    with pytest.raises(ZeroDivisionError), emulator("s3") as running:  # noqa: PT012  # the address is needed afterwards
        url = running.info["endpoint"]
        assert not refused(url)
        raise ZeroDivisionError
    assert refused(url)


def test_emulate_refusals(run: Run, distribution: Make) -> None:
    status, out, err = run("emulate", "s33")
    assert (status, out) == (2, "")
    assert "there is no emulator called 's33' (installed: aliyun, qiniu, s3); did you mean s3?" in err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, _, err = run("emulate", "s3", "--port", str(taken.getsockname()[1]))
    assert status == 2
    assert "choose another port. [CONFIG]" in err
    distribution("vvos-bare", "1", "[vvos.emulators]\nbare = bare_emulator:E\n", bare_emulator="import nosuchpackage")
    status, _, err = run("emulate", "bare")
    assert status == 2
    assert "the emulator bare needs the package 'nosuchpackage', which is missing; install vvos-bare[emulator]" in err
    distribution("vvos-twin", "2", "[vvos.emulators]\nbare = twin:E\n")
    status, _, err = run("emulate", "bare")
    assert status == 2
    assert "offered by more than one package: vvos-bare 1, vvos-twin 2" in err
    status, _, err = run("demo")
    assert status == 2
    assert "there are several emulators, aliyun, bare, qiniu, s3; choose one with --emulator" in err


# demo


def test_demo(spawn: Spawn, tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    process = spawn("demo", "--emulator", "s3", env={"TMPDIR": str(tmp_path / "t")})
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    text = out.decode()
    rows = [line for line in text.splitlines() if line.endswith("   yes       ")]
    assert len(rows) == 6
    for name in ("one-byte.txt", "photo.jpg", "film.mp4", "中文资料/说明.txt", "中文资料/图片/黄山 日出.jpg"):
        assert any(row.strip().startswith(name) for row in rows), name
    assert {"1 B", "3.0 MiB", "24.0 MiB"} <= set(re.findall(r"\S+ (?:B|MiB)", "\n".join(rows)))
    assert text.endswith("6 objects came back byte for byte.\n")
    assert not list((tmp_path / "t").iterdir())
    assert refused(re.findall(r"broker +(http://\S+)", err.decode())[0])


def test_demo_with_files(spawn: Spawn, clean: Path) -> None:
    (clean / "夹").mkdir()
    (clean / "夹" / "一.bin").write_bytes(os.urandom(1000))
    (clean / "b.bin").write_bytes(os.urandom(1000))
    process = spawn("demo", "--emulator", "s3", "夹", "b.bin")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.decode().endswith("2 objects came back byte for byte.\n")


def test_demo_with_a_file_that_is_not_there(spawn: Spawn, clean: Path) -> None:
    (clean / "b.bin").write_bytes(b"b")
    process = spawn("demo", "--emulator", "s3", "b.bin", "gone.bin")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"SOURCE_MISSING" in err
    assert "1 of 2 objects did not come back as sent" in err.decode()
    assert re.search(r"gone\.bin .*NO", out.decode())


def test_demo_sees_a_byte_that_is_not_the_one_sent(spawn: Spawn, clean: Path, distribution: Make) -> None:
    distribution(
        "vvos-lying",
        "1",
        "[vvos.emulators]\nlying = lying_emulator:Lying\n",
        lying_emulator=(
            "from vvos_s3.emulator import S3Emulator\n"
            "class Lying(S3Emulator):\n"
            "    def read(self, key):\n"
            "        data = b''.join(super().read(key))\n"
            "        yield data[:-1] + b'!' if key.endswith('b.bin') else data\n"
        ),
    )
    (clean / "a.bin").write_bytes(b"a" * 100)
    (clean / "b.bin").write_bytes(b"b" * 100)
    process = spawn("demo", "a.bin", "b.bin", "--emulator", "lying")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert re.search(r"a\.bin .*yes", out.decode())
    assert re.search(r"b\.bin .*NO", out.decode())
    assert "1 of 2 objects did not come back as sent" in err.decode()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_demo_interrupted_leaves_nothing(spawn: Spawn, tmp_path: Path, how: signal.Signals) -> None:
    (tmp_path / "t").mkdir()
    process = spawn("demo", "--emulator", "s3", env={"TMPDIR": str(tmp_path / "t")})
    assert process.stderr is not None
    address = process.stderr.readline().decode().split()[-1]
    assert b"broker" in process.stderr.readline()
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert not list((tmp_path / "t").iterdir())
    assert refused(address)
