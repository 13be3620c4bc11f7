"""vvos_core.keys: which keys are refused, and that every other one reaches the wire as it is."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote, unquote, urlsplit

import pytest
from hypothesis import example, given, strategies as st

from vvos_core import BadKey, check_key
from vvos_core.keys import are_usable, check_keys

REFUSED = {
    "": "empty",
    "/a": "begins with '/'",
    "/": "begins with '/'",
    "//a": "begins with '/'",
    "a//b": "empty segment",
    "a/": "empty segment",
    ".": "segment '.'",
    "..": "segment '..'",
    "./a": "segment '.'",
    "a/./b": "segment '.'",
    "a/../b": "segment '..'",
    "视频/..": "segment '..'",
    "a\0b": "control character U+0000",
    "a\nb": "control character U+000A",
    "a\r\nb": "control character U+000D",
    "a\x7f": "control character U+007F",
    "a\x85b": "control character U+0085",
    "a\ud800b": "U+D800, which is not text",
    "a\udcff": "U+DCFF, which is not text",
    "a\ufffe": "U+FFFE, which is not text",
    "a\uffff": "U+FFFF, which is not text",
    "a\U0010ffff": "U+10FFFF, which is not text",
    "cafe\u0301.txt": "NFC",
    "\u1112\u1161\u11ab.txt": "NFC",
    "x" * 1025: "more than 1024 bytes",
    "文" * 342: "1026 bytes in UTF-8",
}
"""A key, and what the sentence says of it."""


@pytest.mark.parametrize(("key", "why"), REFUSED.items(), ids=lambda value: ascii(value)[:20])
def test_a_key_that_no_provider_may_be_given_is_refused_with_its_reason(key: str, why: str) -> None:
    with pytest.raises(BadKey) as caught:
        check_key(key)
    message = str(caught.value)
    assert why in message
    assert message.endswith(".")
    assert message.isprintable(), "what is refused for its characters must not bring them to a terminal"
    assert len(message) < 400
    assert caught.value.key == key


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "文件/电影 (1).mp4",
        "...",
        "..a/b..",
        ".hidden/.x",
        "a b",
        " a ",
        "100%",
        "%2e%2e/%2F",
        "a?b#c",
        "a\\..\\b",
        "a;b=c&d+e",
        "C:/x",
        "data:text/plain,x",
        "caf\u00e9.txt",
        "\ufdd0",
        "😀.png",
        "x" * 1024,
        "文" * 341 + "x",
    ],
)
def test_an_unusual_key_that_can_travel_is_good(key: str) -> None:
    assert check_key(key) is key


def test_a_reader_of_chinese_can_read_which_key_it_was() -> None:
    with pytest.raises(BadKey, match=r"^key '视频/../一.mp4' has"):
        check_key("视频/../一.mp4")


def test_the_limit_is_the_providers_and_in_bytes() -> None:
    assert check_key("文文", 6) == "文文"
    with pytest.raises(BadKey, match="7 bytes"):
        check_key("文文x", 6)


KEYS = st.lists(
    st.sampled_from([".", "/", "%", "?", "#", "\\", "a", "é", "e\u0301", "文", " ", "😀"]), max_size=12
).map("".join) | st.text(max_size=40)


@given(key=KEYS, limit=st.integers(1, 64))
@example(key="a/%2e%2e/b", limit=64)
@example(key="a/..%2f", limit=64)
@example(key="...", limit=64)
@example(key="~/a", limit=64)
def test_what_is_accepted_reaches_the_wire_unchanged(key: str, limit: int) -> None:
    try:
        check_key(key, limit)
    except BadKey:
        return
    segments = key.split("/")
    assert not {"", ".", ".."} & set(segments)
    assert unicodedata.is_normalized("NFC", key)
    assert 1 <= len(key.encode()) <= limit
    quoted = quote(key)
    assert unquote(quoted) == key
    url = urlsplit(f"http://127.0.0.1/bucket/{quoted}")
    assert unquote(url.path) == f"/bucket/{key}"
    assert (url.query, url.fragment) == ("", "")


@given(key=st.text(max_size=30))
def test_a_key_is_refused_only_for_a_reason_of_the_list(key: str) -> None:
    reason = (
        not key
        or {"", ".", ".."} & set(key.split("/"))
        or any(unicodedata.category(char) in ("Cc", "Cs") for char in key)
        or any(ord(char) & 0xFFFF in (0xFFFE, 0xFFFF) for char in key)
        or unicodedata.normalize("NFC", key) != key
    )
    if reason:
        with pytest.raises(BadKey):
            check_key(key)
    else:
        assert check_key(key) == key


def good(key: str, limit: int) -> bool:
    try:
        check_key(key, limit)
    except BadKey:
        return False
    return True


@given(keys=st.lists(KEYS, max_size=5), limit=st.integers(1, 64))
@example(keys=["a", "\u0301b"], limit=64)
@example(keys=["文/a", "/b"], limit=64)
@example(keys=["a", ""], limit=64)
@example(keys=["a/", "b"], limit=64)
@example(keys=["文" * 4, "a"], limit=11)
def test_keys_are_usable_together_only_where_each_is(keys: list[str], limit: int) -> None:
    bad = [key for key in keys if not good(key, limit)]
    if bad:
        assert not are_usable(keys, limit)
        with pytest.raises(BadKey) as caught:
            check_keys(keys, limit)
        assert caught.value.key == bad[0]
    else:
        check_keys(keys, limit)


@pytest.mark.parametrize("keys", [[], ["a/b.jpg", "c"], ["相册/一.jpg", "b", "caf\u00e9"]])
def test_usual_keys_are_told_at_once(keys: list[str]) -> None:
    assert are_usable(keys)
