"""The threat table of ``docs/security.md``, read."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
TEST = re.compile(r"`((?:[\w.-]+/)+test_\w+\.py::test_\w+)`")


class Row(msgspec.Struct, frozen=True):
    """Threat, control, and the tests that show it."""

    threat: str
    control: str
    tests: tuple[str, ...]


def rows() -> list[Row]:
    """The table's rows; what is in a comment of the page is none yet."""
    text = re.sub(r"<!--.*?-->", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    table = text.partition("| threat | control | shown by |")[2]
    found = []
    for line in table.splitlines()[2:]:
        if not line.startswith("|"):
            break
        threat, control, shown = (cell.strip() for cell in line.strip("|").split(" | "))
        found.append(Row(threat, control, tuple(TEST.findall(shown))))
    return found


def needed() -> list[str]:
    """The tests of all rows, by their ids without parameters."""
    return sorted({test for row in rows() for test in row.tests})
