"""The threat table of ``docs/security.md``: each row names its test, each of these is there, and has to run."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .threats import ROOT, needed, rows

TESTS = needed()


def test_every_row_says_what_shows_it() -> None:
    assert len(rows()) >= 15
    for row in rows():
        assert row.threat, row
        assert row.control, row
        assert row.tests, f"nothing shows {row.threat!r}"
    assert len({row.threat for row in rows()}) == len(rows()), "two rows for one threat"


def test_no_test_of_the_table_can_skip_itself() -> None:
    paths = {test.partition("::")[0] for test in TESTS}
    trees = {path: ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in paths}
    for test in TESTS:
        path, _, name = test.partition("::")
        (function,) = (node for node in trees[path].body if isinstance(node, ast.FunctionDef) and node.name == name)
        assert not re.search(r"pytest\.skip|importorskip|mark\.(skip|xfail)", ast.unparse(function)), test


@pytest.mark.parametrize("processes", [0, 2])
def test_a_session_in_which_one_of_them_did_not_run_fails(processes: int, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(
        "from tests.security.outcomes import Outcomes\n"
        "def pytest_configure(config):\n"
        "    if not hasattr(config, 'workerinput'):\n"
        "        needed = ['all/test_it.py::test_' + name for name in ('ran', 'skipped', 'nowhere')]\n"
        "        config.pluginmanager.register(Outcomes(lambda: needed))\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = all\n")
    (tmp_path / "all").mkdir()
    (tmp_path / "all" / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_ran(n): pass\n"
        "@pytest.mark.parametrize('n', [1, 2])\n"
        "def test_skipped(n): n == 1 or pytest.skip('no')\n"
    )

    def session(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", str(processes), *args],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    whole = session()
    assert whole.returncode == 1, whole.stdout + whole.stderr
    told = whole.stdout.partition("tests that must run and pass")[2]
    assert "test_skipped: passed, skipped\n" in told
    assert "test_nowhere: it did not run\n" in told
    assert "test_ran" not in told
    if not processes:
        assert session("all/test_it.py").returncode == 0, "who names a few wants no more"
