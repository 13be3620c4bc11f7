"""Hostile bodies, by hand and by the thousand: each gets its refusal; none a 500, none a call to the provider."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from vvos_core import request_token

from ..effort import examples
from .fake import Bench, database, made

CALLS = ("gettoken", "exists", "notifier")
PROTOCOL = ("requestToken", "accessToken", "keys", "files", "cover", "client", "parts", "size", "type", "checksum")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, str]]:
    bench = Bench(database(Path(tmp_path_factory.mktemp("fuzz"))))
    token = bench.gettoken("a", "相册/b")["accessToken"]
    yield bench, token
    bench.broker.close()


HOSTILE_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2**63,
    2**64,
    10**30,
    1.5,
    -1e308,
    "",
    "a" * 10_000,
    "\0",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "\udfff\ud800",
    "e\u0301",
    "../../etc/passwd",
    "a/./b",
    "//",
    "%2e%2e/",
    "..\\..\\",
    "' OR 1=1; DROP TABLE vvos_grants; --",
    "{{7*7}}",
    "<script>",
    "💣" * 300,
    [],
    {},
    [[]],
    [None],
    [0],
    [{}],
    ["a", "a"],
    ["a", 5],
    ["a"] * 2000,
    {"a": None},
    {"a": {"size": "5"}},
    {"a": {"size": -5}},
    {"a": {"size": 2**70}},
    {"a": {"size": 5, "type": "\0"}},
    {"a": {"size": 5, "metadata": {"\0": "\0"}}},
    {"a": {"size": 5, "metadata": {"k": "\ud800"}}},
    {"a": {"size": 5, "checksum": "x:" + "y" * 5000}},
    {"\ud800": {"size": 5}},
    {"__proto__": {}},
]


def hostile() -> Iterator[tuple[str, bytes]]:
    """Every field of every call, with every hostile value; and bodies that are no messages at all."""
    good: dict[str, dict[str, Any]] = {
        "gettoken": {"requestToken": request_token.make("h"), "keys": ["a"], "files": {"a": {"size": 1}}},
        "exists": {"accessToken": "TOKEN", "keys": ["a"], "parts": False},
        "notifier": {"accessToken": "TOKEN", "keys": ["a"], "files": {"a": {"size": 5}}},
    }
    for call, fields in good.items():
        for name in [*fields, "cover", "client", "accessToken"]:
            for value in HOSTILE_VALUES:
                yield call, json.dumps({**fields, name: value}).encode()
        for missing in fields:
            yield call, json.dumps({name: value for name, value in fields.items() if name != missing}).encode()
        for raw in (
            b"",
            b" ",
            b"null",
            b"[]",
            b"5",
            b'"x"',
            b"{",
            b"}",
            b"\xff\xfe{}",
            b'{"keys": ["\xc3\x28"]}',
            b'{"keys": ["\\ud800"]}',
            b'{"keys": ["\\u0000"]}',
            b"[" * 200_000,
            b'{"a":' * 100_000,
            b'{"keys":' + b"[" * 300_000 + b"]" * 300_000 + b"}",
            b'{"size": 1' + b"0" * 100_000 + b"}",
            b'{"size": 1e999999999}',
            b'{"size": NaN}',
            b'{"keys": ["a"], "keys": ["b"]}',
            b"<?xml version='1.0'?><a/>",
            b"requestToken=abc&keys=a",
            b"\x1f\x8b\x08\x00" + b"\0" * 50,
            b"x" * (1024 * 1024 + 1),
        ):
            yield call, raw
    payloads: tuple[Any, ...] = (None, 5, [], {}, {"requestId": 5}, {"requestId": "\0"}, {"requestId": "\ud800"})
    for payload in payloads:
        yield "gettoken", json.dumps({**good["gettoken"], "requestToken": made(payload)}).encode()


def test_by_hand(target: tuple[Bench, str]) -> None:
    bench, token = target
    cases = list(hostile())
    assert len(cases) > 500
    for call, body in cases:
        for raw in (body, body.replace(b'"TOKEN"', json.dumps(token).encode())):
            response = bench.send(call, raw)
            assert response.status in (200, 400, 401, 403, 409, 413), (call, raw[:200], response.body)
            answer = json.loads(response.body)
            if response.status != 200:
                assert answer["success"] is False
                assert answer["code"].isupper()
                assert answer["message"].endswith(".")
                assert len(response.body) < 20_000, "an answer does not repeat the attack"


def json_values() -> st.SearchStrategy[Any]:
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    names = st.sampled_from(PROTOCOL) | st.text(max_size=5)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
    )


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    call=st.sampled_from(CALLS),
    fields=st.dictionaries(st.sampled_from(PROTOCOL), json_values(), max_size=6),
    sound=st.sets(st.sampled_from(["requestToken", "accessToken", "keys"])),
)
def test_by_the_thousand(target: tuple[Bench, str], call: str, fields: dict[str, Any], sound: set[str]) -> None:
    bench, token = target
    right = {"requestToken": request_token.make(), "accessToken": token, "keys": ["a"]}
    body = json.dumps({**fields, **{name: right[name] for name in sound}})
    assert bench.send(call, body.encode()).status < 500, body


@settings(max_examples=examples(150), deadline=None)
@given(call=st.sampled_from(CALLS), body=st.binary(max_size=200))
def test_any_bytes(target: tuple[Bench, str], call: str, body: bytes) -> None:
    assert target[0].send(call, body).status == 400


def test_nothing_refused_reached_the_provider(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench()
    for call, body in hostile():
        before = len(bench.fake.asked)
        response = bench.send(call, body)
        if response.status != 200:
            assert len(bench.fake.asked) == before, (call, body[:200])
