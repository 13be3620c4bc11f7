"""Reading bodies: the protocol's fields, the business's, and a sentence that names the field for the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest

from vvos_core.broker.messages import Exists, Failed, GetToken, Notifier, outcome, read
from vvos_core.errors import BadInput, Mismatch


def body(**fields: Any) -> bytes:
    return json.dumps({"requestToken": "t", "keys": ["a"], **fields}).encode()


def test_parts_the_protocol_from_the_business() -> None:
    message, params = read(body(cover=True, 相册={"id": 7}, client="web", **{"x-y": None}), GetToken)
    assert (message.keys, message.cover, message.client) == (["a"], True, "web")
    assert params == {"相册": {"id": 7}, "x-y": None}


def test_a_field_of_another_call_is_a_business_parameter() -> None:
    message, params = read(b'{"accessToken": "t", "keys": ["a"], "cover": true}', Exists)
    assert message.parts is False
    assert params == {"cover": True}


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (body(keys=["a", "b", "c", 4]), "`keys[3]`: expected a string, got an integer."),
        (body(keys="a"), "`keys`: expected a list, got a string."),
        (body(keys={"a": 1}), "`keys`: expected a list, got an object."),
        (body(keys=None), "`keys`: expected a list, got null."),
        (body(keys=[]), "`keys`: expected a list of length >= 1."),
        (b'{"requestToken": "t"}', "`keys`: it is missing."),
        (b'{"keys": ["a"]}', "`requestToken`: it is missing."),
        (body(requestToken=5), "`requestToken`: expected a string, got an integer."),
        (body(cover=1), "`cover`: expected true or false, got an integer."),
        (body(cover="yes"), "`cover`: expected true or false, got a string."),
        (body(cover=None), "`cover`: expected true or false, got null."),
        (body(files=[]), "`files`: expected an object, got a list."),
        (body(files={"a": 5}), "`files[…]`: expected an object, got an integer."),
        (body(files={"a": {"size": -1}}), "`files[…].size`: expected an integer >= 0."),
        (body(files={"a": {"size": 2**63}}), "`files[…].size`: expected an integer <= 9223372036854775807."),
        (body(files={"a": {"size": 1.5}}), "`files[…].size`: expected an integer, got a number."),
        (body(files={"a": {"size": "5"}}), "`files[…].size`: expected an integer, got a string."),
        (body(files={"a": {"size": True}}), "`files[…].size`: expected an integer, got true or false."),
        (body(files={"a": {"metadata": {"k": 1}}}), "`files[…].metadata[…]`: expected a string, got an integer."),
        (b"[]", "the body: expected an object, got a list."),
        (b"null", "the body: expected an object, got null."),
        (b"", "the body is not JSON: Input data was truncated."),
        (b"{", "the body is not JSON: Input data was truncated."),
        (b"{}{}", "the body is not JSON: JSON is malformed: trailing characters (byte 3)."),
        (b"\xef\xbb\xbf{}", "the body is not JSON: JSON is malformed: invalid character (byte 0)."),
        (b'{"keys": ["\xff"]}', "the body is not UTF-8."),
        (b'{"a":' * 100_000, "the body is nested too deeply."),
        (b'{"a":' + b"[" * 500_000, "the body is nested too deeply."),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_names_the_field_and_what_is_right(raw: bytes, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        read(raw, GetToken)
    assert str(caught.value) == sentence


def test_the_other_calls_are_typed_too() -> None:
    with pytest.raises(BadInput, match="`accessToken`: it is missing"):
        read(b'{"keys": ["a"]}', Exists)
    with pytest.raises(BadInput, match="`parts`: expected true or false"):
        read(b'{"accessToken": "t", "keys": ["a"], "parts": 1}', Exists)
    with pytest.raises(BadInput, match=r"`files\[…\].checksum`: expected a string"):
        read(b'{"accessToken": "t", "keys": ["a"], "files": {"a": {"checksum": 1}}}', Notifier)


def test_outcome_says_all_some_or_none() -> None:
    failed = [Failed.of("a", Mismatch("no")), Failed(key="b", code="NOT_FOUND", message="no")]
    assert outcome(2, []) == (True, "SUCCESS")
    assert outcome(1, failed) == (False, "PARTIAL")
    assert outcome(0, failed) == (False, "CHECKSUM_MISMATCH")
