"""Renewing a grant: the same upload, a later expiry, a checksum where there was none; never anything more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from vvos_core.broker.hooks import Access, BusinessCall
from vvos_core.broker.seal import RENEWABLE
from vvos_core.errors import Denied, NotFound
from vvos_core.hooks import hookimpl
from vvos_core.model import MIB

from .fake import NOW, Bench, FakeCalls

MakeBench = Callable[..., Bench]
FILES = {
    "a": {"size": 3 * MIB, "type": "video/mp4", "metadata": {"title": "春节"}},
    "b": {"size": 5, "checksum": "md5:AAAA"},
}


@pytest.fixture
def granted(bench: Bench) -> dict[str, Any]:
    body = bench.gettoken("a", "b", files=FILES).body
    bench.fake.asked.clear()
    bench.fake.requests.clear()
    return body


def test_the_same_upload_with_a_later_expiry(bench: Bench, granted: dict[str, Any]) -> None:
    bench.clock.now += 3000
    answer = bench.gettoken("a", request="other", accessToken=granted["accessToken"], files={})
    assert answer.status == 200
    assert answer["keys"] == {"a": "a"}
    assert answer["expiresAt"] == NOW + 3000 + 3600
    before, after = granted["grants"]["a"], answer["grants"]["a"]
    assert after["uploadId"] == before["uploadId"]
    same = ("provider", "size", "type", "partSize", "metadata", "multipart")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    (request,) = bench.fake.requests
    assert request.files[0].renew.upload_id == before["uploadId"]
    assert (request.issued_at, request.expires_at) == (NOW + 3000, NOW + 6600)


def test_a_checksum_narrows_it(bench: Bench, granted: dict[str, Any]) -> None:
    answer = bench.gettoken("a", accessToken=granted["accessToken"], files={"a": {"checksum": "crc64nvme:BBBB"}})
    assert answer["grants"]["a"]["checksum"] == "crc64nvme:BBBB"
    assert "seal" not in answer["grants"]["a"]
    again = bench.gettoken("a", accessToken=answer["accessToken"], files={"a": {"checksum": "crc64nvme:CCCC"}})
    assert (again.status, again.code) == (403, "DENIED")


def test_a_part_of_the_keys_gives_a_token_for_that_part(bench: Bench, granted: dict[str, Any]) -> None:
    answer = bench.gettoken("a", accessToken=granted["accessToken"], files={})
    assert bench.call("exists", accessToken=answer["accessToken"], keys=["a"]).status == 200
    assert bench.call("exists", accessToken=answer["accessToken"], keys=["b"]).code == "KEY_NOT_GRANTED"


@pytest.mark.parametrize(
    ("changed", "code", "names"),
    [
        ({"files": {"a": {"size": 3 * MIB + 1}}}, "DENIED", "another size"),
        ({"files": {"a": {"size": 1}}}, "DENIED", "another size"),
        ({"files": {"a": {"type": "text/html"}}}, "DENIED", "another type"),
        ({"files": {"a": {"metadata": {"title": "x"}}}}, "DENIED", "another metadata"),
        ({"keys": ["b"], "files": {"b": {"checksum": "md5:BBBB"}}}, "DENIED", "another checksum"),
        ({"cover": True}, "DENIED", "another cover"),
        ({"keys": ["a", "c"]}, "KEY_NOT_GRANTED", "'c'"),
        ({"keys": ["a", "c"], "files": {"c": {"size": 1}}}, "KEY_NOT_GRANTED", "'c'"),
    ],
)
def test_never_wider(bench: Bench, granted: dict[str, Any], changed: dict[str, Any], code: str, names: str) -> None:
    fields = {"requestToken": "e30.eyJyZXF1ZXN0SWQiOiJiLTEifQ.", "keys": ["a"], "accessToken": granted["accessToken"]}
    answer = bench.call("gettoken", **{**fields, **changed})
    assert (answer.status, answer.code) == (403, code)
    assert names in answer["message"]
    assert bench.fake.asked == []


def test_what_was_said_before_may_be_said_again(bench: Bench, granted: dict[str, Any]) -> None:
    answer = bench.gettoken("a", "b", accessToken=granted["accessToken"], files=FILES, cover=False)
    assert answer.status == 200


def test_cover_stays(bench: Bench) -> None:
    first = bench.gettoken("a", cover=True)
    kept = bench.gettoken("a", accessToken=first["accessToken"], files={})
    assert kept["grants"]["a"]["cover"] is True
    narrowed = bench.gettoken("a", accessToken=kept["accessToken"], files={}, cover=False)
    assert "cover" not in narrowed["grants"]["a"]
    widened = bench.gettoken("a", accessToken=narrowed["accessToken"], files={}, cover=True)
    assert widened.status == 403


def test_an_expired_token_can_be_renewed_for_seven_days(bench: Bench, granted: dict[str, Any]) -> None:
    bench.clock.now += 3600 + RENEWABLE - 1
    answer = bench.gettoken("a", accessToken=granted["accessToken"], files={})
    assert answer["expiresAt"] == bench.clock.now + 3600
    bench.clock.now += 1
    late = bench.gettoken("a", accessToken=granted["accessToken"], files={})
    assert (late.status, late.code) == (401, "TOKEN_EXPIRED")


def test_an_altered_token_cannot(bench: Bench, granted: dict[str, Any]) -> None:
    altered = granted["accessToken"][:-30] + "A" + granted["accessToken"][-29:]
    answer = bench.gettoken("a", accessToken=altered, files={})
    assert (answer.status, answer.code) == (401, "BAD_TOKEN")
    assert bench.fake.asked == []


def test_the_business_is_asked_again_and_who_must_be_the_same(make_bench: MakeBench) -> None:
    class Business:
        closed = False

        @hookimpl
        def authorize(self, call: BusinessCall) -> Access:
            if self.closed:
                raise Denied("the account was closed.")
            return Access(who=call.headers["who"], prefix=call.headers["who"])

    business = Business()
    bench = make_bench(business=business)
    first = bench.gettoken("a", headers={"who": "小明"})
    other = bench.gettoken("a", headers={"who": "小红"}, accessToken=first["accessToken"], files={})
    assert (other.status, other.code) == (403, "DENIED")
    assert bench.fake.asked == ["token"]
    assert bench.gettoken("a", headers={"who": "小明"}, accessToken=first["accessToken"], files={}).status == 200
    business.closed = True
    closed = bench.gettoken("a", headers={"who": "小明"}, accessToken=first["accessToken"], files={})
    assert (closed.status, closed["message"]) == (403, "the account was closed.")


def test_a_file_that_cannot_be_renewed_does_not_stop_the_others(bench: Bench, granted: dict[str, Any]) -> None:
    bench.fake.refuses["a"] = NotFound("the upload is gone.")
    answer = bench.gettoken("a", "b", accessToken=granted["accessToken"], files={})
    assert (answer["keys"], answer.codes) == ({"b": "b"}, {"a": "NOT_FOUND"})


def test_stays_with_its_profile(make_bench: MakeBench) -> None:
    main, other = FakeCalls(), FakeCalls("other")
    first = make_bench(profiles={"main": main, "other": other}).gettoken("a")
    later = make_bench(profiles={"other": other, "main": main})
    assert later.gettoken("a", accessToken=first["accessToken"], files={})["provider"] == "fake"
