"""Webhooks on the wire: signed as the official library wants it, to the operator's address only, and never for long."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook as Verifier, WebhookVerificationError

from vvos_core.builtin import webhooks
from vvos_core.builtin.webhooks import Webhook, payload
from vvos_core.egress import Egress, is_public
from vvos_core.errors import BadAnswer, ConfigError, Denied, NotFound, ServiceFailed, Unavailable, VVOSError
from vvos_core.model import Secret
from vvos_core.profile import load
from vvos_core.testing.server import Response

from .receiving import SECRET, Receiver, settings, told

LINK_LOCAL = "http://169.254.169.254/latest/meta-data"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "requests_ca_bundle", "curl_ca_bundle"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextmanager
def serving(serve: Callable[[socket.socket, threading.Event], None], *, reads: bool = True) -> Iterator[str]:
    """A server that treats its one connection as it likes, when it read something; the event is set at the end."""
    listener = socket.create_server(("127.0.0.1", 0))
    end = threading.Event()

    def run() -> None:
        try:
            stream, _ = listener.accept()
            with stream:
                if reads:
                    stream.recv(65536)
                serve(stream, end)
        except OSError:
            pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        end.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
        assert not thread.is_alive()


# ── what is sent ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_says_what_was_finished(receiver: Receiver) -> None:
    assert Webhook(settings(receiver.url)).notify(told(order=7)) == []
    (delivered,) = receiver.seen
    assert delivered.body == {
        "type": "upload.finished",
        "timestamp": "2027-01-15T08:00:00.500000Z",
        "data": {
            "key": "相册/a.jpg",
            "clientKey": "a.jpg",
            "url": "https://x/相册/a.jpg",
            "size": 5,
            "checksum": "md5:AAAA",
            "type": "image/jpeg",
            "metadata": {"t": "春"},
            "profile": "",
            "who": "小明",
            "requestId": "r",
            "params": {"order": 7},
        },
    }
    assert delivered.headers["content-type"] == "application/json"
    assert delivered.headers["webhook-id"] == "evt_1"


def test_each_secret_signs_while_one_replaces_the_other(receiver: Receiver) -> None:
    raw = "a-secret-that-is-no-base64, 媒体"
    Webhook(settings(receiver.url, secret=(Secret(raw), Secret(SECRET)))).notify(told())
    headers, body = receiver.seen[0].headers, msgspec.json.encode(payload(told().objects[0], {}))
    assert len(headers["webhook-signature"].split(" ")) == 2
    for secret in (raw.encode(), SECRET):
        Verifier(secret).verify(body, headers)
    for wrong in (b"another", "whsec_" + "A" * 44):
        with pytest.raises(WebhookVerificationError):
            Verifier(wrong).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body, {**headers, "webhook-id": "evt_2"})
    with pytest.raises(WebhookVerificationError):
        Verifier(SECRET).verify(body + b" ", headers)


# ── what is answered ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_a_delivery(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda delivered: Response(status)
    Webhook(settings(receiver.url)).notify(told())


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_another_status_is_a_failure_that_may_be_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answer = lambda delivered: Response(status, [("Retry-After", "17"), ("Location", LINK_LOCAL)])
    with pytest.raises(ServiceFailed, match=rf"^the webhook app: 127\.0\.0\.1 answered {status}\.$") as caught:
        Webhook(settings(receiver.url)).notify(told())
    assert caught.value.retry_after == 17
    assert len(receiver.seen) == 1


def test_410_is_for_good(receiver: Receiver) -> None:
    receiver.answer = lambda delivered: Response(410)
    with pytest.raises(NotFound, match="answered 410, it is gone"):
        Webhook(settings(receiver.url)).notify(told())


def test_a_redirect_to_a_link_local_address_is_not_followed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = connections(monkeypatch)
    receiver.answer = lambda delivered: Response(302, [("Location", LINK_LOCAL)])
    with pytest.raises(ServiceFailed):
        Webhook(settings(receiver.url)).notify(told())
    assert asked == [("127.0.0.1", receiver.port)]


def test_a_receiver_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "SILENT_SECONDS", 0.1)
    with serving(lambda stream, end: (end.wait(20), None)[1]) as url, pytest.raises(Unavailable, match="silent"):
        Webhook(settings(url)).notify(told())


def test_a_receiver_that_trickles_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def trickle(stream: socket.socket, end: threading.Event) -> None:
        stream.sendall(b"HTTP/1.1 200 ")
        while not end.wait(0.02):
            stream.sendall(b"O")

    monkeypatch.setattr(webhooks, "DELIVERY_SECONDS", 0.3)
    begun = time.monotonic()
    with serving(trickle) as url, pytest.raises(Unavailable, match=r"did not end within 0\.3 s"):
        Webhook(settings(url)).notify(told())
    assert time.monotonic() - begun < 10


def test_a_huge_answer_is_not_read() -> None:
    sent = [0]

    def flood(stream: socket.socket, end: threading.Event) -> None:
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while not end.is_set() and sent[0] < 1_000_000_000:
            sent[0] += stream.send(bytes(1 << 20))

    with serving(flood) as url, pytest.raises(BadAnswer, match="more than 4 MiB"):
        Webhook(settings(url)).notify(told())
    assert sent[0] < 64 << 20


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha", b"HTTP/1.1 2", b"hello\r\n"]
)
def test_a_receiver_that_closes_early_has_not_got_it(answer: bytes) -> None:
    with serving(lambda stream, end: stream.sendall(answer)) as url, pytest.raises(VVOSError) as caught:
        Webhook(settings(url)).notify(told())
    assert "/" not in caught.value.message, "the address beyond its host is nobody's business"


# ── where it is sent ──────────────────────────────────────────────────────────────────────────────────────────────────


def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that are connected to from now on."""
    asked: list[Any] = []
    honest = socket.create_connection

    def connect(address: Any, *arguments: Any) -> socket.socket:
        asked.append(address)
        return honest(address, *arguments)

    monkeypatch.setattr("vvos_core.egress.socket.create_connection", connect)
    return asked


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.9.10",
        "[::1]",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "[::ffff:8.8.8.8]",
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "172.16.3.4",
        "192.168.1.1",
        "100.64.0.1",
        "198.18.0.1",
        "192.88.99.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "[64:ff9b::]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::8.8.8.8]",
        "[2002::]",
        "[2002:7f00:1::]",
        "[2002:808:808::]",
        "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
        "[2001:db8::1]",
        "[3fff::1]",
        "[fc00::1]",
        "[fe80::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[::127.0.0.1]",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "localhost",
    ],
)
def test_an_address_that_is_not_public_is_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = connections(monkeypatch)
    with pytest.raises(Denied, match="not a public address"):
        Webhook(settings(f"http://{host}:9/", allow_private=False)).notify(told())
    assert asked == []


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "2a00::1", "64:ff9b::8.8.8.8"])
def test_an_address_that_is_public_is_not(address: str) -> None:
    assert is_public(address)


def test_a_name_is_looked_up_once_and_what_was_checked_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([["93.184.216.34"], ["127.0.0.1"]])
    asked: list[Any] = []

    def refuse(address: Any, timeout: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("vvos_core.egress.socket.create_connection", refuse)
    webhook = Webhook(
        settings("http://app.example.com:81/", allow_private=False), resolve=lambda host, port: next(answers)
    )
    with pytest.raises(Unavailable, match=r"app\.example\.com:81 refused"):
        webhook.notify(told())
    assert asked == [("93.184.216.34", 81)]
    with pytest.raises(Denied, match=r"app\.example\.com is at 127\.0\.0\.1"):
        webhook.notify(told())
    assert asked == [("93.184.216.34", 81)], "the second answer was never connected to"


def test_one_private_address_among_several_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = connections(monkeypatch)
    line = Egress(private=False, seconds=1, resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])
    with pytest.raises(Denied):
        line.connect("app.example.com", 80, 1)
    assert asked == []


def test_the_name_goes_with_the_request_and_the_next_address_is_tried(receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "app.example.com")
    Webhook(settings(url), resolve=lambda host, port: ["::1", "127.0.0.1"]).notify(told())
    assert receiver.seen[0].headers["host"] == f"app.example.com:{receiver.port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of app.example.com that nobody signed but itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("app.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("host", "trickles", "fails"),
    [
        ("app.example.com", False, None),
        ("evil.example.com", False, "certificate"),
        ("app.example.com", True, r"did not end within 0\.5 s"),
    ],
)
def test_tls_is_with_the_name_and_not_with_the_address(
    host: str, trickles: bool, fails: str | None, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    if trickles:
        monkeypatch.setattr(webhooks, "DELIVERY_SECONDS", 0.5)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    names: list[str | None] = []
    context.sni_callback = lambda line, name, _: names.append(name)

    def serve(stream: socket.socket, end: threading.Event) -> None:
        with context.wrap_socket(stream, server_side=True) as secure:
            secure.recv(65536)
            secure.sendall(b"HTTP/1.1 204 ")
            while trickles and not end.wait(0.02):
                secure.sendall(b"O")
            secure.sendall(b"No Content\r\n\r\n")

    with serving(serve, reads=False) as url:
        webhook = Webhook(
            settings(url.replace("http://127.0.0.1", f"https://{host}")), resolve=lambda host, port: ["127.0.0.1"]
        )
        if fails:
            with pytest.raises(VVOSError, match=fails):
                webhook.notify(told())
        else:
            webhook.notify(told())
    assert names == [host]


def test_a_name_that_is_nobodys_may_be_tried_again() -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror

    with pytest.raises(Unavailable, match="could not be looked up"):
        Webhook(settings("http://app.invalid/"), resolve=unknown).notify(told())


def test_no_proxy_of_the_environment_is_asked(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    Webhook(settings(receiver.url)).notify(told())
    assert len(receiver.seen) == 1


# ── how it is configured ──────────────────────────────────────────────────────────────────────────────────────────────


def written(tmp_path: Any, text: str, **env: str) -> Any:
    path = tmp_path / "vvos.toml"
    path.write_text(f"[[broker.webhooks]]\n{text}\n", encoding="utf-8")
    return load(path, env=env).broker.webhooks


GOOD = 'name = "app"\nurl = "https://app.example.com/vvos"\nsecret = { env = "S" }'


def test_a_webhook_is_configured(tmp_path: Any) -> None:
    (webhook,) = written(tmp_path, GOOD, S=SECRET)
    assert (webhook.name, webhook.url, webhook.allow_private) == ("app", "https://app.example.com/vvos", False)
    assert webhook.secret == (Secret(SECRET),)
    assert SECRET not in repr(webhook)


def test_a_webhook_has_several_secrets(tmp_path: Any) -> None:
    text = GOOD.replace('{ env = "S" }', '[{ env = "S" }, { env = "OLD" }]')
    (webhook,) = written(tmp_path, text, S=SECRET, OLD="o" * 24)
    assert webhook.secret == (Secret(SECRET), Secret("o" * 24))


@pytest.mark.parametrize(
    ("text", "secret", "says"),
    [
        (GOOD, "short", "is too short"),
        (GOOD, "whsec_c2hvcnQ=", "is too short"),
        (GOOD, "whsec_!!!!", "not base64"),
        (GOOD.replace('{ env = "S" }', f'"{SECRET}"'), "", "secret"),
        (GOOD.replace("https", "ftp"), SECRET, "is not an address"),
        (GOOD.replace("https://", "https://user:pw@"), SECRET, "user's name"),
        (GOOD.replace('"app"', '"a b"'), SECRET, "a name of 1 to 64"),
        (GOOD.replace('name = "app"\n', ""), SECRET, "name: is missing"),
        (f"{GOOD}\n[[broker.webhooks]]\n{GOOD}", SECRET, "two webhooks with the name 'app'"),
        (f"{GOOD}\nretries = 3", SECRET, "no such setting"),
    ],
)
def test_a_mistake_is_a_sentence_without_the_secret(tmp_path: Any, text: str, secret: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        written(tmp_path, text, S=secret)
    assert SECRET not in str(caught.value)
