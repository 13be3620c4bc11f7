"""Nothing that a terminal obeys gets through, and numbers read as people write them."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, strategies as st

from vvos_core.cli.text import count, duration, printable, size, well_formed

ANY = st.text(st.characters(codec=None), max_size=50)


@given(ANY)
def test_printable_holds_no_control_format_or_line_end(text: str) -> None:
    shown = printable(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("黄山 日出.jpg", "黄山 日出.jpg"),
        ("全角\u3000空格", "全角\u3000空格"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("two\nlines", "two\\nlines"),
        ("\udcff.txt", "\\udcff.txt"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("\x9b31m", "\\x9b31m"),
    ],
)
def test_printable(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(ANY)
def test_well_formed_is_utf8_and_leaves_text_alone(text: str) -> None:
    well_formed(text).encode()
    if not any("\ud800" <= char <= "\udfff" for char in text):
        assert well_formed(text) == text


@pytest.mark.parametrize(
    ("bytes_", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (24 * 2**20, "24.0 MiB"),
        (10_000 * 5 * 2**30, "48.8 TiB"),
        (5000 * 2**40, "5,000.0 TiB"),
    ],
)
def test_size(bytes_: int, shown: str) -> None:
    assert size(bytes_) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.2, "0:00"), (7, "0:07"), (61.6, "1:02"), (3723, "1:02:03")])
def test_duration(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


def test_count() -> None:
    assert [count(number, "file") for number in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]
