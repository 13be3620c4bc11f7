"""vvos_core.connection: where an answer ends, by every rule of RFC 9112, 6.3, however it is cut into packets."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from vvos_core.connection import Connection, Garbled, Reply, TooLong

HEAD = b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n"


def answered(*pieces: bytes, bodiless: bool = False, most: int = 1000, closes: bool = False) -> Reply:
    """What is read of an answer that comes in such pieces."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    connection = Connection(ours, 5.0, most)

    def serve() -> None:
        theirs.recv(1000)
        with suppress(ConnectionError):  # of what is too long, the rest is not read
            for piece in pieces:
                theirs.sendall(piece)
        if closes:
            theirs.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        return connection.exchange(HEAD, bodiless=bodiless)
    finally:
        connection.close()
        thread.join(5)
        theirs.close()


@pytest.mark.parametrize(
    ("answer", "status", "body", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", 200, b"ok", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b"", True),
        (b"HTTP/1.1 103 Hints\r\nX: 1\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 404, b"", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Evil\r\n\r\n", 200, b"ok", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok garbage", 200, b"ok", False),
    ],
)
def test_an_answer_ends_where_it_says(answer: bytes, status: int, body: bytes, reusable: bool) -> None:
    reply = answered(answer)
    assert (reply.status, reply.body, reply.reusable, reply.whole) == (status, body, reusable, True)


@given(data=st.data())
def test_where_the_packets_end_does_not_matter(data: st.DataObject) -> None:
    answer = b"HTTP/1.1 200 OK\r\nETag: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(answer) - 1), max_size=6)))
    pieces = [answer[a:b] for a, b in zip([0, *cuts], [*cuts, len(answer)], strict=True)]
    reply = answered(*pieces)
    assert (reply.status, reply.body, reply.headers["etag"]) == (200, b"abc", "x")


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    reply = answered(b"HTTP/1.1 200 OK\r\n\r\nall of it", closes=True)
    assert (reply.body, reply.reusable) == (b"all of it", False)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_an_answer_that_lacks_its_end_is_none(answer: bytes) -> None:
    with pytest.raises(ConnectionError):
        answered(answer, closes=True)


def test_a_head_alone_is_the_answer_to_head() -> None:
    reply = answered(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", bodiless=True)
    assert (reply.status, reply.headers["content-length"], reply.body) == (200, "1000000", b"")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-server\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Other\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(answer: bytes) -> None:
    with pytest.raises(Garbled):
        answered(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + bytes(1001),
        b"HTTP/1.1 200 OK\r\n" + b"X: 1\r\n" * 30_000,
        b"HTTP/1.1 200 OK\r\nX: " + b"1" * 200_000,
    ],
)
def test_an_answer_is_not_read_for_ever(answer: bytes) -> None:
    with pytest.raises((TooLong, Garbled)):
        answered(answer[:100_000], answer[100_000:])


def test_headers_that_come_twice_are_joined() -> None:
    reply = answered(b"HTTP/1.1 200 OK\r\nVary: a\r\nvary: b\r\nContent-Length: 0\r\n\r\n")
    assert reply.headers["vary"] == "a, b"
