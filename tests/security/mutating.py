"""Hypothesis strategies that spoil a good sample: bytes cut, doubled and changed; JSON with one value exchanged."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        b"<",
        b">",
        b"</",
        b"<!DOCTYPE a [",
        b"]>",
        b"<![CDATA[",
        b"&#x0;",
        b"&lt;",
        b'"',
        b"\\ud800",
        b"\\u0000",
        b"[",
        b"]",
        b"{",
        b"}",
        b":",
        b",",
        b"null",
        b"NaN",
        b"1e999",
        b"-",
        b"\xff",
        b"\xfe\xff",
        b"\x00",
        b"\r\n",
        b"=",
        b"'''",
        b"#",
        b"9" * 400,
        b"[" * 3000,
        b"<a>" * 3000,
        b"\xef\xbb\xbf",
        "文".encode(),
        b"../",
        b"%00",
    ]
)
LEAVES: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "../a", "a//b", "x" * 5000, "http://", "e\u0301", "-1", "0", "1e9"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def spoiled(draw: st.DrawFn, samples: list[bytes]) -> bytes:
    """One of ``samples``, with up to four of its stretches cut out, doubled or exchanged; or any bytes at all."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    data = draw(st.sampled_from(samples))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        end = draw(st.integers(at, min(len(data), at + 40)))
        new = draw(st.just(b"") | st.just(data[at:end] * 2) | WORDS | st.binary(max_size=8))
        data = data[:at] + new + data[end:]
    return data


@st.composite
def exchanged(draw: st.DrawFn, sample: Any) -> bytes:
    """``sample`` as JSON, with the value at one to three places exchanged for another, or left out."""
    value = msgspec.json.decode(msgspec.json.encode(sample))
    for _ in range(draw(st.integers(1, 3))):
        value = _exchange(draw, value)
    return msgspec.json.encode(value)


def _exchange(draw: st.DrawFn, value: Any) -> Any:
    if not isinstance(value, dict | list) or not value or draw(st.integers(0, 3)) == 0:
        return draw(VALUES)
    if isinstance(value, list):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], _exchange(draw, value[place]), *value[place + 1 :]]
    name = draw(st.sampled_from(sorted(value)))
    kept = {key: item for key, item in value.items() if key != name}
    return kept if draw(st.integers(0, 4)) == 0 else {**kept, name: _exchange(draw, value[name])}
