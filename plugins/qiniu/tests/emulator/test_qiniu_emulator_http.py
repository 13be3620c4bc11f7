"""The emulator as a server: downloads, signatures, records, many of them, and what is left when it stops."""

from __future__ import annotations

import http.client
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import qiniu  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_qiniu.emulator import QiniuEmulator

from .conftest import Raw, encoded


def put(raw: Raw, key: str, content: bytes = b"hello", more: Mapping[str, str] = MappingProxyType({})) -> None:
    assert raw.form({"token": raw.token(key), "key": key, **more}, content).status == 200


@pytest.mark.parametrize(
    ("said", "status", "body"),
    [
        ("", 200, b"hello"),
        ("bytes=1-3", 206, b"ell"),
        ("bytes=3-", 206, b"lo"),
        ("bytes=-2", 206, b"lo"),
        ("bytes=0-99", 206, b"hello"),
        ("bytes=5-", 416, b""),
        ("lines=1-2", 200, b"hello"),
    ],
)
def test_downloads_whole_and_in_ranges(raw: Raw, said: str, status: int, body: bytes) -> None:
    put(raw, "文/a b.txt", more={"x-qn-meta-who": "me"})
    reply = raw.send("GET", "/%E6%96%87/a%20b.txt", Range=said)
    assert (reply.status, reply.body) == (status, body)
    head = raw.send("HEAD", "/%E6%96%87/a%20b.txt")
    assert (head.body, head.headers["content-length"], head.headers["x-qn-meta-who"]) == (b"", "5", "me")
    assert head.headers["etag"] == '"Fqr0xh3cxeii2r7eDztILNmuqUNN"'


def test_what_is_not_there(raw: Raw) -> None:
    reply = raw.send("GET", "/nothing")
    assert (reply.status, reply.error) == (404, "Document not found")
    assert raw.send("POST", "/nothing").status == 401
    assert raw.managed("POST", "/nothing").status == 404
    assert raw.send("POST", "/nothing", token=raw.token("a")).status == 404
    assert raw.send("GET", "/v4/query?ak=other&bucket=vvos").status == 612
    assert raw.send("GET", f"/v4/query?ak={raw.auth.get_access_key()}&bucket=nobody").status == 631


def test_a_private_bucket_wants_signed_urls() -> None:
    with QiniuEmulator(private=True) as emulator:
        raw = Raw(emulator)
        put(raw, "a b")
        url = raw.auth.private_download_url(f"{emulator.info['endpoint']}/a%20b", expires=60)
        target = url.removeprefix(emulator.info["endpoint"])
        assert raw.send("GET", target).body == b"hello"
        assert b"".join(emulator.read("a b")) == b"hello"
        assert raw.send("GET", "/a%20b").status == 401
        assert raw.send("GET", target.replace("a%20b", "c")).error == "bad token"
        assert raw.send("GET", target.replace("?e=", "?e=9")).error == "bad token"
        emulator.clock = lambda: time.time() + 61
        assert raw.send("GET", target).error == "token out of date"


@pytest.mark.parametrize("kind", ["QBox", "Qiniu"])
def test_both_kinds_of_management_signatures(raw: Raw, kind: str) -> None:
    put(raw, "a")
    assert raw.managed("GET", f"/stat/{encoded('vvos:a')}", kind=kind).json["fsize"] == 5
    body = f"op=/stat/{encoded('vvos:a')}&op=stat/{encoded('vvos:b')}".encode()
    reply = raw.managed("POST", "/batch", body, kind=kind)
    assert (reply.status, [item["code"] for item in reply.json]) == (298, [200, 612])
    assert raw.managed("POST", "/batch", b"", kind=kind).status == 400
    assert raw.managed("POST", "/batch", b"op=/stat/x", kind=kind).status == 298


def test_metadata_can_be_changed(raw: Raw) -> None:
    put(raw, "a", more={"x-qn-meta-old": "1"})
    entry = encoded("vvos:a")
    assert raw.managed("POST", f"/chgm/{entry}/x-qn-meta-new/{encoded('乙')}").status == 200
    told = raw.managed("GET", f"/stat/{entry}").json
    assert (told["x-qn-meta"], told["mimeType"]) == ({"new": "乙"}, "text/plain")
    assert raw.managed("POST", f"/chgm/{entry}").status == 400


def test_a_signed_date_has_to_be_near(raw: Raw, later: Callable[[float], None]) -> None:
    put(raw, "a")
    target = f"/stat/{encoded('vvos:a')}"
    mac = qiniu.QiniuMacAuth(raw.auth.get_access_key(), raw.auth.get_secret_key())

    def send() -> int:
        date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        signed = mac.token_of_request("GET", raw.netloc, f"http://{raw.netloc}{target}", f"X-Qiniu-Date: {date}", "f/f")
        return raw.send("GET", target, Authorization=f"Qiniu {signed}", X_Qiniu_Date=date, Content_Type="f/f").status

    assert send() == 200
    later(14 * 60)
    assert send() == 200
    later(16 * 60)
    assert send() == 403


def test_every_answer_has_the_headers_that_sdks_look_for(raw: Raw) -> None:
    for reply in (raw.send("GET", "/nothing"), raw.send("OPTIONS", "/"), raw.form({"token": "x"})):
        assert reply.headers["x-reqid"]
        assert reply.headers["access-control-allow-origin"] == "*"


def test_one_connection_serves_many_requests(raw: Raw) -> None:
    put(raw, "a")
    connection = http.client.HTTPConnection(raw.netloc, timeout=10)
    try:
        for number in range(3):
            connection.request("GET", "/a")
            answer = connection.getresponse()
            assert answer.read() == b"hello"
            mine = connection.sock
            assert mine is not None
            # What a refusal left unread is not the next request.
            connection.request("PUT", f"/buckets/vvos/objects/YQ==/uploads/x/{number}", b"GET /a HTTP/1.1\r\n\r\n" * 99)
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (401, True)
            assert connection.sock is mine
    finally:
        connection.close()


def test_a_large_body_that_is_refused_leaves_its_answer_readable(raw: Raw) -> None:
    reply = raw.send("POST", "/mkblk/4194304", bytes(4 * 1024 * 1024), token="x:y:z")
    assert (reply.status, reply.error) == (401, "bad token")


def test_a_chunked_body_is_read(raw: Raw) -> None:
    connection = http.client.HTTPConnection(raw.netloc, timeout=10)
    try:
        connection.request(
            "POST", "/mkblk/10", iter([b"hello", b"world"]), {"Authorization": f"UpToken {raw.token('a')}"}
        )
        answer = connection.getresponse()
        assert b'"offset":10' in answer.read()
    finally:
        connection.close()


def test_a_body_that_is_cut_short_stores_nothing(raw: Raw) -> None:
    connection = http.client.HTTPConnection(raw.netloc, timeout=10)
    try:
        token = raw.token("a")
        connection.putrequest("POST", "/mkblk/10")
        connection.putheader("Authorization", f"UpToken {token}")
        connection.putheader("Content-Length", "10")
        connection.endheaders(b"hello")
        assert connection.sock is not None
        connection.sock.shutdown(1)
        assert connection.getresponse().status == 400
    finally:
        connection.close()


def test_the_record_has_no_credentials(raw: Raw) -> None:
    token = raw.token("a")
    raw.send("POST", "/mkblk/1", b"x", token=token)
    raw.send("GET", f"/a?e=1&token={token}")
    shown = repr(list(raw.emulator.requests))
    assert token not in shown
    assert raw.auth.get_secret_key().decode() not in shown
    assert raw.emulator.requests[0].operation == "MakeBlock"
    assert (raw.emulator.requests[0].bytes_in, raw.emulator.requests[0].bucket) == (1, "vvos")


def test_several_stay_apart() -> None:
    with QiniuEmulator(bucket="one") as one, QiniuEmulator(bucket="two") as two:
        first, second = Raw(one), Raw(two)
        put(first, "a", b"first")
        assert second.send("GET", "/a").status == 404
        assert second.form({"token": first.token("a"), "key": "a"}).status == 401
        assert set(one.info) == {"endpoint", "access_key", "secret_key", "bucket", "region"}
        assert one.info["access_key"] != two.info["access_key"]


def test_nothing_is_left_when_it_stops(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    emulator = QiniuEmulator()
    emulator.stop()
    with pytest.raises(RuntimeError, match="not running"):
        _ = emulator.info
    emulator.start()
    raw = Raw(emulator)
    put(raw, "a")
    put(raw, "a", b"another")
    raw.send("POST", "/mkblk/5", b"hello", token=raw.token("a"))
    (folder,) = tmp_path.iterdir()
    # The first object was replaced, and its file is gone with it.
    assert len(list(folder.iterdir())) == 2
    with pytest.raises(RuntimeError, match="already running"):
        emulator.start()
    idle = http.client.HTTPConnection(raw.netloc, timeout=10)
    idle.connect()
    emulator.stop()
    idle.close()
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_told(qiniu_emulator: QiniuEmulator) -> None:
    port = int(qiniu_emulator.info["endpoint"].rpartition(":")[2])
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
        QiniuEmulator(port=port).start()


def test_the_profile_is_the_providers(qiniu_emulator: QiniuEmulator) -> None:
    from vvos_qiniu import Settings

    profile: dict[str, Any] = dict(qiniu_emulator.profile())
    assert profile.pop("provider") == "qiniu"
    assert Settings(**profile).bucket == "vvos"
