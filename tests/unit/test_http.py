"""vvos_core.http over real sockets: what goes out on the wire, and what becomes of each way to fail."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import os
import socket
import ssl
import threading
import time
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timezone
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from vvos_core import connection
from vvos_core.errors import BadAnswer, BadInput, ConfigError, SourceChanged, Unavailable
from vvos_core.http import MAX_ANSWER, MAX_RETRY_AFTER, Answer, Http
from vvos_core.source import FileSource

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SECRET = "/a/key?X-Amz-Signature=5ec2e7"


class Chunk:
    """Blocks in memory; ``claims`` is the length that it announces."""

    number = 1
    offset = 0

    def __init__(self, *blocks: bytes, claims: int | None = None, error: Exception | None = None) -> None:
        self._blocks = blocks
        self._length = sum(map(len, blocks)) if claims is None else claims
        self._error = error

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[memoryview]:
        for block in self._blocks:
            yield memoryview(block)
        if self._error:
            raise self._error


class Request:
    """A request as it came over the wire."""

    def __init__(self, head: bytes, body: bytes, connection: int) -> None:
        line, *headers = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = line.split(" ")
        self.headers = {k.lower(): v for k, _, v in (header.partition(": ") for header in headers)}
        self.body = body
        self.connection = connection


def read_request(stream: socket.socket, connection: int = 0) -> Request | None:
    """The next request, None at the end of the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        block = stream.recv(65536)
        if not block:
            return None
        data += block
    head, _, body = data.partition(b"\r\n\r\n")
    request = Request(head, b"", connection)
    length = int(request.headers.get("content-length", "0"))
    while len(body) < length:
        block = stream.recv(65536)
        if not block:
            break
        body += block
    request.body = body
    return request


def throw_away(stream: socket.socket, count: int) -> None:
    """Read ``count`` bytes, or somewhat more, and keep none."""
    buffer = bytearray(1 << 16)
    while count > 0 and (got := stream.recv_into(buffer)):
        count -= got


class Wire(AbstractContextManager["Wire"]):
    """A server of one's own: ``serve`` gets each connection's socket and its number, from 1."""

    def __init__(self, serve: Callable[[Wire, socket.socket, int], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self.requests: list[Request] = []
        self.release = threading.Event()
        self.connections = 0
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Wire:
        self._threads.append(threading.Thread(target=self._accept))
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for stream in self._open:
            # What a client keeps open would keep a reading thread for ever.
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(stream)
            thread = threading.Thread(target=self._one, args=(stream, self.connections))
            self._threads.append(thread)
            thread.start()

    def _one(self, stream: socket.socket, number: int) -> None:
        with stream:
            try:
                self._serve(self, stream, number)
            except OSError:
                return


def answering(*answers: bytes) -> Wire:
    """A server that reads each request whole and answers it; the last answer again and again."""

    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        while request := read_request(stream, number):
            wire.requests.append(request)
            stream.sendall(answers[min(len(wire.requests), len(answers)) - 1])

    return Wire(serve)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def http() -> Iterator[Http]:
    http = Http(timeout=(5.0, 5.0))
    yield http
    http.close()


def test_a_chunk_goes_out_with_its_length_and_as_it_is(http: Http) -> None:
    with answering(OK) as wire:
        answer = http.send("PUT", wire.url + "/k", body=Chunk(b"ab", b"", b"cde"), headers={"X-A": "1"}, what="put")
        (request,) = wire.requests
    assert (answer.status, answer.body) == (200, b"ok")
    assert (request.method, request.body, request.headers["x-a"]) == ("PUT", b"abcde", "1")
    assert request.headers["content-length"] == "5"
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("body", [b"", Chunk(), None], ids=["bytes", "chunk", "none"])
def test_nothing_goes_out_with_length_zero(http: Http, body: bytes | Chunk | None) -> None:
    with answering(OK) as wire:
        http.send("PUT", wire.url + "/k", body=body, what="put")
        (request,) = wire.requests
    assert request.headers["content-length"] == "0"
    assert "transfer-encoding" not in request.headers


def test_an_empty_chunk_is_read_before_anything_is_sent(http: Http) -> None:
    with answering(OK) as wire, pytest.raises(SourceChanged, match="vanished"):
        http.send("PUT", wire.url, body=Chunk(error=SourceChanged("it vanished.")), what="put")
    assert wire.requests == []


def test_no_credentials_cookies_or_compression_are_added(
    http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with answering(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n")) as wire:
        for _ in range(2):
            http.send("GET", wire.url + "/", what="get")
        names = set(wire.requests[1].headers)
    assert names <= {"host", "user-agent", "accept-encoding"}
    assert wire.requests[1].headers["accept-encoding"] == "identity"


def test_a_redirect_is_an_answer(http: Http) -> None:
    with answering(b"HTTP/1.1 307 Elsewhere\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n") as wire:
        answer = http.send("GET", wire.url, what="get")
        assert len(wire.requests) == 1
    assert (answer.status, answer.headers["location"]) == (307, "/other")


def test_connections_are_used_again_also_by_other_threads(http: Http) -> None:
    with answering(OK) as wire:
        for _ in range(3):
            thread = threading.Thread(target=http.send, args=("GET", wire.url), kwargs={"what": "get"})
            thread.start()
            thread.join()
        assert (len(wire.requests), wire.connections) == (3, 1)


def test_headers_are_found_in_any_case_and_retry_after_is_seconds(http: Http) -> None:
    with answering(b"HTTP/1.1 503 No\r\nretry-AFTER: 7\r\nContent-Length: 0\r\n\r\n") as wire:
        answer = http.send("GET", wire.url, what="get")
    assert answer.headers["Retry-After"] == "7"
    assert answer.retry_after == 7.0


DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:47 GMT", DATE, 10),
        ("Sun, 06 Nov 1994 08:49:07 GMT", DATE, 0),
        ("Sunday, 06-Nov-94 08:49:47 GMT", DATE, 10),  # RFC 9110, 5.6.7: the obsolete forms are read
        ("Sun Nov  6 08:49:47 1994", DATE, 10),
        ("Sun, 06 Nov 2094 08:49:37 GMT", DATE, MAX_RETRY_AFTER),
        ("Sun, 06 Nov 2094 08:49:37 GMT", "", MAX_RETRY_AFTER),
        (DATE, "", 0),
        (DATE, "yesterday", 0),
        ("999999999", "", MAX_RETRY_AFTER),
        ("Sun, 99 Nov 1994 08:49:37 GMT", DATE, None),
    ],
)
def test_a_retry_after_may_be_a_date_by_the_clock_of_who_sent_it(value: str, date: str, seconds: float | None) -> None:
    headers = {"Retry-After": value} | ({"Date": date} if date else {})
    assert Answer(status=503, headers=headers).retry_after == seconds


def test_a_date_without_a_clock_beside_it_is_by_ours() -> None:
    soon = datetime.datetime.now(timezone.utc) + datetime.timedelta(seconds=100)
    told = Answer(status=503, headers={"Retry-After": format_datetime(soon, usegmt=True)}).retry_after
    assert told is not None
    assert 90 < told <= 100


@given(value=st.text() | st.from_regex(r"\w{3}, \d+ (Jan|Dec) \d+ \d+:\d+:\d+ ([A-Z]+|[-+]\d+)"), date=st.text())
def test_any_retry_after_is_nothing_or_within_a_day(value: str, date: str) -> None:
    told = Answer(status=503, headers={"Retry-After": value, "Date": date}).retry_after
    assert told is None or 0 <= told <= MAX_RETRY_AFTER


@pytest.mark.parametrize("value", ["", "-1", "soon", "1.5", "٣", "9" * 40])
def test_a_strange_retry_after_is_none(http: Http, value: str) -> None:
    answer = f"HTTP/1.1 503 No\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n"
    with answering(answer.encode()) as wire:
        assert http.send("GET", wire.url, what="get").retry_after is None


def test_a_long_answer_is_read_to_the_bound_and_no_further(http: Http) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % MAX_ANSWER + bytes(MAX_ANSWER)) as wire:
        assert len(http.send("GET", wire.url, what="get").body) == MAX_ANSWER
    with answering(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(MAX_ANSWER + 1)) as wire, pytest.raises(BadAnswer, match="4 MiB"):
        http.send("GET", wire.url, what="get")


def test_what_a_chunk_raises_comes_out_unchanged_and_the_connection_is_not_used_again(http: Http) -> None:
    mine = SourceChanged("a.mp4 changed.")
    with answering(OK) as wire:
        with pytest.raises(SourceChanged) as caught:
            http.send("PUT", wire.url, body=Chunk(b"half", claims=8, error=mine), what="put")
        http.send("GET", wire.url, what="get")
        assert caught.value is mine
        assert [request.connection for request in wire.requests if request.method == "GET"] == [2]


@pytest.mark.parametrize("claims", [3, 9], ids=["more", "fewer"])
def test_a_chunk_of_another_length_is_a_changed_source(http: Http, claims: int) -> None:
    with answering(OK) as wire, pytest.raises(SourceChanged, match="more" if claims == 3 else "fewer"):
        http.send("PUT", wire.url, body=Chunk(b"ab", b"cdef", claims=claims), what="put")
    sent = b"".join(request.body for request in wire.requests)
    assert sent in ((b"", b"ab") if claims == 3 else (b"", b"ab", b"abcdef"))


def test_an_early_refusal_is_read_though_the_connection_closes(http: Http) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.recv(1000)
        stream.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nConnection: close\r\n\r\nshut")
        stream.shutdown(socket.SHUT_WR)
        while stream.recv(65536):  # an orderly close: the rest is read and thrown away
            pass

    with Wire(serve) as wire:
        answer = http.send("PUT", wire.url, body=Chunk(*[bytes(1 << 20)] * 32), what="put")
    assert (answer.status, answer.body) == (403, b"shut")


def test_a_reset_while_sending_gives_the_answer_or_unavailable(http: Http) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.recv(1000)
        stream.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nshut")
        # closed with bytes unread: the kernel sends a reset

    with Wire(serve) as wire:
        try:
            status = http.send("PUT", wire.url, body=Chunk(*[bytes(1 << 20)] * 32), what="put").status
        except Unavailable:
            status = 0
    assert status in (403, 0)


def test_a_success_before_everything_was_sent_is_none(http: Http) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.recv(1000)
        stream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with Wire(serve) as wire, pytest.raises(Unavailable):
        http.send("PUT", wire.url, body=Chunk(*[bytes(1 << 20)] * 32), what="put")


def test_a_slow_reader_is_given_the_time_of_an_answer_not_that_of_a_connection() -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        wire.release.wait(1.0)  # longer than a connection may take
        throw_away(stream, 32 << 20)
        stream.sendall(OK)

    http = Http(timeout=(0.2, 20.0))
    with Wire(serve) as wire:
        assert http.send("PUT", wire.url, body=Chunk(bytes(32 << 20)), what="put").status == 200
    http.close()


def slowly(stream: socket.socket, count: int, rate: float, wait: Callable[[float], object]) -> None:
    """Read ``count`` bytes, and what is before them, ``rate`` a second."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += stream.recv(4096)
    count -= len(head.partition(b"\r\n\r\n")[2])
    while count > 0 and (got := len(stream.recv(min(count, 4096)))):
        count -= got
        wait(got / rate)


def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client's sockets buffer little, so that the body moves as slowly as it is read."""
    connect = socket.socket.connect

    def narrowed(self: socket.socket, address: tuple[str, int]) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        # Packets of the loopback's 64 KiB would not fit: the kernel would wait for its timers.
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", narrowed)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_slow_body_goes_on_as_long_as_it_moves(tls: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One block takes three times as long as nothing may move."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    narrow(monkeypatch)
    size, context = 768 << 10, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        with context.wrap_socket(stream, server_side=True) if tls else stream as link:
            slowly(link, size, 256 << 10, wire.release.wait)
            link.sendall(OK)

    http = Http(timeout=(5.0, 1.0))
    with Wire(serve) as wire:
        start = time.monotonic()
        url = f"http{'s' * tls}://127.0.0.1:{wire.port}/"
        assert http.send("PUT", url, body=Chunk(bytes(size)), what="put").status == 200
        assert time.monotonic() - start > 2 * 1.0
    http.close()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_body_that_does_not_move_has_stalled(tls: bool, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    narrow(monkeypatch)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        with context.wrap_socket(stream, server_side=True) if tls else stream as link:
            link.recv(1000)
            wire.release.wait(20)

    http = Http(timeout=(5.0, 0.2))
    start = time.monotonic()
    with Wire(serve) as wire, pytest.raises(Unavailable, match=r"was silent for 0\.2 s"):
        http.send("PUT", f"http{'s' * tls}://127.0.0.1:{wire.port}/", body=Chunk(bytes(2 << 20)), what="put")
    assert time.monotonic() - start < 5
    http.close()


def test_what_the_kernel_still_sends_is_waited_for_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The body fits into the socket's buffer, and is read more slowly than the other side may be silent."""
    size = 300 << 10

    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        slowly(stream, size, 200 << 10, wire.release.wait)
        stream.sendall(OK)

    http = Http(timeout=(5.0, 0.5))
    with Wire(serve) as wire:
        assert http.send("PUT", wire.url, body=Chunk(bytes(size)), what="put").status == 200
    http.close()


@pytest.mark.parametrize(
    "begins", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"]
)
def test_an_answer_that_drips_comes_to_an_end(begins: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "ANSWER_ROUNDS", 1.5)

    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.sendall(begins)
        while not wire.release.wait(0.01):
            stream.sendall(b"X")

    http = Http(timeout=(5.0, 0.5))
    with Wire(serve) as wire, pytest.raises(Unavailable, match="did not come to an end") as caught:
        http.send("GET", wire.url + SECRET, what="get")
    assert "5ec2e7" not in "".join(traceback.format_exception(caught.value))
    http.close()


def test_nothing_is_copied_or_kept_of_a_body(http: Http) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        throw_away(stream, 64 << 20)
        stream.sendall(OK)

    block = bytes(256 << 10)
    with Wire(serve) as wire:
        tracemalloc.start()
        try:
            http.send("PUT", wire.url, body=Chunk(*[block] * 256), what="put")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 << 20


def test_a_refused_connection_says_who_refused_and_nothing_else(http: Http) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    headers = {"Authorization": SECRET[-6:]}
    with pytest.raises(Unavailable) as caught:
        http.send("PUT", f"http://127.0.0.1:{port}{SECRET}", headers=headers, what="storing a.mp4")
    assert str(caught.value).startswith(f"storing a.mp4: 127.0.0.1:{port} refused the connection;")
    shown = "".join(traceback.format_exception(caught.value))
    assert "5ec2e7" not in shown
    assert "X-Amz" not in shown


def test_silence_ends_the_wait() -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        wire.release.wait(20)

    http = Http(timeout=(5.0, 0.2))
    with Wire(serve) as wire, pytest.raises(Unavailable, match=r"was silent for 0\.2 s"):
        http.send("GET", wire.url + SECRET, what="get")
    http.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha",
        b"HTTP/1.1 2",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nETa",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_unavailable(http: Http, answer: bytes) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        read_request(stream)
        stream.sendall(answer)

    with Wire(serve) as wire, pytest.raises(Unavailable) as caught:
        http.send("GET", wire.url + SECRET, what="get")
    assert "5ec2e7" not in "".join(traceback.format_exception(caught.value))


def test_an_answer_that_is_no_http_is_unavailable(http: Http) -> None:
    with answering(b"SSH-2.0-server\r\n") as wire, pytest.raises(Unavailable):
        http.send("GET", wire.url, what="get")


def test_a_body_that_cannot_be_decoded_is_a_bad_answer(http: Http) -> None:
    with (
        answering(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope") as wire,
        pytest.raises(BadAnswer, match="cannot be decoded"),
    ):
        http.send("GET", wire.url, what="get")


def test_a_name_that_nobody_knows(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(Unavailable, match=r"^get: nowhere\.invalid:80 was not found"):
        http.send("GET", "http://nowhere.invalid/", what="get")


@pytest.mark.parametrize("url", ["", "/path", "ftp://host/", "http://", "http://host:port/", "http://[::1"])
def test_what_is_no_url_is_bad_input(http: Http, url: str) -> None:
    with pytest.raises(BadInput, match=r"^get: its address"):
        http.send("GET", url, what="get")


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "文"])
def test_what_is_no_header_is_bad_input(http: Http, value: str) -> None:
    with pytest.raises(BadInput, match="cannot be sent"):
        http.send("GET", "http://127.0.0.1:1/", headers={"X-A": value}, what="get")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody signed but itself, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

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
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def answering_tls(certificate: Path) -> Wire:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        with context.wrap_socket(stream, server_side=True) as secure:
            if request := read_request(secure):
                wire.requests.append(request)
                secure.sendall(OK)

    return Wire(serve)


def test_a_certificate_that_is_not_trusted_is_no_matter_of_trying_again(http: Http, certificate: Path) -> None:
    with answering_tls(certificate) as wire, pytest.raises(BadAnswer, match="not trusted here") as caught:
        http.send("GET", f"https://127.0.0.1:{wire.port}{SECRET}", what="get")
    assert not caught.value.retryable
    assert "REQUESTS_CA_BUNDLE" in caught.value.message


def test_the_bundle_of_the_environment_is_trusted(
    http: Http, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with answering_tls(certificate) as wire:
        answer = http.send("PUT", f"https://127.0.0.1:{wire.port}/k", body=Chunk(b"ab", b"c"), what="put")
        assert (answer.status, wire.requests[0].body) == (200, b"abc")


def test_a_bundle_that_is_not_there_is_named(http: Http, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match="REQUESTS_CA_BUNDLE"):
        http.send("GET", "https://127.0.0.1:1/", what="get")


def test_tls_to_a_plain_server_is_a_bad_answer(http: Http) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.recv(65536)
        stream.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    with Wire(serve) as wire, pytest.raises(BadAnswer, match="TLS"):
        http.send("GET", f"https://127.0.0.1:{wire.port}/", what="get")


def test_a_server_that_hangs_up_in_the_handshake_is_unavailable(http: Http) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        stream.recv(65536)

    with Wire(serve) as wire, pytest.raises(Unavailable):
        http.send("GET", f"https://127.0.0.1:{wire.port}/", what="get")


def test_the_proxy_of_the_environment_is_used_and_read_once(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        http.send("GET", "http://storage.example/a%20b", what="get")
        monkeypatch.delenv("HTTP_PROXY")
        http.send("GET", "http://storage.example/c", what="get")
        assert [request.target for request in proxy.requests] == [
            "http://storage.example/a%20b",
            "http://storage.example/c",
        ]


def test_no_proxy_is_honoured(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(OK) as proxy, answering(OK) as wire:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        http.send("GET", wire.url, what="get")
        assert (len(proxy.requests), len(wire.requests)) == (0, 1)


def test_a_proxy_that_is_down_is_named_as_such(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
    with pytest.raises(Unavailable, match="through the proxy"):
        http.send("GET", "http://storage.example/", what="get")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), min_size=1, max_size=5))
def test_the_target_goes_out_as_it_was_given(segments: list[str]) -> None:
    path = "/" + "/".join(quote(part, safe="") for part in segments if part not in (".", ".."))
    target = f"{path}?X-Amz-Credential=AK%2F20260101%2Fs3&b=%7E%2B%20~"
    http = Http()
    with answering(OK) as wire:
        http.send("GET", wire.url + target, what="get")
        http.close()
        assert wire.requests[0].target == target


def test_logs_hold_no_query(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as wire:
        http.send("GET", wire.url + SECRET, what="get")
    assert "/a/key" in caplog.text
    assert "5ec2e7" not in caplog.text


def test_an_idle_connection_that_ended_is_not_used_again(http: Http) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        if read_request(stream, number):
            stream.sendall(OK)  # and hangs up

    with Wire(serve) as wire:
        for _ in range(3):
            assert http.send("GET", wire.url, what="get").status == 200
            for thread in wire._threads[1:]:
                thread.join(10)
        assert wire.connections == 3


def tunnelling(proxy: Wire, stream: socket.socket, number: int) -> None:
    """A proxy that does what CONNECT asks."""
    request = read_request(stream, number)
    assert request is not None
    proxy.requests.append(request)
    host, _, port = request.target.rpartition(":")
    with socket.create_connection((host, int(port))) as onward:
        stream.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")

        def forward(source: socket.socket, sink: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    sink.sendall(data)
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                return

        back = threading.Thread(target=forward, args=(onward, stream))
        back.start()
        forward(stream, onward)
        back.join(10)


def test_tls_goes_through_a_proxy_by_a_tunnel(http: Http, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    with answering_tls(certificate) as wire, Wire(tunnelling) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://%E4%BA%BA:p%40ss@127.0.0.1:{proxy.port}")
        url = f"https://127.0.0.1:{wire.port}/k"
        assert http.send("PUT", url, body=Chunk(b"ab", b"c"), what="put").status == 200
        assert wire.requests[0].body == b"abc"
        (asked,) = proxy.requests
        assert (asked.method, asked.target) == ("CONNECT", f"127.0.0.1:{wire.port}")
        assert base64.b64decode(asked.headers["proxy-authorization"].removeprefix("Basic ")).decode() == "人:p@ss"
        assert "proxy-authorization" not in wire.requests[0].headers


def test_tls_goes_also_through_a_proxy_of_tls(http: Http, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def serve(proxy: Wire, stream: socket.socket, number: int) -> None:
        with context.wrap_socket(stream, server_side=True) as secure:
            tunnelling(proxy, secure, number)

    with answering_tls(certificate) as wire, Wire(serve) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
        url = f"https://127.0.0.1:{wire.port}/k"
        assert http.send("PUT", url, body=Chunk(bytes(300_000)), what="put").status == 200
        assert wire.requests[0].body == bytes(300_000)
        http.close()


@pytest.mark.parametrize("refusal", [b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n", b""])
def test_a_proxy_that_refuses_a_tunnel_is_named_as_such(
    http: Http, refusal: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        read_request(stream, number)
        stream.sendall(refusal)

    with Wire(serve) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(Unavailable, match="through the proxy"):
            http.send("GET", "https://storage.example/", what="get")


@pytest.mark.parametrize("none", ["127.0.0.0/8", "10.0.0.0/8, 127.0.0.1/32", "nonsense/9, 127.0.0.0/8"])
def test_a_network_may_be_kept_from_the_proxy(http: Http, none: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(OK) as proxy, answering(OK) as wire:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", none)
        http.send("GET", wire.url, what="get")
        assert (len(proxy.requests), len(wire.requests)) == (0, 1)


def test_a_proxy_of_a_strange_kind_is_named(http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:1080")
    with pytest.raises(ConfigError, match="neither http:// nor https://"):
        http.send("GET", "http://storage.example/", what="get")


@pytest.mark.parametrize("change", ["shrinks", "grows", "edited"])
def test_a_file_that_changes_while_it_is_sent_makes_no_whole_request(
    change: str, http: Http, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow(monkeypatch)
    path, size = tmp_path / "影片.bin", 8 << 20
    path.write_bytes(bytes(size))
    os.utime(path, (1, 1))
    source, got = FileSource(path), 0

    def serve(wire: Wire, stream: socket.socket, number: int) -> None:
        nonlocal got
        stream.recv(1000)
        # The client is in the middle of it: its sockets hold little.
        if change == "edited":
            with path.open("r+b") as file:
                file.write(b"x")
        else:
            os.truncate(path, 1000 if change == "shrinks" else size + 1)
        while data := stream.recv(1 << 16):
            got += len(data)

    with Wire(serve) as wire:
        with pytest.raises(SourceChanged):
            http.send("PUT", wire.url, body=source.chunk(1, 0, size), what="put")
        for thread in wire._threads[1:]:
            thread.join(10)
    assert got < size
