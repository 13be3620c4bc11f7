"""A client of VVOS and a backend that knows only Qiniu: it answers an upload token as accessToken, and keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from qiniu import Auth  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_qiniu.emulator import QiniuEmulator

from vvos_core import VVOS


class Backend:
    """gettoken and notifier as the published protocol has them; nothing is there before."""

    def __init__(self, emulator: QiniuEmulator) -> None:
        info = emulator.info
        auth = Auth(info["access_key"], info["secret_key"])
        self.told: list[dict[str, Any]] = []
        backend = self

        def answer(path: str, body: dict[str, Any]) -> dict[str, Any]:
            if path == "/gettoken":
                keys = {key: f"从/{key}" for key in body["keys"]}
                (server_key,) = keys.values()
                return {"accessToken": auth.upload_token(info["bucket"], server_key), "keys": keys}
            if path == "/exists":
                return {"success": True, "code": "SUCCESS"}
            backend.told.append(body)
            objects = [{"key": key, "url": f"https://cdn/{key}"} for key in body["keys"]]
            return {"code": "SUCCESS", "objects": objects, "success": True}

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name is http.server's
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                reply = json.dumps(answer(self.path, body)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def backend(qiniu_emulator: QiniuEmulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("QINIU_ENDPOINT", qiniu_emulator.info["endpoint"])
    made = Backend(qiniu_emulator)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.mark.parametrize("size", [0, 5, 4 * 1024 * 1024, 9 * 1024 * 1024 + 1])
def test_a_file_gets_there(
    backend: Backend, qiniu_emulator: QiniuEmulator, data: Callable[[int], bytes], tmp_path: Path, size: int
) -> None:
    content = data(size)
    path = tmp_path / "照片 1.jpg"
    path.write_bytes(content)
    calls = {name: f"{backend.url}/{name}" for name in ("gettoken", "exists", "notifier")}
    upload = VVOS(api={**calls, "provider": "qiniu"})
    upload.add_files([(str(path), path.name)])
    (result,) = upload.submit()
    assert result.ok, result
    assert (result.key, result.url) == ("从/照片 1.jpg", "https://cdn/从/照片 1.jpg")
    assert b"".join(qiniu_emulator.read(result.key)) == content
    assert backend.told[0]["keys"] == ["从/照片 1.jpg"]
