"""The fault proxy passes everything as it is, and stages each fault for just the requests that it is staged for."""

from __future__ import annotations

import hashlib
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate

import pytest
import requests
from hypothesis import given, settings, strategies as st

from vvos_core import Http, SourceChanged
from vvos_core.testing.doubles import Misread, content
from vvos_core.testing.faults import (
    Fault,
    FaultProxy,
    Gate,
    add_headers,
    answer,
    answer_after,
    cut,
    duplicate,
    garbage,
    hold,
    refuse,
    reset,
    stall,
    swallow,
    throttle,
    truncate,
)
from vvos_core.testing.server import BodyCut, LocalServer, Request, Response

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


class Service:
    """Answers each request with what it got, and keeps the digests of whole bodies and the lengths of broken ones."""

    def __init__(self) -> None:
        self.whole: list[tuple[str, str, str]] = []
        self.broken: list[int] = []
        self.hosts: list[str | None] = []
        self.added: list[str | None] = []
        self.refuse_early = False
        self._server = LocalServer("127.0.0.1", 0, self._answer, "echo")
        self.url = self._server.url
        self.start, self.stop = self._server.start, self._server.stop

    def _answer(self, request: Request) -> Response:
        if self.refuse_early:
            return Response(403, body=b"early")
        self.hosts.append(request.headers.get("host"))
        self.added.append(request.headers.get("x-added"))
        body = b""
        try:
            while block := request.body.read(1 << 16):
                body += block
        except BodyCut:
            self.broken.append(len(body))
            return Response(400)
        target = request.path + (f"?{request.query}" if request.query else "")
        self.whole.append((request.method, target, hashlib.sha256(body).hexdigest()))
        return Response(200, [("X-Odd-Case", "你".encode().decode("latin-1")), ("X-Length", str(len(body)))], body)


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    running.start()
    yield running
    running.stop()


@pytest.fixture
def proxy(service: Service) -> Iterator[FaultProxy]:
    with FaultProxy(service.url) as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        yield made


BODY = content(300_000)


# ── what passes ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_passes_all_over_one_connection(proxy: FaultProxy, service: Service, session: requests.Session) -> None:
    for number in range(3):
        told = session.put(f"{proxy.url}/目录/a%2Fb//{number}?q=%20+&x", data=BODY, timeout=10)
        assert (told.status_code, told.content, told.headers["X-Length"]) == (200, BODY, "300000")
        assert list(told.headers)[2] == "X-Odd-Case"
    assert [target for _, target, _ in service.whole] == [
        f"/%E7%9B%AE%E5%BD%95/a%2Fb//{number}?q=%20+&x" for number in range(3)
    ]
    assert service.hosts == [proxy.address] * 3, "Host is what signatures cover"
    assert [(seen.method, seen.path, seen.body, seen.status, seen.fault) for seen in proxy.log] == [
        ("PUT", f"/%E7%9B%AE%E5%BD%95/a%2Fb//{number}", 300_000, 200, "") for number in range(3)
    ]


def test_chunked_bodies_and_heads_and_nothing_at_all(
    proxy: FaultProxy, service: Service, session: requests.Session
) -> None:
    told = session.post(f"{proxy.url}/c", data=iter([BODY[:1000], BODY[1000:]]), timeout=10)
    assert told.content == BODY
    told = session.head(f"{proxy.url}/h", timeout=10)
    assert (told.status_code, told.content, told.headers["Content-Length"]) == (200, b"", "0")
    assert session.get(f"{proxy.url}/g", timeout=10).content == b""
    assert [seen.body for seen in proxy.log] == [300_000, 0, 0]


def test_leave_to_continue_comes_from_the_service(proxy: FaultProxy, service: Service) -> None:
    host, port = proxy.address.split(":")
    head = b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(head)
        assert link.recv(100).startswith(b"HTTP/1.1 100 ")
        link.sendall(b"hello")
        assert link.recv(1000).startswith(b"HTTP/1.1 200 ")
    service.refuse_early = True
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(head)
        assert link.recv(100).startswith(b"HTTP/1.1 403 "), "no leave, and the body is never sent"


def test_an_early_answer_is_passed_while_the_body_still_comes(proxy: FaultProxy, service: Service) -> None:
    service.refuse_early = True
    link = http.client.HTTPConnection(proxy.address, timeout=10)
    link.putrequest("PUT", "/a")
    link.putheader("Content-Length", "1000000")
    link.endheaders(b"x" * 10)
    told = link.getresponse()
    assert (told.status, told.read()) == (403, b"early")
    link.close()


@pytest.fixture(scope="module")
def through() -> Iterator[FaultProxy]:
    """A proxy that many examples share."""
    service = Service()
    service.start()
    with FaultProxy(service.url) as proxy:
        yield proxy
    service.stop()


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(0, 200_000), min_size=1, max_size=4), chunked=st.booleans())
def test_any_bodies_pass_whole(through: FaultProxy, sizes: list[int], chunked: bool) -> None:
    with requests.Session() as session:
        session.trust_env = False
        for number, size in enumerate(sizes):
            body = content(size, number)
            data = iter([body]) if chunked and body else body
            assert session.put(through.url, data=data, timeout=10).content == body
            assert through.log[-1].body == size


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("resets", [False, True])
@pytest.mark.parametrize("after", [0, 20, 100_000])
def test_a_request_is_cut_and_the_service_is_through_before_the_client_knows(
    proxy: FaultProxy, service: Service, session: requests.Session, after: int, resets: bool
) -> None:
    proxy.stage(cut(after, resets=resets), "PUT")
    with pytest.raises(requests.ConnectionError) as caught:
        session.put(f"{proxy.url}/a", data=BODY, timeout=10)
    if resets and after > 1000:
        assert "reset" in str(caught.value) or "Broken pipe" in str(caught.value)
    assert service.whole == []
    assert len(service.broken) == (after > 1000)
    assert all(0 < got < 100_000 for got in service.broken)
    assert session.put(f"{proxy.url}/a", data=BODY, timeout=10).content == BODY
    assert proxy.played == ["cut"]


@pytest.mark.parametrize("fault", [swallow(), swallow(resets=True), truncate(0), truncate(10), reset(0), reset(70_000)])
def test_an_answer_is_lost_when_the_service_has_acted(
    proxy: FaultProxy, service: Service, session: requests.Session, fault: Fault
) -> None:
    proxy.stage(fault, "PUT")
    with pytest.raises(BROKEN):
        session.put(f"{proxy.url}/a", data=BODY, timeout=10)
    assert [method for method, _, _ in service.whole] == ["PUT"]
    assert session.put(f"{proxy.url}/a", data=BODY, timeout=10).content == BODY
    assert [seen.status for seen in proxy.log] == [200, 200], "what the service said"


def test_a_truncated_answer_gives_so_many_bytes(proxy: FaultProxy) -> None:
    proxy.stage(truncate(30))
    host, port = proxy.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
        got = b""
        while block := link.recv(1000):
            got += block
    assert len(got) == 30
    assert got.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
@pytest.mark.parametrize("chunked", [False, True])
def test_it_answers_by_itself(
    proxy: FaultProxy, service: Service, session: requests.Session, status: int, chunked: bool
) -> None:
    date = formatdate(usegmt=True)
    proxy.stage(answer(status, retry_after=7, headers={"X-A": "b"}))
    proxy.stage(answer(status, retry_after=date))
    data = iter([BODY]) if chunked else BODY
    told = session.put(f"{proxy.url}/a", data=data, timeout=10)
    assert (told.status_code, told.headers["Retry-After"], told.headers["X-A"]) == (status, "7", "b")
    assert session.get(f"{proxy.url}/a", timeout=10).headers["Retry-After"] == date
    assert service.whole == []
    assert [seen.status for seen in proxy.log] == [0, 0]
    assert session.get(f"{proxy.url}/a", timeout=10).status_code == 200


def test_it_answers_a_failure_after_the_service_has_acted(
    proxy: FaultProxy, service: Service, session: requests.Session
) -> None:
    proxy.stage(answer_after(500))
    assert session.put(f"{proxy.url}/a", data=BODY, timeout=10).status_code == 500
    assert len(service.whole) == 1


def test_garbage_is_no_http(proxy: FaultProxy, service: Service, session: requests.Session) -> None:
    proxy.stage(garbage())
    with pytest.raises(requests.ConnectionError):
        session.put(f"{proxy.url}/a", data=BODY, timeout=10)
    assert len(service.whole) == 1


@pytest.mark.parametrize("size", [0, 5, 3_000_000])
def test_a_request_is_sent_twice_and_its_second_answer_counts(
    proxy: FaultProxy, service: Service, session: requests.Session, size: int
) -> None:
    body = content(size)
    proxy.stage(duplicate(), "PUT")
    assert session.put(f"{proxy.url}/a?b", data=body, timeout=10).content == body
    assert service.whole == [("PUT", "/a?b", hashlib.sha256(body).hexdigest())] * 2
    assert [seen.body for seen in proxy.log] == [size]


def test_a_service_that_goes_away_refuses_until_it_is_back(proxy: FaultProxy, session: requests.Session) -> None:
    proxy.stage(refuse(), nth=2)
    assert session.get(proxy.url, timeout=10).status_code == 200
    with pytest.raises(requests.ConnectionError):
        session.get(proxy.url, timeout=10)
    host, port = proxy.address.split(":")
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=10)
    proxy.pass_all()
    assert session.get(proxy.url, timeout=10).status_code == 200


def test_headers_are_added_where_they_are_staged(
    proxy: FaultProxy, service: Service, session: requests.Session
) -> None:
    proxy.stage(add_headers({"X-Added": "1"}), times=None)
    for _ in range(2):
        assert session.put(proxy.url, data=BODY, timeout=10).content == BODY
    proxy.pass_all()
    session.get(proxy.url, timeout=10)
    assert service.added == ["1", "1", None]


@pytest.mark.parametrize("at", ["request", "answer"])
def test_a_held_request_waits_for_its_gate(proxy: FaultProxy, service: Service, at: str) -> None:
    gate = Gate()
    proxy.stage(hold(gate, "answer" if at == "answer" else "request"))
    told: list[int] = []

    def ask() -> None:
        with requests.Session() as session:
            session.trust_env = False
            told.append(session.get(proxy.url, timeout=30).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    assert gate.reached.wait(10)
    assert (len(service.whole), told) == (1 if at == "answer" else 0, [])
    gate.open()
    thread.join(10)
    assert told == [200]


@pytest.mark.parametrize("end", ["pass_all", "close"])
@pytest.mark.parametrize("at", ["request", "answer"])
def test_a_stall_lasts_until_it_is_ended(service: Service, session: requests.Session, at: str, end: str) -> None:
    before = threads("fault-proxy")
    with FaultProxy(service.url) as proxy:
        proxy.stage(stall("answer" if at == "answer" else "request"), times=None)
        with pytest.raises((requests.ReadTimeout, requests.ConnectionError)):
            session.put(f"{proxy.url}/a", data=content(20_000_000 if at == "request" else 10), timeout=0.2)
        assert proxy.played == [f"stall {at}"]
        assert len(service.whole) == (at == "answer")
        assert threads("fault-proxy") == before + 2
        getattr(proxy, end)()
    assert threads("fault-proxy") == before


def threads(prefix: str) -> int:
    return sum(thread.name.startswith(prefix) for thread in threading.enumerate())


def test_throttled_bytes_take_their_time(proxy: FaultProxy, session: requests.Session) -> None:
    proxy.stage(throttle(100_000))
    start = time.monotonic()
    assert session.put(f"{proxy.url}/a", data=BODY[:20_000], timeout=10).content == BODY[:20_000]
    assert time.monotonic() - start > 0.4


# ── the schedule ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fault_is_for_those_that_fit_from_the_nth_on(proxy: FaultProxy, session: requests.Session) -> None:
    proxy.stage(answer(500), "PUT", r"\?part=\d$", nth=2, times=2)
    proxy.stage(answer(429), header=("x-who", "^me"), times=None)
    proxy.stage(answer(502), target="/密".encode().hex())
    told = [
        session.request(method, f"{proxy.url}{target}", headers={"X-Who": who}, timeout=10).status_code
        for method, target, who in [
            ("PUT", "/a?part=1", ""),
            ("GET", "/a?part=1", ""),
            ("PUT", "/a?part=2", "me"),
            ("PUT", "/a?part=12", "me too"),
            ("PUT", "/a?part=3", "you"),
            ("PUT", "/a?part=4", "not me"),
            ("PUT", "/a?part=4", "me"),
        ]
    ]
    assert told == [200, 200, 500, 429, 500, 200, 429]
    assert proxy.played == ["answer 500", "answer 429", "answer 500", "answer 429"]


def test_of_two_that_fit_the_first_goes_first(proxy: FaultProxy, session: requests.Session) -> None:
    proxy.stage(answer(500))
    proxy.stage(answer(502))
    assert [session.get(proxy.url, timeout=10).status_code for _ in range(3)] == [500, 502, 200]


def test_a_service_that_is_not_there_hangs_up(session: requests.Session) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nowhere = f"127.0.0.1:{unused.getsockname()[1]}"
    with FaultProxy(nowhere) as proxy, pytest.raises(requests.ConnectionError):
        session.get(proxy.url, timeout=10)


def test_what_is_no_http_is_hung_up_on(proxy: FaultProxy) -> None:
    host, port = proxy.address.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        link.sendall("\x16\x03\x01 你好\r\n\r\n".encode())
        assert link.recv(100) == b""
    assert proxy.log == []


def test_many_at_once_get_each_their_own(service: Service, proxy: FaultProxy) -> None:
    proxy.stage(answer(503), "PUT", times=10)
    told: list[int] = []

    def work(number: int) -> None:
        with requests.Session() as session:
            session.trust_env = False
            for _ in range(5):
                got = session.put(proxy.url, data=content(50_000, number), timeout=10)
                told.append(got.status_code)
                assert got.content in (b"", content(50_000, number))

    with ExitStack() as stack:
        for number in range(8):
            thread = threading.Thread(target=work, args=(number,))
            thread.start()
            stack.callback(thread.join)
    assert sorted(told) == [200] * 30 + [503] * 10
    assert len(service.whole) == 30


def test_a_chunk_that_grew_is_found_out_before_its_end_leaves(service: Service, proxy: FaultProxy) -> None:
    """The last of the granted bytes would make the request whole, and the service would store it."""
    client = Http()
    with pytest.raises(SourceChanged, match="more bytes"):
        client.send("PUT", proxy.url, body=Misread(b"x" * 1000, b"x" * 1001), what="storing")
    client.close()
    proxy.close()
    service.stop()
    assert service.whole == []
    assert all(got < 1000 for got in service.broken)
