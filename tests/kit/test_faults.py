"""The relay passes everything, and stages the faults that it is told to."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from vvos_core import Http, SourceChanged, Unavailable
from vvos_core.testing.doubles import Misread, Piece
from vvos_core.testing.faults import Refusing, Relay


class Echo:
    """A service that reads to the end of a request's side, notes it, and answers it once more."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            with link:
                got = b""
                while not got.endswith(b"!") and (block := link.recv(1 << 16)):
                    got += block
                self.got.append(got)
                with suppress(ConnectionError):
                    link.sendall(got)


@pytest.fixture
def echo() -> Iterator[Echo]:
    service = Echo()
    yield service
    service.stop()


def say(relay: Relay, text: bytes) -> bytes:
    """What comes back for ``text``, before the other side hangs up."""
    host, _, port = relay.address.rpartition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=10) as link, suppress(ConnectionError):
        link.sendall(text)
        while block := link.recv(1 << 16):
            answer += block
    return answer


def test_it_passes_all(echo: Echo) -> None:
    text = b"\r\n".join([b"x" * 300_000, "你好".encode(), b"!"])
    with Relay(echo.address) as relay:
        assert say(relay, text) == text


def test_it_loses_an_answer_when_the_service_has_acted(echo: Echo) -> None:
    with Relay(echo.address) as relay:
        relay.lose_answers()
        assert say(relay, b"do it!") == b""
        assert echo.got == [b"do it!"]
        assert relay.lost == 1
        relay.pass_all()
        assert say(relay, b"again!") == b"again!"


def test_it_cuts_a_request_and_the_service_is_through_before_the_client_knows(echo: Echo) -> None:
    with Relay(echo.address) as relay:
        relay.cut_after(5)
        assert say(relay, b"0123456789!") == b""
        assert echo.got == [b"01234"]


def test_it_adds_headers_behind_the_first_line_and_only_there(echo: Echo) -> None:
    with Relay(echo.address) as relay:
        relay.add_headers({"X-A": "1", "X-B": "2"})
        body = b"a line\r\n" * 30_000 + b"!"
        assert say(relay, b"PUT /a HTTP/1.1\r\nHost: x\r\n\r\n" + body) == (
            b"PUT /a HTTP/1.1\r\nX-A: 1\r\nX-B: 2\r\nHost: x\r\n\r\n" + body
        )


def test_a_fault_ends_the_connections_that_stand() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        with Relay(f"{host}:{port}") as relay:
            mine, theirs = _pair(relay, server)
            with mine, theirs:
                mine.sendall(b"hello")
                assert theirs.recv(5) == b"hello"
                relay.lose_answers()
                assert _hears(mine) == _hears(theirs) == b""


def _pair(relay: Relay, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection through the relay."""
    host, _, port = relay.address.rpartition(":")
    mine = socket.create_connection((host, int(port)), timeout=10)
    theirs, _ = server.accept()
    theirs.settimeout(10)
    return mine, theirs


def _hears(link: socket.socket) -> bytes:
    with suppress(ConnectionError):
        return link.recv(10)
    return b""


def test_a_service_that_is_not_there_hangs_up(echo: Echo) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nowhere = f"127.0.0.1:{unused.getsockname()[1]}"
    with Relay(echo.address) as relay:
        relay.aim(nowhere)
        assert say(relay, b"hello!") == b""


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_refusing_service_answers_every_request(method: str) -> None:
    http = Http()
    with Refusing(503) as refusing, Relay(refusing.address) as relay:
        body = Piece(bytes(300_000)) if method == "PUT" else None
        answer = http.send(method, f"http://{relay.address}/a", body=body, what="asking")
        assert (answer.status, answer.body) == (503, b"")
    with pytest.raises(Unavailable):
        http.send(method, f"http://{relay.address}/a", what="asking")
    http.close()


def test_a_chunk_that_grew_is_found_out_before_its_end_leaves() -> None:
    """The last of the granted bytes would make the request whole, and the service would store it."""
    http, got = Http(), b""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with pytest.raises(SourceChanged, match="more bytes"):
            http.send("PUT", url, body=Misread(b"x" * 1000, b"x" * 1001), what="storing")
        http.close()
        link, _ = server.accept()
        with link, suppress(ConnectionError):
            while block := link.recv(1 << 16):
                got += block
    assert got.startswith(b"PUT / ")
    assert len(got.partition(b"\r\n\r\n")[2]) < 1000
