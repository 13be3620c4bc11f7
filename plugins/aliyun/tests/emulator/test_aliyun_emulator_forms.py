"""PostObject within its policy, and callbacks, which go to the loopback only."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from vvos_aliyun.emulator import AliyunEmulator


def form(
    emulator: AliyunEmulator, *conditions: object, version: int = 1, expires: float = 60, **fields: str
) -> dict[str, str]:
    """The fields of a signed form."""
    info = emulator.info
    expiration = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + expires))
    text = json.dumps({"expiration": expiration, "conditions": [{"bucket": "vvos"}, *conditions]})
    policy = base64.b64encode(text.encode()).decode()
    if version == 1:
        digest = hmac.new(info["secret_key"].encode(), policy.encode(), hashlib.sha1).digest()
        signed = {"OSSAccessKeyId": info["access_key"], "Signature": base64.b64encode(digest).decode()}
    else:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        secret = ("aliyun_v4" + info["secret_key"]).encode()
        for word in (stamp[:8], info["region"], "oss", "aliyun_v4_request"):
            secret = hmac.new(secret, word.encode(), hashlib.sha256).digest()
        signed = {
            "x-oss-signature-version": "OSS4-HMAC-SHA256",
            "x-oss-credential": f"{info['access_key']}/{stamp[:8]}/{info['region']}/oss/aliyun_v4_request",
            "x-oss-date": stamp,
            "x-oss-signature": hmac.new(secret, policy.encode(), hashlib.sha256).hexdigest(),
        }
    return {"policy": policy, **signed, "key": "表/${filename}", **{n.replace("_", "-"): v for n, v in fields.items()}}


def send(emulator: AliyunEmulator, fields: dict[str, str], content: bytes = b"posted") -> requests.Response:
    url = f"{emulator.info['endpoint']}/vvos"
    return requests.post(url, data=fields, files={"file": ("f.js", content, "text/x")}, timeout=5)


@pytest.mark.parametrize("version", [1, 4])
def test_a_form_within_its_policy(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any, version: int) -> None:
    conditions = [["starts-with", "$key", "表/"], ["content-length-range", 1, 10], ["in", "$x-oss-meta-a", ["1", "2"]]]
    answer = send(aliyun_emulator, form(aliyun_emulator, *conditions, version=version, x_oss_meta_a="2"))
    assert (answer.status_code, answer.content) == (204, b"")
    got = aliyun_bucket.get_object("表/f.js")
    assert (got.read(), got.content_type, got.headers["x-oss-meta-a"]) == (b"posted", "text/x", "2")
    assert answer.headers["x-oss-hash-crc64ecma"] == str(got.server_crc)


def test_a_large_file_goes_through_a_form(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> None:
    content = bytes(range(256)) * 20_000 + b"\r\n--"
    assert send(aliyun_emulator, form(aliyun_emulator), content).status_code == 204
    assert aliyun_bucket.get_object("表/f.js").read() == content


@pytest.mark.parametrize(("status", "expected"), [("200", 200), ("201", 201), ("204", 204), ("500", 204)])
def test_the_status_that_was_asked_for(aliyun_emulator: AliyunEmulator, status: str, expected: int) -> None:
    answer = send(aliyun_emulator, form(aliyun_emulator) | {"success_action_status": status})
    assert answer.status_code == expected
    assert ("<PostResponse>" in answer.text) == (expected == 201)


@pytest.mark.parametrize(
    ("conditions", "changes", "content", "status", "code"),
    [
        ([["eq", "$key", "other"]], {}, b"x", 403, "AccessDenied"),
        ([["starts-with", "$key", "x"]], {}, b"x", 403, "AccessDenied"),
        ([["not-in", "$content-type", ["text/x"]]], {"content-type": "text/x"}, b"x", 403, "AccessDenied"),
        ([["content-length-range", 2, 4]], {}, b"x", 400, "EntityTooSmall"),
        ([["content-length-range", 2, 4]], {}, b"xxxxx", 400, "EntityTooLarge"),
        ([["matches", "$key", "x"]], {}, b"x", 400, "InvalidPolicyDocument"),
        ([], {"policy": "e30="}, b"x", 403, "SignatureDoesNotMatch"),
        ([], {"Signature": "x"}, b"x", 403, "SignatureDoesNotMatch"),
        ([], {"OSSAccessKeyId": "nobody"}, b"x", 403, "InvalidAccessKeyId"),
        ([], {"key": ""}, b"x", 400, "InvalidArgument"),
        ([], {"key": "/a"}, b"x", 400, "InvalidObjectName"),
        ([], {"x-oss-object-acl": "everybody"}, b"x", 400, "InvalidArgument"),
    ],
    ids=str,
)
def test_a_form_outside_its_policy(
    aliyun_emulator: AliyunEmulator,
    conditions: list[object],
    changes: dict[str, str],
    content: bytes,
    status: int,
    code: str,
) -> None:
    answer = send(aliyun_emulator, form(aliyun_emulator, *conditions) | changes, content)
    assert (answer.status_code, f"<Code>{code}</Code>" in answer.text) == (status, True), answer.text
    assert not aliyun_emulator._running.store.buckets["vvos"].objects  # type: ignore[union-attr]  # it runs


def test_a_policy_that_has_expired(aliyun_emulator: AliyunEmulator) -> None:
    assert "Policy expired" in send(aliyun_emulator, form(aliyun_emulator, expires=-1)).text


def test_a_form_does_not_replace_what_may_not_be_replaced(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> None:
    aliyun_bucket.put_object("表/f.js", b"first")
    answer = send(aliyun_emulator, form(aliyun_emulator, x_oss_forbid_overwrite="true"))
    assert (answer.status_code, aliyun_bucket.get_object("表/f.js").read()) == (409, b"first")


def test_without_a_policy_only_a_public_bucket_takes_it(aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> None:
    assert send(aliyun_emulator, {"key": "a"}).status_code == 403
    aliyun_bucket.put_bucket_acl("public-read-write")
    assert send(aliyun_emulator, {"key": "a"}).status_code == 204


def test_what_is_no_form(aliyun_emulator: AliyunEmulator) -> None:
    url = f"{aliyun_emulator.info['endpoint']}/vvos"
    for headers, body, code in (
        ({"Content-Type": "text/plain"}, b"x", "RequestIsNotMultiPartContent"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"x", "MalformedPOSTRequest"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b\r\n", "MalformedPOSTRequest"),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"--b--\r\n", "InvalidArgument"),
    ):
        answer = requests.post(url, data=body, headers=headers, timeout=5)
        assert (answer.status_code, code in answer.text) == (400, True), answer.text


class Listener:
    """A server that is told of uploads."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, bytes]] = []
        self.status, self.reply = 200, b'{"Status": "OK"}'
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.heard.append((self.headers["Host"], self.headers["Content-Type"], body))
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.reply)))
                self.end_headers()
                self.wfile.write(outer.reply)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/told"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


def encoded(**fields: str) -> str:
    return base64.b64encode(json.dumps(fields).encode()).decode()


def test_a_callback_tells_and_its_answer_goes_to_the_client(aliyun_bucket: Any, listener: Listener) -> None:
    body = "b=${bucket}&o=${object}&s=${size}&t=${mimeType}&v=${x:var}&n=${nothing}"
    headers = {
        "x-oss-callback": encoded(callbackUrl=listener.url, callbackBody=body, callbackHost="who.example.com"),
        "x-oss-callback-var": base64.b64encode(b'{"x:var": "1&2"}').decode(),
        "Content-Type": "a/b",
    }
    answer = aliyun_bucket.put_object("文 件", b"abc", headers=headers)
    assert answer.resp.read() == b'{"Status": "OK"}'
    host, kind, heard = listener.heard[0]
    assert (host, kind) == ("who.example.com", "application/x-www-form-urlencoded")
    assert heard == b"b=vvos&o=%E6%96%87%20%E4%BB%B6&s=3&t=a%2Fb&v=1%262&n="


def test_a_callback_as_json_when_parts_are_completed(aliyun_bucket: Any, listener: Listener) -> None:
    import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types

    upload = aliyun_bucket.init_multipart_upload("文").upload_id
    part = oss2.models.PartInfo(1, aliyun_bucket.upload_part("文", upload, 1, b"abc").etag)
    asked = encoded(callbackUrl=listener.url, callbackBody='{"o": ${object}}', callbackBodyType="application/json")
    aliyun_bucket.complete_multipart_upload("文", upload, [part], headers={"x-oss-callback": asked})
    assert json.loads(listener.heard[0][2]) == {"o": "文"}


@pytest.mark.parametrize(("status", "reply"), [(500, b"{}"), (200, b"no json"), (302, b"{}")])
def test_a_callback_that_fails_does_not_undo_the_object(
    aliyun_bucket: Any, listener: Listener, status: int, reply: bytes
) -> None:
    listener.status, listener.reply = status, reply
    url = aliyun_bucket.sign_url(
        "PUT", "a", 60, params={"callback": encoded(callbackUrl=listener.url, callbackBody="x")}
    )
    answer = requests.put(url, data=b"abc", timeout=5)
    assert (answer.status_code, "<Code>CallbackFailed</Code>" in answer.text) == (203, True)
    assert aliyun_bucket.get_object("a").read() == b"abc"


def test_the_next_address_is_tried(aliyun_bucket: Any, listener: Listener) -> None:
    asked = encoded(callbackUrl=f"http://127.0.0.1:1/;{listener.url}", callbackBody="x")
    aliyun_bucket.put_object("a", b"abc", headers={"x-oss-callback": asked})
    assert len(listener.heard) == 1


@pytest.mark.parametrize(
    "url", ["http://192.0.2.1/", "http://[2001:db8::1]/", "https://127.0.0.1/", "file:///etc/passwd"]
)
def test_nobody_outside_of_this_machine_is_called(
    aliyun_bucket: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[object] = []
    monkeypatch.setattr(
        "vvos_aliyun.emulator.callback.http.client.HTTPConnection", lambda *args, **more: called.append(args)
    )
    url = aliyun_bucket.sign_url("PUT", "a", 60, params={"callback": encoded(callbackUrl=url, callbackBody="x")})
    assert requests.put(url, data=b"abc", timeout=5).status_code == 203
    assert not called


@pytest.mark.parametrize("asked", ["%%%", base64.b64encode(b"[]").decode(), encoded(callbackUrl="http://127.0.0.1/")])
def test_a_callback_that_is_none_is_refused_before_anything_is_stored(aliyun_bucket: Any, asked: str) -> None:
    import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types

    with pytest.raises(oss2.exceptions.InvalidArgument):
        aliyun_bucket.put_object("a", b"abc", headers={"x-oss-callback": asked})
    assert not aliyun_bucket.object_exists("a")
