"""The web API over real sockets: what HTTP itself can get wrong, and that mounting changes nothing."""

from __future__ import annotations

import json
import logging
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from vvos_core import request_token
from vvos_core.broker.app import THREADS, application
from vvos_core.broker.patience import MAX_HEADER_BYTES
from vvos_core.broker.serve import BrokerServer

from .fake import Bench

MakeBench = Callable[..., Bench]
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def server(bench: Bench) -> Iterator[BrokerServer]:
    with BrokerServer(application(bench.broker)) as running:
        yield running


@pytest.fixture
def client(server: BrokerServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, trust_env=False) as made:
        yield made


def ask(*keys: str, request: str = "b") -> dict[str, Any]:
    return {
        "requestToken": request_token.make(request),
        "keys": list(keys),
        "files": {key: {"size": 5} for key in keys},
    }


def raw(server: BrokerServer, *pieces: bytes) -> bytes:
    """What the server answers to these bytes, until it closes."""
    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        for piece in pieces:
            try:
                connection.sendall(piece)
            except OSError:  # it closed, having answered
                break
        answer = b""
        while True:
            try:
                some = connection.recv(65536)
            except ConnectionResetError:  # the rest of what was sent was not read
                return answer
            if not some:
                return answer
            answer += some


def test_the_whole_way(client: httpx.Client, bench: Bench) -> None:
    granted = client.post("/gettoken", json=ask("相册/a.jpg")).json()
    bench.fake.objects["相册/a.jpg"] = (5, "")
    later = {"accessToken": granted["accessToken"], "keys": ["相册/a.jpg"]}
    assert client.post("/exists", json=later).json()["objects"][0]["exists"] is True
    answer = client.post("/notifier", json=later)
    assert answer.json()["objects"] == [{"key": "相册/a.jpg", "url": "https://fake.test/相册/a.jpg"}]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("call", ["gettoken", "exists", "notifier"])
def test_a_slash_at_the_end_is_the_same_address(client: httpx.Client, call: str) -> None:
    one, other = client.post(f"/{call}", json={}), client.post(f"/{call}/", json={})
    assert (one.status_code, one.content) == (other.status_code, other.content) == (400, one.content)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/gettoken", 405),
        ("PUT", "/exists", 405),
        ("POST", "/healthz", 405),
        ("GET", "/", 404),
        ("GET", "/healthz/", 404),
        ("POST", "/x", 404),
    ],
)
def test_other_addresses_and_methods(client: httpx.Client, method: str, path: str, status: int) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.json()["success"] is False
    assert answer.json()["code"] == ("NOT_FOUND" if status == 404 else "BAD_REQUEST")
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": ""},
        {},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/jsonp"},
        {**JSON, "Content-Encoding": "gzip"},
        {**JSON, "Content-Encoding": "identity, gzip"},
    ],
)
def test_only_plain_json_is_taken(client: httpx.Client, bench: Bench, headers: dict[str, str]) -> None:
    answer = client.post("/gettoken", content=json.dumps(ask("a")), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "BAD_REQUEST")
    assert bench.fake.asked == []


def test_json_with_a_charset_or_an_identity_is_plain_json(client: httpx.Client) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8", "Content-Encoding": "identity"}
    assert client.post("/gettoken", content=json.dumps(ask("a")), headers=headers).status_code == 200


def test_a_body_declared_too_large_is_refused_before_it_is_sent(server: BrokerServer) -> None:
    head = b"POST /gettoken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
    for length in (b"1048577", b"9" * 18, b"9" * 40):
        answer = raw(server, head + length + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413") or (len(length) == 40 and answer.startswith(b"HTTP/1.1 400"))


def test_a_body_without_a_length_is_refused_at_the_limit(server: BrokerServer, bench: Bench) -> None:
    head = b"POST /gettoken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    answer = raw(server, head, *[chunk] * 400)
    # The server answers and closes while we still send; the answer may be lost to the reset, the refusal is not.
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    assert bench.fake.asked == []


def test_the_limit_is_exact(make_bench: MakeBench) -> None:
    body = json.dumps(ask("a")).encode().ljust(5000)
    with BrokerServer(application(make_bench(max_body=5000).broker)) as server:
        url = f"{server.url}/gettoken"
        assert httpx.post(url, content=body, headers=JSON, trust_env=False).status_code == 200
        assert httpx.post(url, content=body + b" ", headers=JSON, trust_env=False).status_code == 413
        chunks = httpx.post(url, content=iter([body, b" "]), headers=JSON, trust_env=False)
        assert chunks.status_code == 413


def test_a_bomb_of_brackets_is_400(client: httpx.Client) -> None:
    answer = client.post("/gettoken", content=b'{"a":' * 200_000, headers=JSON)
    assert (answer.status_code, answer.json()["message"]) == (400, "the body is nested too deeply.")


def test_a_head_too_large_is_refused(server: BrokerServer) -> None:
    answer = raw(server, b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"y" * (2 * MAX_HEADER_BYTES))
    assert re.match(rb"HTTP/1.1 4\d\d", answer)


def test_what_is_not_http_is_refused(server: BrokerServer) -> None:
    assert raw(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").startswith(b"HTTP/1.1 400")


def test_a_client_that_goes_away_in_the_middle_harms_nobody(
    server: BrokerServer, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /gettoken HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall(head)
    assert client.get("/healthz").status_code == 200
    server.stop()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("given", ["abc-1.2_3", "x" * 64])
def test_a_sane_request_id_is_kept(client: httpx.Client, given: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "vvos.broker")
    answer = client.post("/gettoken", json={}, headers={"X-Request-ID": given})
    assert answer.headers["X-Request-ID"] == given
    assert lines(caplog)[-1]["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\tb", 'a"b', "é", None])
def test_any_other_is_replaced(client: httpx.Client, given: str | None) -> None:
    headers = {} if given is None else {"X-Request-ID": given.encode("latin-1")}
    for path in ("/gettoken", "/healthz", "/nowhere"):
        answer = client.post(path, json={}, headers=headers)  # type: ignore[arg-type]  # httpx takes bytes too
        assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "vvos.broker"]


def test_one_line_a_call_and_never_a_secret(
    client: httpx.Client, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-9f3a"
    headers = {"Authorization": f"Bearer {canary}", "Cookie": canary, "X-Request-ID": "id-1"}
    granted = client.post("/gettoken", json={**ask("a"), "password": canary}, headers=headers).json()
    client.post("/exists", json={"accessToken": granted["accessToken"], "keys": ["a"]}, headers=headers)
    client.post("/notifier", json={"accessToken": canary, "keys": ["a"]}, headers=headers)
    client.post("/gettoken", content=canary, headers={**headers, "Content-Type": "text/plain"})
    first, second, third, fourth = lines(caplog)
    assert {name: value for name, value in first.items() if name not in ("ms", "timestamp")} == {
        "event": "answered",
        "level": "info",
        "request_id": "id-1",
        "call": "gettoken",
        "who": "anyone",
        "keys": 1,
        "failed": 0,
        "code": "SUCCESS",
        "status": 200,
    }
    assert first["ms"] >= 0
    assert (second["call"], second["status"]) == ("exists", 200)
    assert (third["call"], third["status"], third["code"]) == ("notifier", 401, "BAD_TOKEN")
    assert (fourth["status"], fourth["call"]) == (415, "gettoken")
    assert canary not in caplog.text
    assert granted["accessToken"] not in caplog.text
    assert granted["grants"]["a"]["data"]["signature"] not in caplog.text


def test_health_says_whether_the_database_answers(
    client: httpx.Client, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (client.get("/healthz").status_code, client.get("/healthz").json()["database"]) == (200, "ok")

    def fails() -> None:
        from vvos_core.errors import Unavailable

        raise Unavailable("gone")

    monkeypatch.setattr(bench.ledger, "ping", fails)
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "database": "unreachable"})


def test_calls_wait_for_a_thread_and_all_are_answered(server: BrokerServer, bench: Bench) -> None:
    busy = threading.Semaphore(0)
    inside: list[int] = []
    entered = threading.Semaphore(0)
    lock = threading.Lock()

    def before(name: str) -> None:
        with lock:
            inside.append(1)
        entered.release()
        busy.acquire(timeout=10)

    bench.fake.before = before
    statuses: list[int] = []

    def call(n: int) -> None:
        answer = httpx.post(f"{server.url}/gettoken", json=ask("a", request=str(n)), timeout=30, trust_env=False)
        statuses.append(answer.status_code)

    callers = [threading.Thread(target=call, args=(n,)) for n in range(THREADS + 8)]
    for caller in callers:
        caller.start()
    for _ in range(THREADS):
        assert entered.acquire(timeout=10)
    assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200, "health does not wait behind calls"
    assert len(inside) == THREADS
    for _ in callers:
        busy.release()
    for caller in callers:
        caller.join()
    assert statuses == [200] * len(callers)


def test_cors_is_off_unless_configured(client: httpx.Client) -> None:
    answer = client.post("/gettoken", json=ask("a"), headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_cors_for_the_configured_origins(make_bench: MakeBench) -> None:
    bench = make_bench(cors_origins=("https://shop.example",))
    with (
        BrokerServer(application(bench.broker)) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        asked = {
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        good = client.options("/gettoken", headers={"Origin": "https://shop.example", **asked})
        assert good.headers["access-control-allow-origin"] == "https://shop.example"
        assert "authorization" in good.headers["access-control-allow-headers"]
        evil = client.options("/gettoken", headers={"Origin": "https://evil.example", **asked})
        assert "access-control-allow-origin" not in evil.headers
        answer = client.post("/gettoken", json={}, headers={"Origin": "https://shop.example"})
        assert answer.status_code == 400
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "X-Request-ID" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers


def test_mounted_under_a_path_it_is_the_same(bench: Bench) -> None:
    async def home(request: object) -> PlainTextResponse:
        return PlainTextResponse("shop")

    shop = Starlette(routes=[Route("/", home), Mount("/上传/up", application(bench.broker))])
    with BrokerServer(shop) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        assert client.get("/").text == "shop"
        granted = client.post("/上传/up/gettoken", json=ask("a"))
        assert granted.status_code == 200
        later = {"accessToken": granted.json()["accessToken"], "keys": ["a"]}
        assert client.post("/上传/up/exists/", json=later).status_code == 200
        assert client.get("/上传/up/healthz").status_code == 200
        assert client.get("/上传/up/openapi.json").json()["servers"] == [{"url": "/上传/up"}]
        missing = client.get("/上传/up/nowhere")
        assert (missing.status_code, missing.json()["code"]) == (404, "NOT_FOUND")


def test_it_can_stop_and_be_served_again(bench: Bench) -> None:
    app = application(bench.broker)
    for n in range(2):
        with BrokerServer(app) as server:
            answer = httpx.post(f"{server.url}/gettoken", json=ask("a", request=str(n)), trust_env=False)
            assert answer.status_code == 200
