"""docs/reliability.md: its code runs as it stands, and the table of what is retried says what the errors say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vvos_core.errors import BY_CODE

from .blocks import blocks

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
ROWS = re.findall(r"^\|[^|]+\| ([^|]*`[A-Z_]+`[^|]*) \| (yes|no)", PAGE.read_text(), re.MULTILINE)


def test_the_proxy_is_used_as_it_is_shown() -> None:
    (code,) = blocks(PAGE, "python")
    exec(compile(code, str(PAGE), "exec"), {})


@pytest.mark.parametrize(("becomes", "retried"), ROWS)
def test_a_row_says_what_the_error_says(becomes: str, retried: str) -> None:
    for code in re.findall(r"`([A-Z_]+)`", becomes):
        if (code, retried) != ("UNAVAILABLE", "no"):  # complete, of which the engine asks exists first
            assert BY_CODE[code].retryable is (retried == "yes"), code


def test_the_table_is_read() -> None:
    assert len(ROWS) > 10


SHOWN = re.findall(r"\| `(tests/\S+?)::(test_\w+)` \|$", PAGE.read_text(), re.MULTILINE)


@pytest.mark.parametrize(("path", "name"), SHOWN)
def test_what_is_said_to_survive_is_shown_by_a_test_that_is_there(path: str, name: str) -> None:
    assert f"\ndef {name}(" in (PAGE.parents[1] / path).read_text()


def test_the_rows_of_what_survives_are_read() -> None:
    section = PAGE.read_text().partition("## What survives what")[2].partition("\n## ")[0]
    assert len(SHOWN) == section.count("\n| ") - 1 > 15
    assert set(re.findall(r"`([A-Z_]{4,})`", section)) <= set(BY_CODE)
