"""Brokers over real sockets: plain ones, extended ones, and those that answer as no broker should."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from vvos_core import VVOS, ApiSettings, Receipt, Result, RetryPolicy, VVOSError, hookimpl
from vvos_core.calls import Store
from vvos_core.model import Chunk, Grant, Stored
from vvos_core.plan import plan_chunks

from ..engine.cloud import Cloud, calls_of
from .uploading import data

CALLS = ("gettoken", "exists", "notifier")


class Request(msgspec.Struct):
    """A call as it came over the wire. Headers' names in small letters."""

    call: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


class Raw(msgspec.Struct):
    """An answer as it goes over the wire."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = {}
    length: int = -1
    """What Content-Length says; -1 is the truth."""


def as_json(value: object, status: int = 200, **headers: str) -> Raw:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Raw(msgspec.json.encode(value), status, {"Content-Type": "application/json", **named})


Answer = Callable[[Request, int], Raw]
"""Given the request and how often this call was made, from 1."""


class Broker(AbstractContextManager["Broker"]):
    """A server at 127.0.0.1; ``answers`` by the call's name, which is the last word of its path."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        self.answers = answers
        self.requests: list[Request] = []
        self.counts: Counter[str] = Counter()
        self.errors: list[object] = []
        """Faults of the test's own answers."""
        self.release = threading.Event()
        """Ends the silence of an answer that waits for it."""
        broker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                broker.handle(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            def handle_error(self, request: object, client_address: object) -> None:
                error = sys.exc_info()[1]
                if not isinstance(error, ConnectionError):  # a client that went away
                    broker.errors.append(error)

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.port: int = self._server.server_address[1]

    def __enter__(self) -> Broker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._thread.join(30)
        self._server.server_close()
        assert self.errors == []

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        length = int(handler.headers["Content-Length"])
        call = handler.path.partition("?")[0].rpartition("/")[2]
        headers = {name.lower(): value for name, value in handler.headers.items()}
        request = Request(call, handler.path, headers, msgspec.json.decode(handler.rfile.read(length)))
        self.requests.append(request)
        self.counts[call] += 1
        raw = self.answers[call](request, self.counts[call])
        handler.send_response(raw.status)
        for name, value in raw.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(raw.body) if raw.length < 0 else raw.length))
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.wfile.write(raw.body)

    def url(self, call: str) -> str:
        return f"http://127.0.0.1:{self.port}/api/{call}"

    def settings(self, **more: Any) -> ApiSettings:
        return ApiSettings(**{**{call: self.url(call) for call in CALLS}, "timeout": 20.0, **more})


class TokenCloud(Cloud):
    """A cloud whose client half puts with the grant's accessToken, as a plain backend's provider does."""

    def __init__(self) -> None:
        super().__init__()
        self.grants: list[Grant] = []

    def _check(self, grant: Grant) -> None:
        self.grants.append(grant)

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        if grant.multipart:
            self.uploads.setdefault(grant.upload_id, {})
        return super().put_chunk(grant, chunk)

    @hookimpl
    def complete(self, grant: Grant, receipts: Any) -> Stored:
        return super().complete(grant, receipts)


def plain(cloud: Cloud) -> dict[str, Answer]:
    """The published fields and no other; ``exists`` as its text gives none."""

    def gettoken(request: Request, count: int) -> Raw:
        return as_json({"accessToken": "up-令牌", "keys": {key: f"u/{key}" for key in request.body["keys"]}})

    def exists(request: Request, count: int) -> Raw:
        return as_json({})

    def notifier(request: Request, count: int) -> Raw:
        objects = [{"key": key, "url": f"https://cdn/{key}"} for key in request.body["keys"] if key in cloud.objects]
        return as_json({"code": "SUCCESS", "objects": objects, "success": True})

    return {"gettoken": gettoken, "exists": exists, "notifier": notifier}


def extended(cloud: Cloud) -> dict[str, Answer]:
    """All fields of the protocol."""

    def gettoken(request: Request, count: int) -> Raw:
        grants = {}
        for key in request.body["keys"]:
            size = request.body["files"][key]["size"]
            cut = plan_chunks(size, cloud.rules)
            upload_id = f"id-{key}" if cut.multipart else ""
            if cut.multipart:
                cloud.uploads.setdefault(upload_id, {})
            grants[f"e/{key}"] = {
                "provider": "cloud",
                "size": size,
                "type": request.body["files"][key]["type"],
                "cover": request.body["cover"],
                "expiresAt": 4e9,
                "multipart": cut.multipart,
                "partSize": cut.part_size,
                "uploadId": upload_id,
                "data": {"generation": cloud.generation},
            }
        return as_json(
            {
                "success": True,
                "code": "SUCCESS",
                "accessToken": f"sealed-{cloud.generation}",
                "keys": {key: f"e/{key}" for key in request.body["keys"]},
                "provider": "cloud",
                "expiresAt": 4e9,
                "grants": grants,
            }
        )

    def exists(request: Request, count: int) -> Raw:
        objects = [{"key": key, "exists": False} for key in request.body["keys"]]
        return as_json({"success": True, "code": "SUCCESS", "objects": objects})

    return {**plain(cloud), "gettoken": gettoken, "exists": exists}


def client(
    monkeypatch: pytest.MonkeyPatch,
    cloud: Cloud,
    settings: ApiSettings,
    *,
    attempts: int = 3,
    seconds: float = 300.0,
    cover: bool = False,
) -> VVOS:
    """The real client of a broker; the provider that stores is ``cloud``, whatever its name."""

    def storing(name: str) -> Store:
        return calls_of(cloud).store(name)

    monkeypatch.setattr("vvos_core.loader.storing", storing)
    return VVOS(settings, cover=cover, retry=RetryPolicy(attempts=attempts, base=0, seconds=seconds))


HTML = b"<!DOCTYPE html><title>502 Bad Gateway</title>"


def html(status: int, **headers: str) -> Raw:
    return Raw(HTML, status, {"Content-Type": "text/html; charset=utf-8", **headers})


def put(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, size: int = 5, **settings: Any) -> Result:
    """One file through ``broker``."""
    vvos = client(monkeypatch, cloud, broker.settings(**settings))
    vvos.add_files((data(size), "文件.txt"))
    [result] = vvos.submit()
    return result


def reason(result: Result) -> VVOSError:
    assert result.state == "failed"
    assert result.error is not None
    message = str(result.error)
    assert message.endswith((".", "?", "。")), message
    assert "\n" not in message
    return result.error
