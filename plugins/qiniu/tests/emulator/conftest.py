"""Fixtures of the emulator's own tests: the official SDK, set up for it, and a client that sends what it is told."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import pytest
import qiniu  # type: ignore[import-untyped,unused-ignore]  # ships no types
from qiniu import config
from qiniu.http import regions_provider  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_qiniu.emulator import QiniuEmulator


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


class Raw:
    """Sends exactly what it is told, with tokens of the emulator's keys."""

    def __init__(self, emulator: QiniuEmulator) -> None:
        info = emulator.info
        self.emulator = emulator
        self.netloc = urlsplit(info["endpoint"]).netloc
        self.bucket = info["bucket"]
        self.auth = qiniu.Auth(info["access_key"], info["secret_key"])

    def token(self, key: str | None = None, **policy: object) -> str:
        """An upload token whose policy may be anything."""
        values = {"deadline": int(self.emulator.clock()) + 600, **policy}
        made: str = self.auth.upload_token(self.bucket, key, policy=values, strict_policy=False)
        return made

    def send(self, method: str, target: str, body: bytes = b"", *, token: str | None = None, **headers: str) -> Reply:
        """One request; names of headers have ``_`` for ``-``."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            fields["Authorization"] = f"UpToken {token}"
        connection = http.client.HTTPConnection(self.netloc, timeout=10)
        try:
            connection.request(method, target, body, fields)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def managed(self, method: str, target: str, body: bytes = b"", *, kind: str = "QBox") -> Reply:
        """One request with a management signature."""
        form = "application/x-www-form-urlencoded"
        url = f"http://{self.netloc}{target}"
        if kind == "QBox":
            signed = self.auth.token_of_request(url, body.decode(), form)
        else:
            mac = qiniu.QiniuMacAuth(self.auth.get_access_key(), self.auth.get_secret_key())
            signed = mac.token_of_request(method, self.netloc, url, "", form, body.decode())
        return self.send(method, target, body, Authorization=f"{kind} {signed}", Content_Type=form)

    def form(
        self,
        fields: Mapping[str, str],
        file: bytes | None = b"hello",
        *,
        last: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply:
        """A form upload, the fields of ``last`` after the file."""

        def field(name: str, value: bytes, more: str = "") -> bytes:
            head = f'--frame\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
            return head.encode() + value + b"\r\n"

        body = b"".join(field(name, value.encode()) for name, value in fields.items())
        if file is not None:
            body += field("file", file, '; filename="a.txt"')
        body += b"".join(field(name, value.encode()) for name, value in last.items())
        return self.send("POST", "/", body + b"--frame--\r\n", Content_Type="multipart/form-data; boundary=frame")

    def parts(self, key: str | None, upload: str = "", number: object = "") -> str:
        """The path of a v2 call."""
        name = "~" if key is None else encoded(key)
        path = f"/buckets/{self.bucket}/objects/{name}/uploads"
        return path + (f"/{upload}" if upload else "") + (f"/{number}" if number != "" else "")

    def begin(self, key: str | None, token: str) -> str:
        """The id of a new v2 upload."""
        reply = self.send("POST", self.parts(key), token=token)
        assert reply.status == 200, reply
        return str(reply.json["uploadId"])


def encoded(text: str) -> str:
    """Url-safe base64."""
    return base64.urlsafe_b64encode(text.encode()).decode()


@pytest.fixture
def raw(qiniu_emulator: QiniuEmulator) -> Raw:
    return Raw(qiniu_emulator)


@pytest.fixture
def later(qiniu_emulator: QiniuEmulator) -> Callable[[float], None]:
    """Moves the emulator's clock by so many seconds."""

    def move(seconds: float) -> None:
        qiniu_emulator.clock = lambda: time.time() + seconds

    return move


@pytest.fixture
def sdk(qiniu_emulator: QiniuEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[qiniu.Auth]:
    """The official SDK, unmodified: its uc host is the emulator, its caches are this test's own."""
    info = qiniu_emulator.info
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scope = regions_provider._global_cache_scope
    fresh = scope._replace(memo_cache={}, persist_path=str(tmp_path / "regions.jsonl"))
    monkeypatch.setattr(regions_provider, "_global_cache_scope", fresh)
    # Where it keeps the progress of uploads was decided when it was imported: the folder that all programs share.
    monkeypatch.setattr(qiniu.UploadProgressRecorder.__init__, "__defaults__", (str(tmp_path),))
    before, customized = dict(config._config), dict(config._is_customized_default)
    qiniu.set_default(default_uc_host=info["endpoint"], connection_retries=1)
    yield qiniu.Auth(info["access_key"], info["secret_key"], True)
    config._config.update(before)
    config._is_customized_default.update(customized)


@pytest.fixture
def manager(sdk: qiniu.Auth) -> Any:
    return qiniu.BucketManager(sdk)


@pytest.fixture
def file(tmp_path: Path) -> Callable[[bytes], str]:
    """The path of a file with these bytes."""

    def make(content: bytes) -> str:
        path = tmp_path / "文件.bin"
        path.write_bytes(content)
        return str(path)

    return make
