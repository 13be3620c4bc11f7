"""Callbacks: the business hears of an upload, only on this machine, and its answer is the client's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
import qiniu  # type: ignore[import-untyped,unused-ignore]  # ships no types

B = "vvos"


class Business:
    """A program of the business on this machine."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, dict[str, str]]] = []
        self.status, self.answer = 200, b'{"taken":true}'
        business = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name is http.server's
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                business.heard.append((self.path, body, dict(self.headers)))
                self.send_response(business.status)
                self.send_header("Content-Length", str(len(business.answer)))
                self.end_headers()
                self.wfile.write(business.answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/told?x=1"


@pytest.fixture
def business() -> Iterator[Business]:
    made = Business()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def put(sdk: Any, **policy: object) -> Any:
    return qiniu.put_data(
        sdk.upload_token(B, "甲 &", policy=policy), "甲 &", b"hello", params={"x:a": "1&2"}, mime_type="text/plain"
    )


def test_the_answer_of_the_business_is_the_clients(sdk: Any, business: Business) -> None:
    told, answer = put(sdk, callbackUrl=business.url, callbackBody="key=$(key)&hash=$(etag)&a=$(x:a)")
    assert told == {"taken": True}, answer
    ((path, body, headers),) = business.heard
    assert path == "/told?x=1"
    assert body == "key=%E7%94%B2+%26&hash=Fqr0xh3cxeii2r7eDztILNmuqUNN&a=1%262"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert sdk.verify_callback(headers["Authorization"], business.url, body)


def test_a_body_of_json(sdk: Any, business: Business) -> None:
    body = '{"key":$(key),"vars":{"a":$(x:a)},"size":$(fsize)}'
    put(sdk, callbackUrl=business.url, callbackBody=body, callbackBodyType="application/json")
    assert business.heard[0][1] == '{"key":"甲 &","vars":{"a":"1&2"},"size":5}'
    assert business.heard[0][2]["Content-Type"] == "application/json"


def test_the_next_address_is_called_when_one_fails(sdk: Any, business: Business) -> None:
    told, _ = put(sdk, callbackUrl=f"http://127.0.0.1:1/;{business.url}", callbackBody="k=$(key)")
    assert told == {"taken": True}


@pytest.mark.parametrize(("status", "answer"), [(500, b"{}"), (200, b"no json"), (302, b"{}")])
def test_a_failed_callback_is_579_and_the_object_is_there(
    sdk: Any, manager: Any, business: Business, status: int, answer: bytes
) -> None:
    business.status, business.answer = status, answer
    told, info = put(sdk, callbackUrl=business.url, callbackBody="k=$(key)")
    assert (told, info.status_code) == (None, 579)
    assert "callback failed" in info.error
    assert manager.stat(B, "甲 &")[0]["fsize"] == 5


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/x",
        "http://example.com/x",
        "http://127.0.0.1@192.0.2.1/x",
        "http://u@127.0.0.1/x",
        "http://[::ffff:192.0.2.1]/",
        "file:///etc/passwd",
        "http://localhost.example.com/",
        "",
    ],
)
def test_nobody_outside_this_machine_is_called(
    sdk: Any, manager: Any, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    from vvos_qiniu.emulator import callbacks

    # The SDK has sessions too, so only the name in that module is taken.
    monkeypatch.setattr(callbacks, "requests", SimpleNamespace(Session=lambda: pytest.fail("somebody was called")))
    _, info = put(sdk, callbackUrl=url or ";", callbackBody="k=$(key)")
    assert info.status_code == 579
    assert manager.stat(B, "甲 &")[0]["fsize"] == 5
