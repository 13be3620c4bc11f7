"""The threat table of ``docs/security.md``: each row names its test, and each of these is there, and ran."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from .outcomes import OUTCOMES

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


TESTS = sorted({test for row in rows() for test in row.tests})


def test_every_row_says_what_shows_it() -> None:
    assert len(rows()) >= 15
    for row in rows():
        assert row.threat, row
        assert row.control, row
        assert row.tests, f"nothing shows {row.threat!r}"
    assert len({row.threat for row in rows()}) == len(rows()), "two rows for one threat"


def test_every_test_of_the_table_can_be_collected() -> None:
    """By pytest itself, as ``make test`` collects: not skipped by a mark, nor left out by its configuration."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    collected = {line.partition("[")[0] for line in done.stdout.splitlines() if "::" in line}
    assert set(TESTS) <= collected, set(TESTS) - collected
    assert "deselected" not in done.stdout


def test_no_test_of_the_table_can_skip_itself() -> None:
    for test in TESTS:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        (function,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
        assert not re.search(r"pytest\.skip|importorskip|mark\.(skip|xfail)", ast.unparse(function)), test


def test_every_row_of_the_table_ran(request: pytest.FixtureRequest) -> None:
    """In this session, whose last test this is: what was collected of the table passed; when all was, all did."""
    outcomes = request.config.stash[OUTCOMES]
    everything = not request.config.args or request.config.args == request.config.getini("testpaths")
    for test in TESTS:
        if everything or test in outcomes.collected:
            assert outcomes.of[test] == {"passed"}, f"{test}: {outcomes.of[test] or 'it did not run'}"
