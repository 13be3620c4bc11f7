"""``vvos doctor``: what it prints and answers, at a real broker, and before hosts that are not as they should be."""

from __future__ import annotations

import datetime
import ipaddress
import json
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from vvos_s3.emulator import S3Emulator

from vvos_core.cli.doctor import Report, line
from vvos_core.doctor import examine as whole
from vvos_core.doctor.hosts import check_host
from vvos_core.doctor.together import together
from vvos_core.http import Http
from vvos_core.model import Finding
from vvos_core.profile import Config
from vvos_core.testing.server import LocalServer, Request, Response

from .running import Run, Spawn

Toml = Callable[..., Path]
SEAL = '[broker]\nseal_keys = [{ env = "SEAL" }]\nprofile = "local"\naccess = "open"\n'


@pytest.fixture
def directory(clean: Path) -> Path:
    """A ``vvos.toml`` whose profile is a folder."""
    (clean / "仓库").mkdir()
    text = f'[profiles.d]\nprovider = "directory"\nroot = "{clean / "仓库"}"\n'
    (clean / "vvos.toml").write_text(text, encoding="utf-8")
    return clean / "仓库"


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def served(answer: Callable[[Request], Response], clock: Callable[[], float] | None = None) -> LocalServer:
    server = LocalServer("127.0.0.1", 0, answer, "Test", *([clock] if clock else []))
    server.start()
    return server


def test_a_folder_is_well(run: Run, directory: Path) -> None:
    status, out, err = run("doctor")
    assert status == 0
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["ok", check]
        for check in ("cors", "put", "verify", "overwrite", "parts", "abort", "bucket", "space", "removal")
    ]
    assert "仓库" in out
    assert err == "vvos: 9 findings: 9 ok.\n"
    assert [path.name for path in directory.iterdir()] == [".vvos"]


def test_a_folder_that_is_gone(run: Run, directory: Path) -> None:
    directory.rmdir()
    status, out, err = run("doctor")
    assert status == 1
    assert "FAIL     put" in out
    assert "FAIL     bucket" in out
    assert "→ make it, or correct root in the profile." in out
    assert "parts" not in out
    assert err == "vvos: 3 findings: 1 ok, 2 FAIL.\n"


def test_a_folder_without_room(run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vvos_core.builtin.diagnosis.LEAST_FREE", 1 << 60)
    status, out, _ = run("doctor")
    assert status == 0
    assert "warn     space" in out


def test_json(run: Run, directory: Path) -> None:
    status, out, _ = run("doctor", "--json")
    report = json.loads(out)
    assert status == 0
    assert set(report) == set(Report.__struct_fields__)
    assert (report["ok"], report["profile"]) == (True, "d")
    assert all(set(finding) == set(Finding.__struct_fields__) for finding in report["findings"])
    assert "仓库" in out
    shutil.rmtree(directory)
    status, out, _ = run("doctor", "--json")
    assert (status, json.loads(out)["ok"]) == (1, False)


@pytest.mark.parametrize("args", [[], ["--config", "nowhere.toml"], ["--profile", "none"]])
def test_wrong_configuration(run: Run, clean: Path, args: list[str]) -> None:
    status, out, err = run("doctor", *args)
    assert (status, out) == (2, "")
    assert err.endswith("[CONFIG]\n")


def test_a_terminal_is_not_obeyed() -> None:
    finding = Finding(check="host", verdict="fail", message="\x1b[31m不在", mend="a\nb")
    assert line(finding) == f"FAIL     host         \\x1b[31m不在\n{'':<21} → a\\nb"


def test_a_broker_of_vvos_serve(
    run: Run, spawn: Spawn, toml: Toml, service: S3Emulator, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    monkeypatch.setenv("SEAL", "k" * 40)
    toml(tail=SEAL + 'port = 0\ncors_origins = ["https://shop.example"]\n')
    process = spawn("serve")
    assert process.stdout is not None
    url = process.stdout.readline().decode().split()[-1]
    # As a deployment has it: the broker, and the file that says where clients find it.
    api = "".join(f'{name} = "{url}/{name}"\n' for name in ("gettoken", "exists", "notifier"))
    toml(tail=f"{SEAL}port = 0\ncors_origins = ['https://shop.example', 'https://other.example']\n[api]\n{api}")
    status, out, _ = run("doctor", "--json")
    found = [(each["check"], each["verdict"], each["message"]) for each in json.loads(out)["findings"]]
    assert status == 1
    for check in ("broker", "gettoken", "exists", "notifier"):
        assert [verdict for name, verdict, _ in found if name == check] == ["ok"]
    of_broker = [(verdict, message) for name, verdict, message in found if name == "cors"][:2]
    assert [verdict for verdict, _ in of_broker] == ["ok", "fail"]
    assert "https://other.example" in of_broker[1][1]
    assert sum(name == "host" for name, _, _ in found) == 2
    # Nothing was granted, looked for or recorded: an upload in parts would have begun one.
    assert service.counts["CreateMultipartUpload"] == 1


def test_a_broker_that_is_not_there(run: Run, toml: Toml, monkeypatch: pytest.MonkeyPatch, free_port: int) -> None:
    monkeypatch.setenv("SEAL", "k" * 40)
    toml(tail=SEAL + f"port = {free_port}\n")
    status, out, _ = run("doctor", "--json")
    found = {each["check"]: each for each in json.loads(out)["findings"]}
    assert status == 1
    assert found["broker"]["verdict"] == found["gettoken"]["verdict"] == "fail"
    assert "refused the connection" in found["broker"]["message"]
    assert found["put"]["verdict"] == "ok"


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"<html>", "fail"),
        (404, b'{"success": false, "code": "NOT_FOUND"}', "fail"),
        (503, b'{"success": false, "code": "UNAVAILABLE"}', "fail"),
        (200, b'["success"]', "fail"),
        (401, b'{"success": false, "code": "NO_LOGIN", "message": "log in"}', "ok"),
        (200, b'{"accessToken": "t", "keys": {}}', "ok"),
    ],
)
def test_what_speaks_the_protocol(run: Run, clean: Path, status: int, body: bytes, verdict: str) -> None:
    def answer(request: Request) -> Response:
        while request.body.read(65536):
            pass
        return Response(status, [("Content-Type", "application/json")], body)

    server = served(answer)
    try:
        calls = "".join(f'{name} = "{server.url}/up/{name}"\n' for name in ("gettoken", "exists", "notifier"))
        (clean / "vvos.toml").write_text(f"[api]\n{calls}", encoding="utf-8")
        _, out, _ = run("doctor", "--json")
    finally:
        server.stop()
    found = {each["check"]: each["verdict"] for each in json.loads(out)["findings"]}
    assert found["gettoken"] == verdict


def test_a_broker_whose_database_is_gone(run: Run, clean: Path) -> None:
    body = b'{"success": false, "code": "UNAVAILABLE", "message": "the database does not answer."}'
    server = served(lambda request: Response(503, [], body))
    try:
        calls = "".join(f'{name} = "{server.url}/{name}"\n' for name in ("gettoken", "exists", "notifier"))
        (clean / "vvos.toml").write_text(f"[api]\n{calls}", encoding="utf-8")
        status, out, _ = run("doctor")
    finally:
        server.stop()
    assert status == 1
    assert "is not well (HTTP 503: the database does not answer.)" in out


# ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def authority(folder: Path, days: float) -> tuple[Path, ssl.SSLContext]:
    """A certificate for 127.0.0.1 that signs itself, as a bundle and as a server's context."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, secret = folder / "bundle.pem", folder / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, secret)
    return bundle, context


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Callable[[float], tuple[str, Path]]]:
    """Serves HTTPS with a certificate of so many days; answers the url and the bundle to trust."""
    servers: list[LocalServer] = []

    def serve(days: float) -> tuple[str, Path]:
        bundle, context = authority(tmp_path, days)
        server = LocalServer("127.0.0.1", 0, lambda request: Response(403), "Test")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.start()
        servers.append(server)
        return server.url.replace("http://", "https://"), bundle

    yield serve
    for server in servers:
        server.stop()


@pytest.mark.parametrize(("days", "verdict"), [(40, "ok"), (3, "warn")])
def test_a_certificate(
    secured: Callable[[float], tuple[str, Path]], monkeypatch: pytest.MonkeyPatch, days: float, verdict: str
) -> None:
    url, bundle = secured(days)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    found = {each.check: each for each in check_host(Http(timeout=(5, 5)), url)}
    assert found["host"].verdict == found["clock"].verdict == "ok"
    assert found["certificate"].verdict == verdict
    assert f" {days - 1} days" in found["certificate"].message


def test_a_certificate_that_nobody_trusts(secured: Callable[[float], tuple[str, Path]]) -> None:
    url, _ = secured(40)
    (found,) = check_host(Http(timeout=(5, 5)), url)
    assert found.verdict == "fail"
    assert "certificate that is not trusted" in found.message


def test_a_name_that_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (found,) = check_host(Http(timeout=(5, 5)), "https://不在.example")
    assert found.verdict == "fail"


def test_a_host_that_is_silent_is_not_waited_for() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (found,) = check_host(Http(timeout=(0.2, 0.2)), url)
    assert found.verdict == "fail"
    assert "was silent" in found.message


def test_a_host_that_says_no_time() -> None:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()

        def answer() -> None:
            with door.accept()[0] as one:
                one.recv(65536)
                one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        found = {
            each.check: each for each in check_host(Http(timeout=(5, 5)), f"http://127.0.0.1:{door.getsockname()[1]}")
        }
        thread.join()
    assert found["clock"].verdict == "unknown"


def test_nothing_is_waited_for_for_ever() -> None:
    forever = threading.Event()
    assert together([forever.wait, lambda: True], 0.05) == [None, True]
    forever.set()
    with pytest.raises(ZeroDivisionError):
        together([lambda: 1 / 0], 5)


def test_a_bucket_that_takes_too_long(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vvos_core.profile import load

    forever = threading.Event()
    monkeypatch.setattr("vvos_core.doctor.examination.BUCKET_SECONDS", 0.05)
    monkeypatch.setattr("vvos_core.doctor.examination._examined", lambda *args: forever.wait())
    config: Config = load()
    found = {each.check: each for each in whole(config, config.profile())}
    forever.set()
    assert found["bucket"].verdict == "unknown"
    assert "something may be left under '.vvos-doctor-" in found["bucket"].message
