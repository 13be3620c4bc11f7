"""Resumable upload v2 at its edges: numbers, sizes, order, checksums, ids and their life."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Raw

MIB = 1024 * 1024
DAY = 24 * 3600


def put(raw: Raw, token: str, upload: str, number: object, body: bytes, **headers: str) -> Any:
    return raw.send("PUT", raw.parts("a", upload, number), body, token=token, **headers)


def complete(raw: Raw, token: str, upload: str, *parts: tuple[int, str], **more: object) -> Any:
    body = {"parts": [{"partNumber": number, "etag": etag} for number, etag in parts], **more}
    return raw.send("POST", raw.parts("a", upload), json.dumps(body).encode(), token=token)


def stored(raw: Raw, token: str, upload: str, **bodies: bytes) -> list[tuple[int, str]]:
    return [(int(name[1:]), put(raw, token, upload, name[1:], body).json["etag"]) for name, body in bodies.items()]


@pytest.mark.parametrize(
    ("number", "status"), [(0, 400), (1, 200), (10_000, 200), (10_001, 400), ("x", 400), (-1, 400)]
)
def test_part_numbers(raw: Raw, number: object, status: int) -> None:
    token = raw.token("a")
    assert put(raw, token, raw.begin("a", token), number, b"x").status == status


@pytest.mark.parametrize(("size", "status"), [(MIB - 1, 400), (MIB, 200)])
def test_the_smallest_part_is_judged_when_the_object_is_made(raw: Raw, size: int, status: int) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    parts = stored(raw, token, upload, p1=bytes(size), p2=b"the last may be small")
    assert complete(raw, token, upload, *parts).status == status


def test_gaps_are_allowed_and_disorder_is_not(raw: Raw) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    first, last = stored(raw, token, upload, p3=bytes(MIB), p9999=b"end")
    assert complete(raw, token, upload, last, first).status == 400
    assert complete(raw, token, upload, first, first).status == 400
    assert complete(raw, token, upload).status == 400
    assert complete(raw, token, upload, first, last).status == 200
    assert b"".join(raw.emulator.read("a")) == bytes(MIB) + b"end"


def test_a_part_that_is_wrong_or_missing(raw: Raw) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    ((number, etag),) = stored(raw, token, upload, p1=b"x")
    assert complete(raw, token, upload, (number, etag[:-1] + "A")).status == 400
    assert complete(raw, token, upload, (2, etag)).status == 400
    assert complete(raw, token, upload, (number, etag)).status == 200


def test_a_part_put_again_takes_the_place_of_the_first(raw: Raw) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    (old,) = stored(raw, token, upload, p1=b"old")
    (new,) = stored(raw, token, upload, p1=b"new")
    assert complete(raw, token, upload, old).status == 400
    assert complete(raw, token, upload, new).status == 200
    assert b"".join(raw.emulator.read("a")) == b"new"


def test_the_md5_is_hexadecimal_and_verified(raw: Raw) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    right = hashlib.md5(b"x").hexdigest()
    assert put(raw, token, upload, 1, b"x", Content_MD5=right).json["md5"] == right
    assert put(raw, token, upload, 2, b"y", Content_MD5=right).status == 406
    assert put(raw, token, upload, 2, b"y", Content_MD5="nUdL").status == 400
    assert [part["partNumber"] for part in listed(raw, token, upload)["parts"]] == [1]


def listed(raw: Raw, token: str, upload: str, query: str = "") -> Any:
    return raw.send("GET", raw.parts("a", upload) + query, token=token).json


def test_parts_are_listed_by_pages(raw: Raw) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    stored(raw, token, upload, p5=b"five", p1=b"one", p3=b"three")
    page = listed(raw, token, upload, "?max-parts=2")
    assert ([part["partNumber"] for part in page["parts"]], page["partNumberMarker"]) == ([1, 3], 3)
    page = listed(raw, token, upload, "?max-parts=2&part-number-marker=3")
    assert ([part["partNumber"] for part in page["parts"]], page["partNumberMarker"]) == ([5], 0)
    assert set(page) == {"uploadId", "expireAt", "partNumberMarker", "parts"}
    assert set(page["parts"][0]) == {"size", "etag", "partNumber", "putTime"}
    for query in ("?max-parts=0", "?max-parts=1001", "?part-number-marker=x"):
        assert raw.send("GET", raw.parts("a", upload) + query, token=token).status == 400


def test_an_upload_lives_for_a_week(raw: Raw, later: Callable[[float], None]) -> None:
    token = raw.token("a", deadline=2**31)
    upload = raw.begin("a", token)
    later(7 * DAY - 60)
    assert put(raw, token, upload, 1, b"x").status == 200
    later(7 * DAY + 1)
    reply = put(raw, token, upload, 1, b"x")
    assert (reply.status, reply.error) == (612, "no such uploadId")


def test_an_id_is_good_for_its_key_and_its_time_only(raw: Raw) -> None:
    token = raw.token()
    upload = raw.begin("a", token)
    (part,) = stored(raw, token, upload, p1=b"x")
    for method, target in (
        ("PUT", raw.parts("b", upload, 1)),
        ("GET", raw.parts("b", upload)),
        ("DELETE", raw.parts(None, upload)),
        ("PUT", raw.parts("a", "f" * 24, 1)),
    ):
        assert raw.send(method, target, b"x", token=token).error == "no such uploadId"
    assert complete(raw, token, upload, part).status == 200
    for reply in (complete(raw, token, upload, part), put(raw, token, upload, 1, b"x")):
        assert (reply.status, reply.error) == (612, "no such uploadId")


def test_aborting_forgets_the_parts(raw: Raw) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    (part,) = stored(raw, token, upload, p1=b"x")
    assert raw.send("DELETE", raw.parts("a", upload), token=token).status == 200
    assert raw.send("DELETE", raw.parts("a", upload), token=token).status == 612
    assert complete(raw, token, upload, part).status == 612


def test_a_complete_that_is_refused_may_be_made_again(raw: Raw, later: Callable[[float], None]) -> None:
    raw.form({"token": raw.token("a"), "key": "a"}, b"other")
    token = raw.token("a", insertOnly=1)
    upload = raw.begin("a", token)
    (part,) = stored(raw, token, upload, p1=b"x")
    assert complete(raw, token, upload, part).status == 614
    assert complete(raw, raw.token("a"), upload, part).status == 200


def test_the_scope_holds_for_every_call(raw: Raw) -> None:
    upload = raw.begin("a", raw.token("a"))
    token = raw.token("b")
    for method, target in (
        ("POST", raw.parts("a")),
        ("PUT", raw.parts("a", upload, 1)),
        ("GET", raw.parts("a", upload)),
        ("POST", raw.parts("a", upload)),
        ("DELETE", raw.parts("a", upload)),
    ):
        reply = raw.send(method, target, b"{}", token=token)
        assert (reply.status, reply.error) == (403, "key doesn't match with scope")
        assert raw.send(method, target, b"{}").status == 401
        assert raw.send(method, target.replace("/vvos/", "/other/"), b"{}", token=raw.token("a")).status == 403


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"parts":[{"partNumber":"1","etag":"x"}]}', b'{"parts":{}}'])
def test_a_body_that_is_no_list_of_parts(raw: Raw, body: bytes) -> None:
    token = raw.token("a")
    reply = raw.send("POST", raw.parts("a", raw.begin("a", token)), body, token=token)
    assert reply.status == 400


def test_metadata_and_their_limits(raw: Raw) -> None:
    token = raw.token("a")
    upload = raw.begin("a", token)
    (part,) = stored(raw, token, upload, p1=b"x")
    assert complete(raw, token, upload, part, metadata={"x-qn-meta-a b": "c"}).status == 400
    assert complete(raw, token, upload, part, metadata={"x-qn-meta-a": "c" * 1024}).status == 400
    assert complete(raw, token, upload, part, metadata={"x-qn-meta-a": "c" * 1023}).status == 200
