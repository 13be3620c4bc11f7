"""Clients that are slow, many, or send more than they may: they lose their connection, and the others are served."""

from __future__ import annotations

import contextlib
import json
import resource
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from vvos_core import request_token
from vvos_core.broker import app as app_module, patience
from vvos_core.broker.app import application
from vvos_core.broker.serve import BrokerServer
from vvos_core.model import MIB, Grant

from .fake import Bench

MakeBench = Callable[..., Bench]
CALL = b"POST /gettoken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
ASK = {"requestToken": request_token.make("b"), "keys": ["文"], "files": {"文": {"size": 5}}}
LIMIT = 0.3
"""Seconds that each of the times below is set to."""


@pytest.fixture
def server(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[BrokerServer]:
    for name, seconds in (("HEAD_SECONDS", LIMIT), ("BODY_SECONDS", 2 * LIMIT), ("ANSWER_SECONDS", LIMIT)):
        monkeypatch.setattr(patience, name, seconds)
    monkeypatch.setattr(app_module, "BODY_SECONDS", LIMIT)
    with BrokerServer(application(bench.broker)) as running:
        yield running


def connect(server: BrokerServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=10)


def dripped(server: BrokerServer, head: bytes, drip: bytes) -> bytes:
    """What is answered to ``head`` and then ``drip`` for as long as the server listens: it has to end."""
    answer = b""
    with connect(server) as connection, contextlib.suppress(OSError):
        connection.sendall(head)
        connection.settimeout(LIMIT / 10)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                some = connection.recv(65536)
            except TimeoutError:
                connection.sendall(drip)
                continue
            if not some:
                return answer
            answer += some
        pytest.fail("it goes on for ever")
    return answer


@pytest.mark.parametrize(
    ("head", "drip", "answer"),
    [
        (b"", b"", b""),
        (b"", b"\r\n", b""),
        (b"", b"P", b""),
        (CALL, b"X: y\r\n", b""),
        (CALL + b"X: ", b"y", b""),
        (CALL + b"Content-Length: 1000\r\n\r\n", b"", b"HTTP/1.1 408"),
        (CALL + b"Content-Length: 1000\r\n\r\n", b" ", b"HTTP/1.1 408"),
        (CALL + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", b"HTTP/1.1 408"),
        (CALL + b"Transfer-Encoding: chunked\r\n\r\n", b"0", b""),
        (CALL + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n", b"", b"HTTP/1.1 100"),
        (b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\n", b" ", b"HTTP/1.1 404"),
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"G", b"HTTP/1.1 200"),
    ],
    ids=[
        "silence",
        "empty lines",
        "a method",
        "headers",
        "a header",
        "no body",
        "a body",
        "chunks",
        "a chunk's size",
        "a body that waits to be wanted",
        "a body that nobody reads",
        "a second request",
    ],
)
def test_what_drips_is_ended(server: BrokerServer, bench: Bench, head: bytes, drip: bytes, answer: bytes) -> None:
    got = dripped(server, head, drip)
    assert got.startswith(answer)
    if b"408" in answer or b"100" in answer:
        body = json.loads(got.rpartition(b"\r\n\r\n")[2])
        assert (body["code"], body["success"]) == ("UNAVAILABLE", False)
    assert bench.fake.asked == []
    assert httpx.post(f"{server.url}/gettoken", json=ASK, trust_env=False).status_code == 200


def test_an_answer_that_nobody_takes_is_dropped(
    server: BrokerServer, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = bench.fake.token

    def token(request: Any) -> Any:
        return [
            replace(grant, data={"much": "x" * (16 * MIB)}) for grant in honest(request) if isinstance(grant, Grant)
        ]

    monkeypatch.setattr(bench.fake, "token", token)
    body = json.dumps(ASK).encode()
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(10)
        connection.connect((server.host, server.port))
        connection.sendall(CALL + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        _until(lambda: not server._server.server_state.connections and bench.fake.asked != [])
        got = 0
        with contextlib.suppress(OSError):
            while some := connection.recv(1 << 20):
                got += len(some)
    assert got < 16 * MIB


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it does not happen"


def test_thousands_that_wait_do_not_keep_others_out(bench: Bench) -> None:
    """With the real times, within which nobody is closed for being slow."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
    crowd: list[socket.socket] = []
    openings = [b"", b"P", CALL, CALL + b"Content-Length: 1000\r\n\r\n{", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"]
    with BrokerServer(application(bench.broker)) as server, httpx.Client(trust_env=False) as client:
        tracemalloc.start()
        try:
            for number in range(2000):
                connection = connect(server)
                with contextlib.suppress(OSError):
                    connection.sendall(openings[number % len(openings)])
                crowd.append(connection)
                if number % 100 == 99:
                    asked = {**ASK, "requestToken": request_token.make(str(number))}
                    fresh = httpx.post(f"{server.url}/gettoken", json=asked, trust_env=False, timeout=10)
                    assert fresh.status_code == 200
            assert len(server._server.server_state.connections) <= patience.MAX_CONNECTIONS + patience.CLOSING
            assert tracemalloc.get_traced_memory()[1] < 100 * MIB
        finally:
            tracemalloc.stop()
            for connection in crowd:
                connection.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert client.get(f"{server.url}/healthz").status_code == 200


BOMBS: dict[str, bytes] = {
    "deep lists": b"[" * 500_000,
    "deep objects": b'{"a":' * 150_000,
    "deep in a parameter": b'{"album":' + b"[" * 400_000 + b"]" * 400_000 + b"}",
    "a number of a million digits": b'{"album":' + b"9" * 900_000 + b"}",
    "a huge exponent": b'{"requestToken":"e30.e30.","keys":["a"],"files":{"a":{"size":1e999999}}}',
    "a size of many digits": b'{"requestToken":"e30.e30.","keys":["a"],"files":{"a":{"size":' + b"9" * 5000 + b"}}}",
    "a string of a megabyte": b'{"requestToken":"' + b"x" * 1_000_000 + b'","keys":["a"]}',
    "a key of a megabyte": b'{"requestToken":"e30.eyJyZXF1ZXN0SWQiOiIxIn0.","keys":["' + b"x" * 900_000 + b'"]}',
    "a name of a megabyte": b'{"' + b"x" * 1_000_000 + b'":1}',
    "escapes": b'{"keys":["' + b"\\ud83d\\ude00" * 80_000 + b'"]}',
    "half an escape": b'{"keys":["\\ud83d"]}',
    "many names": b"{" + b",".join(b'"%d":0' % n for n in range(90_000)) + b"}",
    "many keys": b'{"requestToken":"e30.e30.","keys":[' + b",".join(b'"%d"' % n for n in range(90_000)) + b"]}",
    "NaN": b'{"keys":NaN}',
}


@pytest.mark.parametrize("call", ["gettoken", "notifier"])
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_of_json_is_refused_quickly(bench: Bench, call: Any, name: str) -> None:
    start = time.process_time()
    tracemalloc.start()
    try:
        response = bench.send(call, BOMBS[name])
        assert tracemalloc.get_traced_memory()[1] < 50 * MIB
    finally:
        tracemalloc.stop()
    assert response.status in (400, 413)
    assert len(response.body) < 2000
    assert bench.fake.asked == []
    assert time.process_time() - start < 5


@pytest.mark.parametrize("field", ["requestToken", "keys", "files", "cover"])
def test_of_a_field_that_is_there_twice_the_last_one_counts_everywhere(bench: Bench, field: str) -> None:
    """So that nobody reads one and acts on the other."""
    wrong: dict[str, Any] = {"requestToken": 1, "keys": ["../x"], "files": {"文": {"size": -1}}, "cover": "no"}
    good = json.dumps({**ASK, "cover": False})
    first = f'{{"{field}": {json.dumps(wrong[field])}, {good[1:]}'
    last = f'{good[:-1]}, "{field}": {json.dumps(wrong[field])}}}'
    assert bench.send("gettoken", last.encode()).status == 400
    assert bench.fake.asked == []
    assert bench.send("gettoken", first.encode()).status == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate", "zstd", "gzip, gzip", "GZIP"])
def test_a_compressed_body_is_not_unpacked(server: BrokerServer, bench: Bench, coding: str) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": coding}
    answer = httpx.post(f"{server.url}/gettoken", content=b"\x1f\x8b" + b"\0" * 1000, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (415, "BAD_REQUEST")
    assert bench.fake.asked == []
