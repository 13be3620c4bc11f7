"""Brokers that answer badly, over real sockets: a code and a sentence for each, and no byte to the wrong place."""

from __future__ import annotations

import gzip
import re
import tracemalloc
from typing import Any

import msgspec
import pytest

from vvos_core.http import MAX_ANSWER
from vvos_core.loader import remote
from vvos_core.model import Ask, Grant, TokenRequest

from ..engine.cloud import Cloud
from .brokers import CALLS, Answer, Broker, Raw, Request, TokenCloud, as_json, client, html, plain, put, reason
from .uploading import data

BOMB = gzip.compress(b"[" * (200 << 20), 9)

BAD: dict[str, tuple[Raw, str, str, bool]] = {
    "HTML at 200": (html(200), "BAD_ANSWER", r"did not answer JSON \(text/html\); is it the right address\?", False),
    "HTML at 404": (html(404), "NOT_FOUND", r"answered HTTP 404 \(text/html\)", False),
    "HTML at 500": (html(500), "SERVICE_FAILED", r"answered HTTP 500 \(text/html\)", True),
    "HTML at 502": (html(502), "SERVICE_FAILED", r"answered HTTP 502 \(text/html\)", True),
    "nothing at 200": (Raw(b""), "BAD_ANSWER", r"did not answer JSON \(no content type\)", False),
    "nothing at 204": (Raw(b"", 204), "BAD_ANSWER", "did not answer JSON", False),
    "nothing at 504": (Raw(b"", 504), "UNAVAILABLE", r"answered HTTP 504 \(no content type\)", True),
    "JSON at 500": (
        as_json({"success": False, "code": "LEDGER", "message": "磁盘满了。"}, 500),
        "LEDGER",
        "磁盘满了",
        True,
    ),
    "JSON at 500, by a code of ours": (
        as_json({"success": False, "code": "BAD_KEY", "message": "bad key."}, 500),
        "BAD_KEY",
        "bad key",
        False,
    ),
    "busy": (as_json({"code": "UNAVAILABLE", "message": "busy."}, 503), "UNAVAILABLE", "busy", True),
    "too many": (html(429), "UNAVAILABLE", "answered HTTP 429", True),
    "log in": (
        as_json({"success": False, "code": "NOT_LOGGED_IN", "message": "log in first."}, 401),
        "NOT_LOGGED_IN",
        "log in first",
        False,
    ),
    "forbidden": (
        as_json({"success": False, "code": "DENIED", "message": "not you."}, 403),
        "DENIED",
        "not you",
        False,
    ),
    "a number for a code": (as_json({"code": 40103, "message": "过期了。"}, 401), "40103", "过期了", False),
    "no code": (as_json({"message": "?"}, 403), "DENIED", "answered HTTP 403", False),
    "failure at 200": (
        as_json({"success": False, "code": "QUOTA", "message": "no room left."}),
        "QUOTA",
        "no room left",
        False,
    ),
    "failure at 200, empty-handed": (
        as_json({"success": False, "code": "QUOTA", "message": "no room left.", "objects": [], "keys": {}}),
        "QUOTA",
        "no room left",
        False,
    ),
    "failure at 200 without a word": (as_json({"success": False}), "DENIED", "refused with DENIED", False),
    "busy at 200": (
        as_json({"success": False, "code": "UNAVAILABLE", "message": "busy."}),
        "UNAVAILABLE",
        "busy",
        True,
    ),
    "a list": (as_json([]), "BAD_ANSWER", r"not of the protocol: Expected `object`, got `array`", False),
    "null": (as_json(None), "BAD_ANSWER", "not of the protocol", False),
    "not UTF-8": (Raw(b'{"code": "\xff"}'), "BAD_ANSWER", "did not answer JSON", False),
    "half a JSON": (Raw(b'{"accessToken": "x", "keys": {'), "BAD_ANSWER", "did not answer JSON", False),
    "JSON of a thousand floors": (Raw(b'{"a":' + b"[" * 100_000), "BAD_ANSWER", "did not answer JSON", False),
    "moved": (html(302, Location="http://127.0.0.1:1/login"), "BAD_ANSWER", "answered HTTP 302", False),
    "too long": (Raw(b" " * (MAX_ANSWER + 1)), "BAD_ANSWER", "more than 4 MiB", False),
    "a bomb": (Raw(BOMB, 200, {"Content-Encoding": "gzip"}), "BAD_ANSWER", "cannot be decoded", False),
    "not gzip": (Raw(b"{}", 200, {"Content-Encoding": "gzip"}), "BAD_ANSWER", "cannot be decoded", False),
    "cut off": (Raw(b'{"accessToken"', length=1000), "UNAVAILABLE", "closed the connection", True),
}
"""An answer, and the code and sentence that become of it, and whether it is asked for again."""


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", BAD)
def test_a_bad_answer_is_a_code_and_a_sentence_that_names_the_address(
    what: str, call: str, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, code, words, again = BAD[what]
    broker.answers[call] = lambda request, count: raw
    error = reason(put(broker, cloud, monkeypatch))
    assert error.code == code
    assert re.search(words, str(error)), str(error)
    assert call in str(error)
    assert f"127.0.0.1:{broker.port}" in str(error)
    assert "<" not in str(error), "nobody wants to read HTML"
    assert broker.counts[call] == (3 if again else 1)
    if call == "gettoken":
        assert cloud.counts["put_chunk"] == 0


def test_a_bomb_takes_no_memory_to_speak_of(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    broker.answers["gettoken"] = lambda request, count: BAD["a bomb"][0]
    client(monkeypatch, cloud, broker.settings())
    tracemalloc.start()
    try:
        reason(put(broker, cloud, monkeypatch))
        assert tracemalloc.get_traced_memory()[1] < 100 << 20, "of 200 MiB"
    finally:
        tracemalloc.stop()


GOOD_TOKEN = {"accessToken": "t", "keys": {"文件.txt": "k"}}
GRANT = {"provider": "cloud", "size": 5, "data": {"generation": 0}}
WRONG: dict[str, tuple[str, object, str]] = {
    "accessToken is a number": (
        "gettoken",
        {**GOOD_TOKEN, "accessToken": 5},
        r"Expected `str`, got `int`.*\$\.accessToken",
    ),
    "accessToken is missing": ("gettoken", {"keys": {}}, "missing required field `accessToken`"),
    "keys is missing": ("gettoken", {"accessToken": "t"}, "missing required field `keys`"),
    "keys is a list": ("gettoken", {**GOOD_TOKEN, "keys": ["k"]}, r"\$\.keys"),
    "a key is a number": ("gettoken", {**GOOD_TOKEN, "keys": {"文件.txt": 5}}, r"\$\.keys"),
    "a grant is a string": ("gettoken", {**GOOD_TOKEN, "grants": {"k": "x"}}, r"\$\.grants"),
    "a grant lacks its provider": ("gettoken", {**GOOD_TOKEN, "grants": {"k": {"size": 5}}}, "field `provider`"),
    "a grant lacks its size": ("gettoken", {**GOOD_TOKEN, "grants": {"k": {"provider": "cloud"}}}, "field `size`"),
    "a size is a string": ("gettoken", {**GOOD_TOKEN, "grants": {"k": {**GRANT, "size": "5"}}}, r"`int`.*\.size"),
    "a time is a string": ("gettoken", {**GOOD_TOKEN, "grants": {"k": {**GRANT, "expiresAt": "x"}}}, "expiresAt"),
    "failed is a number": ("gettoken", {**GOOD_TOKEN, "failed": 3}, r"\$\.failed"),
    "objects is an object": ("exists", {"objects": {"k": True}}, r"\$\.objects"),
    "an object lacks its key": ("exists", {"objects": [{"exists": True}]}, "field `key`"),
    "exists is a string": ("exists", {"objects": [{"key": "k", "exists": "no"}]}, r"\$\.objects\[.*\]\.exists"),
    "a size is null": ("exists", {"objects": [{"key": "k", "exists": True, "size": None}]}, r"\.size"),
    "objects is a string": ("notifier", {"code": "SUCCESS", "objects": "k", "success": True}, r"\$\.objects"),
    "a url is a number": ("notifier", {"objects": [{"key": "k", "url": 5}], "success": True}, r"\.url"),
}


@pytest.mark.parametrize("what", WRONG)
def test_json_of_the_wrong_shape_is_told_with_its_field(
    what: str, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, answer, words = WRONG[what]
    broker.answers[call] = lambda request, count: as_json(answer)
    error = reason(put(broker, cloud, monkeypatch))
    assert error.code == "BAD_ANSWER"
    assert re.search(words, str(error)), str(error)
    assert broker.url(call) in str(error)
    assert broker.counts[call] == 1


def test_a_grant_for_another_file_is_refused_before_a_byte_is_sent(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.answers["gettoken"] = lambda request, count: as_json({**GOOD_TOKEN, "grants": {"k": {**GRANT, "size": 6}}})
    assert reason(put(broker, cloud, monkeypatch)).code == "BAD_ANSWER"
    assert not cloud.counts


@pytest.mark.parametrize(
    ("said", "lifetime"),
    [
        ({"expiresIn": 60}, 60),
        ({"expiresIn": 59.5, "expiresAt": 1060}, 19.5),  # the grant ends 40 seconds before the accessToken
        ({"expiresIn": 30, "expiresAt": 1060}, 0),
        ({"expiresIn": 60, "expiresAt": 1000}, 60),
        ({}, 0),
        ({"expiresIn": 0}, 0),
        ({"expiresIn": -5}, 0),
        ({"expiresIn": 10**400}, 0),
        ({"expiresIn": True}, 0),
        ({"expiresIn": "60"}, 0),
        ({"expiresIn": None}, 0),
        ({"expiresIn": 60, "expiresAt": "tomorrow"}, 0),
    ],
)
def test_a_grant_lasts_as_long_as_the_broker_says(broker: Broker, said: dict[str, Any], lifetime: float) -> None:
    broker.answers["gettoken"] = lambda request, count: as_json(
        {**GOOD_TOKEN, "grants": {"k": {**GRANT, "expiresAt": 1020}}, **said}
    )
    ask = Ask(client_key="文件.txt", key="文件.txt", size=5)
    request = TokenRequest(files=(ask,), request_token="e30.x.y", issued_at=1.0, expires_at=2.0, cover=False)
    (grant,) = remote(broker.settings()).token(request)
    assert isinstance(grant, Grant)
    assert grant.lifetime == lifetime


@pytest.mark.parametrize("key", ["../k", "a//b", "/k", "", "a\nb", "x" * 200])
def test_a_server_key_that_no_provider_may_be_given_is_refused(
    key: str, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"accessToken": "t", "keys": {"文件.txt": key}, "grants": {key: GRANT}}
    broker.answers["gettoken"] = lambda request, count: as_json(answer)
    assert reason(put(broker, cloud, monkeypatch)).code == "BAD_KEY"
    assert not cloud.counts


def test_a_provider_that_is_not_installed_is_told(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    from vvos_core import VVOS

    answer = {**GOOD_TOKEN, "grants": {"k": {**GRANT, "provider": "nowhere"}}}
    broker.answers["gettoken"] = lambda request, count: as_json(answer)
    vvos = VVOS(broker.settings())
    vvos.add_files((data(5), "文件.txt"))
    [result] = vvos.submit()
    assert result.error is not None
    assert result.error.code == "PLUGIN"
    assert "pip install vvos-nowhere" in str(result.error)


def test_a_key_that_is_not_answered_is_one_sentence_and_the_others_go_on(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = broker.answers["gettoken"]

    def forgetful(request: Request, count: int) -> Raw:
        answer = msgspec.json.decode(good(request, count).body)
        answer["keys"].pop("b")
        return as_json(answer)

    broker.answers["gettoken"] = forgetful
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files([(b"1", "a"), (b"2", "b"), (b"3", "c")])
    a, b, c = vvos.submit()
    assert (a.state, c.state) == ("done", "done")
    assert str(reason(b)) == f"gettoken at {broker.url('gettoken')} did not answer for b."
    assert reason(b).code == "BAD_ANSWER"


def test_a_key_that_notifier_does_not_answer_has_failed(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker.answers["notifier"] = lambda request, count: as_json({"code": "SUCCESS", "objects": [], "success": True})
    error = reason(put(broker, cloud, monkeypatch))
    assert (error.code, broker.counts["notifier"]) == ("BAD_ANSWER", 1)
    assert "did not answer for e/文件.txt" in str(error)


def test_each_key_has_its_own_failure(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    good = broker.answers["gettoken"]

    def partly(request: Request, count: int) -> Raw:
        answer = msgspec.json.decode(good(request, count).body)
        if not answer["keys"].pop("b", None):
            return as_json(answer)
        failed = [{"key": "b", "code": "TOO_LARGE", "message": "b 太大。"}]
        return as_json({**answer, "success": False, "code": "PARTIAL", "failed": failed})

    broker.answers["gettoken"] = partly
    broker.answers["notifier"] = lambda request, count: as_json(
        {
            "success": False,
            "code": "PARTIAL",
            "objects": [{"key": "e/a", "url": "u"}],
            "failed": [{"key": "e/c", "code": "CHECKSUM_MISMATCH", "message": "differs."}],
        }
    )
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files([(b"1", "a"), (b"2", "b")])
    a, b = vvos.submit()
    assert a.state == "done"
    assert (reason(b).code, str(b.error)) == ("TOO_LARGE", "b 太大。")
    vvos.add_files((b"3", "c"))
    [c] = vvos.submit()
    assert (reason(c).code, str(c.error)) == ("CHECKSUM_MISMATCH", "differs.")


@pytest.mark.parametrize("status", [200, 403, 413])
def test_where_every_key_failed_each_has_its_own_reason_all_the_same(
    status: int, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = [
        {"key": "a", "code": "BAD_KEY", "message": "a is bad."},
        {"key": "b", "code": "TOO_LARGE", "message": "b is large."},
    ]
    answer = {"success": False, "code": "BAD_KEY", "message": "a is bad.", "failed": failed}
    broker.answers["gettoken"] = lambda request, count: as_json(answer, status)
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files([(b"1", "a"), (b"2", "b"), (b"3", "c")])
    a, b, c = vvos.submit()
    assert [reason(item).code for item in (a, b, c)] == ["BAD_KEY", "TOO_LARGE", "BAD_ANSWER"]
    assert broker.counts["gettoken"] == 1


@pytest.mark.parametrize("status", [200, 403])
def test_of_a_brokers_words_no_more_than_a_person_reads_is_passed_on(
    status: int, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = {"code": "X" * 100_000, "message": "长" * 100_000}
    broker.answers["gettoken"] = lambda request, count: as_json({**long, "success": False}, status)
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files((b"1", "a"))
    (whole,) = vvos.submit()
    broker.answers["gettoken"] = lambda request, count: as_json({"success": False, "failed": [{"key": "b", **long}]})
    vvos.add_files((b"2", "b"))
    (one,) = vvos.submit()
    for result in (whole, one):
        assert result.error is not None
        assert result.error.code == "X" * 64
        assert 900 < len(str(result.error)) < 1200


def test_a_key_that_is_busy_is_asked_for_again_alone(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = broker.answers["gettoken"]

    def busy(request: Request, count: int) -> Raw:
        answer = msgspec.json.decode(good(request, count).body)
        if count == 1:
            answer["keys"].pop("b")
            answer["failed"] = [{"key": "b", "code": "UNAVAILABLE", "message": "busy."}]
        return as_json(answer)

    broker.answers["gettoken"] = busy
    vvos = client(monkeypatch, cloud, broker.settings())
    vvos.add_files([(b"1", "a"), (b"2", "b")])
    assert [result.state for result in vvos.submit()] == ["done", "done"]
    first, second = (request.body for request in broker.requests if request.call == "gettoken")
    assert (first["keys"], second["keys"]) == (["a", "b"], ["b"])
    assert first["requestToken"] != second["requestToken"]


def test_a_repeated_call_has_the_same_request_token(
    broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = broker.answers["gettoken"]
    broker.answers["gettoken"] = lambda request, count: html(502) if count < 3 else good(request, count)
    assert put(broker, cloud, monkeypatch).state == "done"
    tokens = [request.body["requestToken"] for request in broker.requests if request.call == "gettoken"]
    assert len(tokens) == 3
    assert len(set(tokens)) == 1


@pytest.mark.parametrize("call", CALLS)
def test_a_broker_that_is_down_for_a_moment_is_no_failure(
    call: str, broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    good: Answer = broker.answers[call]
    faults: list[Raw] = [BAD["busy"][0], BAD["cut off"][0]]
    broker.answers[call] = lambda request, count: faults[count - 1] if count <= 2 else good(request, count)
    assert put(broker, cloud, monkeypatch).state == "done"
    assert broker.counts[call] == 3
    assert cloud.counts["put_chunk"] == 1, "nothing was sent twice"


def test_a_wait_that_the_broker_asks_for_is_kept(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("tenacity.sleep_using_event", lambda event: waits.append)
    good = broker.answers["gettoken"]
    busy = as_json({"code": "UNAVAILABLE", "message": "busy."}, 503, Retry_After="7")
    broker.answers["gettoken"] = lambda request, count: busy if count == 1 else good(request, count)
    assert put(broker, cloud, monkeypatch).state == "done"
    assert waits == [7.0]


def test_fields_of_somebody_else_are_ignored(broker: Broker, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def more(answer: Answer) -> Answer:
        def answered(request: Request, count: int) -> Raw:
            told = msgspec.json.decode(answer(request, count).body)
            theirs = {"traceId": "x", "data": {"a": [1]}, "message": None, "服务器": True}
            return as_json({**theirs, **({"code": 0} if request.call == "gettoken" else {}), **told})

        return answered

    own = plain(cloud)
    with Broker({call: more(answer) for call, answer in own.items()}) as other:
        store = TokenCloud()
        store.objects = cloud.objects
        assert put(other, store, monkeypatch, provider="cloud").state == "done"
    broker.answers = {call: more(answer) for call, answer in broker.answers.items()}
    assert put(broker, cloud, monkeypatch).state == "done"
