"""What runs beside the contenders: the drain, the broker, and the certificate of both; stopped by who started them."""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from .drain.request import Counts
from .task import ACCESS_KEY, BUCKET, REGION, SECRET_KEY

ROOT = Path(__file__).parents[2]


class Server:
    """A process that says at which address it serves."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url

    def cpu(self) -> float:
        """Seconds of processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Drain(Server):
    """The drain, as the bench sees it."""

    def __init__(self, process: subprocess.Popen[str], url: str, authority: Path | None) -> None:
        super().__init__(process, url)
        self._context = ssl.create_default_context(cafile=str(authority)) if authority else None

    def counts(self, *, full: bool) -> Counts:
        """What was counted since the last call; from now on every byte is compared, or both ends of each body."""
        with urllib.request.urlopen(f"{self.url}/-/counts?full={int(full)}", context=self._context, timeout=60) as told:
            return msgspec.json.decode(told.read(), type=Counts)


@contextmanager
def drain(dialect: str, tape: Path, tls: tuple[Path, Path] | None = None) -> Iterator[Drain]:
    """A drain that speaks ``dialect``; with ``tls``, the certificates of the authority and of the server."""
    more = [] if tls is None else [str(tls[1])]
    command = [sys.executable, "-m", "tests.bench.drain", dialect, str(tape), *more]
    with _running(command, {}) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the drain did not start")
        yield Drain(process, f"{'https' if tls else 'http'}://127.0.0.1:{port}", tls and tls[0])


@contextmanager
def broker(
    folder: Path,
    provider: str,
    endpoint: str,
    environment: Mapping[str, str],
    settings: Mapping[str, int] | None = None,
) -> Iterator[Server]:
    """``vvos serve``, with one profile, whose service is the drain at ``endpoint``."""
    lines = [
        "default_profile = 'bench'",
        "[profiles.bench]",
        f"provider = '{provider}'",
        f"bucket = '{BUCKET}'",
        f"endpoint = '{endpoint}'",
        "access_key = { env = 'BENCH_ACCESS' }",
        "secret_key = { env = 'BENCH_SECRET' }",
        f"domain = '{endpoint}'" if provider == "qiniu" else f"region = '{REGION}'",
        *(f"{name} = {value}" for name, value in (settings or {}).items()),
        "[broker]",
        "access = 'open'",
        f"database = 'sqlite:///{folder}/broker.db'",
        "seal_keys = [{ env = 'BENCH_SEAL' }]",
        "max_body = 16777216",
    ]
    (folder / "vvos.toml").write_text("\n".join(lines) + "\n")
    secrets = {"BENCH_ACCESS": ACCESS_KEY, "BENCH_SECRET": SECRET_KEY, "BENCH_SEAL": "0123456789abcdef" * 4}
    command = [sys.executable, "-m", "vvos_core.cli", "serve", "--config", str(folder / "vvos.toml"), "--port", "0"]
    with (folder / "broker.log").open("w") as log, _running(command, {**environment, **secrets}, log) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " at " not in line:
            raise RuntimeError(f"the broker did not start: {(folder / 'broker.log').read_text()[-800:]}")
        yield Server(process, line.rsplit(" ", 1)[1].strip())


@contextmanager
def bare() -> Iterator[Server]:
    """A Starlette endpoint that does nothing, served as the broker is."""
    with _running([sys.executable, "-m", "tests.bench.bare"], {}) as process:
        assert process.stdout is not None
        yield Server(process, process.stdout.readline().rsplit(" ", 1)[1].strip())


@contextmanager
def _running(
    command: list[str], environment: Mapping[str, str], errors: object = None
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=errors,  # type: ignore[call-overload,unused-ignore]  # an open file, or None
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def trust(certificate: Path) -> dict[str, str]:
    """The environment in which clients trust it."""
    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "SSL_CERT_FILE")
    return dict.fromkeys(names, str(certificate))


def write_certificates(authority: Path, server: Path) -> None:
    """An authority's certificate, and one of it for 127.0.0.1 with its key; both good for a day."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.timezone.utc)
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("bench authority", "bench")}
    pem = serialization.Encoding.PEM

    def certificate(name: str, extension: x509.ExtensionType, critical: bool) -> bytes:
        said = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, who)]) for who in (name, "bench authority")]
        builder = x509.CertificateBuilder().subject_name(said[0]).issuer_name(said[1])
        builder = builder.public_key(keys[name].public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=1)).add_extension(extension, critical=critical)
        return builder.sign(keys["bench authority"], hashes.SHA256()).public_bytes(pem)

    authority.write_bytes(certificate("bench authority", x509.BasicConstraints(ca=True, path_length=0), True))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    server.touch(mode=0o600)
    private = keys["bench"].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    server.write_bytes(private + certificate("bench", address, False))
