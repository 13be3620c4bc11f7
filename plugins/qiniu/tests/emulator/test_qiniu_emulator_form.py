"""Form upload and policies at their edges, as no SDK would send them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable

import pytest

from .conftest import Raw, encoded

PNG = b"\x89PNG\r\n\x1a\n...."


def test_fields_may_come_after_the_file(raw: Raw) -> None:
    reply = raw.form({}, b"hello", last={"token": raw.token("a"), "key": "a", "crc32": str(zlib.crc32(b"hello"))})
    assert reply.json == {"hash": "Fqr0xh3cxeii2r7eDztILNmuqUNN", "key": "a"}
    assert raw.form({"token": raw.token("a")}, b"hello", last={"key": "a", "crc32": "1"}).status == 406


@pytest.mark.parametrize(("size", "status"), [(750, 200), (751, 400)])
def test_the_longest_key(raw: Raw, size: int, status: int) -> None:
    key = "键" * 249 + "k" * (size - 747)
    assert len(key.encode()) == size
    assert raw.form({"token": raw.token(), "key": key}).status == status


def test_the_empty_key_is_a_key(raw: Raw) -> None:
    assert raw.form({"token": raw.token(""), "key": ""}).json["key"] == ""
    assert raw.form({"token": raw.token("")}).status == 403


@pytest.mark.parametrize("key", ["../../etc/passwd", "a/../b", "/a", "a\\b", "a\x00b", "..", "%2e%2e/x"])
def test_a_key_is_never_a_path(raw: Raw, key: str) -> None:
    assert raw.form({"token": raw.token(key), "key": key}, key.encode()).json["key"] == key
    stat = raw.managed("POST", f"/stat/{encoded(f'vvos:{key}')}")
    assert stat.json["fsize"] == len(key)


def test_what_is_no_form(raw: Raw) -> None:
    assert raw.form({"token": raw.token("a"), "key": "a"}, None).error == "file is not specified in multipart"
    assert raw.form({"key": "a"}).error == "token not specified"
    frame = "multipart/form-data; boundary=frame"
    for body, kind in (
        (b"x", "text/plain"),
        (b"x", frame),
        (b"", frame),
        (b"--frame\r\n\r\n", frame),
        (b"x", "multipart/form-data"),
    ):
        assert raw.send("POST", "/", body, Content_Type=kind).status == 400


def test_what_is_no_token(raw: Raw) -> None:
    good = raw.token("a")
    access_key, signature, policy = good.split(":")
    signed = raw.auth.token_with_data
    for token in (
        "x",
        "a:b:c",
        f"other:{signature}:{policy}",
        f"{access_key}:{signature}:{policy}x",
        signed("no json"),
        signed("[]"),
        signed('{"scope":1,"deadline":9999999999}'),
        signed('{"deadline":9999999999}'),
        raw.auth.token("x"),
    ):
        reply = raw.form({"token": token, "key": "a"})
        assert (reply.status, reply.error) == (401, "bad token"), token
    assert raw.form({"token": signed('{"scope":"nobody","deadline":9999999999}'), "key": "a"}).status == 631


def test_null_in_a_policy_is_nothing(raw: Raw) -> None:
    assert raw.form({"token": raw.token("a", fsizeLimit=None, saveKey=None, keylimit=None), "key": "a"}).status == 200


def test_the_deadline_is_judged_when_the_object_is_made(raw: Raw) -> None:
    token = raw.token("a", deadline=int(raw.emulator.clock()) + 60)
    keys = raw.emulator.gate._keys
    before = raw.emulator.clock
    moments = iter([before(), before() + 61])

    def clock() -> float:
        return next(moments, before() + 61)

    keys._clock = clock
    try:
        reply = raw.form({}, last={"token": token, "key": "a"})
    finally:
        keys._clock = lambda: raw.emulator.clock()
    assert (reply.status, reply.error) == (401, "expired token")


@pytest.mark.parametrize(
    ("policy", "key", "stored"),
    [
        ({"saveKey": "到/$(fname)-$(etag)"}, None, "到/a.txt-Fqr0xh3cxeii2r7eDztILNmuqUNN"),
        ({"saveKey": "x"}, "given", "given"),
        ({"saveKey": "x", "forceSaveKey": True}, "given", "x"),
        ({}, None, "Fqr0xh3cxeii2r7eDztILNmuqUNN"),
    ],
)
def test_how_an_object_gets_its_name(raw: Raw, policy: dict[str, object], key: str | None, stored: str) -> None:
    fields = {"token": raw.token(None, **policy)} | ({} if key is None else {"key": key})
    assert raw.form(fields).json["key"] == stored


@pytest.mark.parametrize(
    ("detect", "said", "content", "stored"),
    [
        (0, "video/mp4", PNG, "video/mp4"),
        (0, "application/octet-stream", PNG, "text/plain"),
        (1, "video/mp4", PNG, "image/png"),
        (1, "video/mp4", b"hello", "text/plain"),
        (-1, "application/octet-stream", PNG, "application/octet-stream"),
    ],
)
def test_which_type_an_object_gets(raw: Raw, detect: int, said: str, content: bytes, stored: str) -> None:
    frame = (
        f'--frame\r\nContent-Disposition: form-data; name="token"\r\n\r\n{raw.token("a", detectMime=detect)}\r\n'
        '--frame\r\nContent-Disposition: form-data; name="key"\r\n\r\na\r\n'
        f'--frame\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: {said}\r\n\r\n'
    ).encode()
    reply = raw.send(
        "POST", "/", frame + content + b"\r\n--frame--\r\n", Content_Type="multipart/form-data; boundary=frame"
    )
    assert reply.status == 200, reply
    assert raw.managed("GET", f"/stat/{encoded('vvos:a')}").json["mimeType"] == stored


def test_a_browser_is_sent_on(raw: Raw) -> None:
    reply = raw.form({"token": raw.token("a", returnUrl="http://x/done?y=1", returnBody='{"k":$(key)}'), "key": "a"})
    url, _, told = reply.headers["location"].partition("&upload_ret=")
    assert (reply.status, url, json.loads(base64.urlsafe_b64decode(told))) == (303, "http://x/done?y=1", {"k": "a"})


def test_twenty_keys_are_the_most_in_a_list(raw: Raw) -> None:
    for count, status in ((20, 200), (21, 400)):
        token = raw.token(None, keylimit=[f"{n}" for n in range(count)])
        assert raw.form({"token": token, "key": "0"}).status == status


def test_an_object_that_was_to_be_deleted_is_gone(raw: Raw, later: Callable[[float], None]) -> None:
    raw.form({"token": raw.token("a", deleteAfterDays=1), "key": "a"})
    assert raw.managed("GET", f"/stat/{encoded('vvos:a')}").status == 200
    later(86401)
    assert raw.managed("GET", f"/stat/{encoded('vvos:a')}").status == 612
