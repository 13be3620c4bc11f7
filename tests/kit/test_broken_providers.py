"""The kit can fail: each broken provider is caught by the case meant for it, with words that tell the mistake."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from ..once import made_once
from . import (  # noqa: F401  # each notes its mistakes
    broken_bytes,
    broken_diagnosis,
    broken_errors,
    broken_grants,
    broken_repeats,
    broken_resume,
)
from .broken_web import FLAWS
from .mistakes import MISTAKES, Plain, Right
from .web import Web

Outcomes = dict[tuple[str, str], str]
"""The words of each case that did not pass, by class and case; empty for one that did."""

GROUPS = {f"every third from {first}": sorted(MISTAKES)[first - 1 :: 3] for first in (1, 2, 3)}
"""The names of the mistakes, in groups that are run each for itself: several processes share the work."""
SOUND = "sound"
"""The group of those without a mistake that go through all cases there are."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcomes]:
    """Of a group, every broken provider, installed, through its case, and `Right`, which has no mistake, through the
    same cases of those that are made from it; of ``SOUND``, `Web` and `Plain` through all there are."""

    @functools.cache
    def of(group: str) -> Outcomes:
        chosen = {"TestWeb", "TestPlain"} if group == SOUND else set()
        for name in GROUPS.get(group, ()):
            provider, case, _ = MISTAKES[name]
            chosen |= {f"Test{name}::{case}"} | (set() if issubclass(provider, Web) else {f"TestRight::{case}"})
        report = made_once(tmp_path_factory, f"broken providers, {group}", lambda site: _run(site, chosen))
        told: Outcomes = {}
        for ran in ET.fromstring(report).iter("testcase"):
            key = (ran.get("classname", "").rpartition(".Test")[2], ran.get("name", ""))
            problem = next((item for item in ran if item.tag in ("failure", "error", "skipped")), None)
            told[key] = "" if problem is None else f"{problem.tag}: {problem.get('message')}\n{problem.text}"
        return told

    return of


def _run(site: Path, chosen: set[str]) -> bytes:
    """The report of the kit's run, in the empty folder ``site``."""
    package = site / "kit_broken"
    shutil.copytree(Path(__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "__init__.py").touch()
    (site / "kit_sdk.py").touch()
    (site / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    _offer(site, "kit-broken", {Right, Plain, Web, *(mistake.provider for mistake in MISTAKES.values())})
    _offer(site, "kit-broken-copy", {MISTAKES["IsOfferedTwice"].provider})
    report = site / "report.xml"
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        + [f"kit_broken/broken_contract.py::{each}" for each in sorted(chosen)],
        cwd=site,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        check=False,
    )
    return report.read_bytes()


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in GROUPS for name in GROUPS[group]])
def test_a_broken_provider_is_caught(outcomes: Callable[[str], Outcomes], group: str, name: str) -> None:
    _, case, words = MISTAKES[name]
    told = outcomes(group)[name, case]
    assert told.startswith(("failure: ", "error: failed on teardown")), f"{case} did not fail: {told}"
    assert words in told
    assert "another exception occurred" not in told
    assert "Traceback" not in told


@pytest.mark.parametrize("group", GROUPS)
def test_the_right_one_passes_the_same_cases(outcomes: Callable[[str], Outcomes], group: str) -> None:
    wanted = {("Right", MISTAKES[name].case) for name in GROUPS[group] if not issubclass(MISTAKES[name].provider, Web)}
    assert wanted == {key for key, told in outcomes(group).items() if key[0] == "Right" and not told}


def test_one_without_a_mistake_passes_all(outcomes: Callable[[str], Outcomes]) -> None:
    web = [told for (name, _), told in outcomes(SOUND).items() if name == "Web"]
    assert web == [""] * len(web)
    assert len(web) > 90


def test_what_is_declared_away_is_skipped_and_the_rest_passes(outcomes: Callable[[str], Outcomes]) -> None:
    told = [told for (name, _), told in outcomes(SOUND).items() if name == "Plain"]
    assert [words for words in told if words and not words.startswith("skipped: ")] == []
    assert sum(not words for words in told) > 40
    assert any("declares that it cannot: enforce a grant's expiry" in words for words in told)


def test_there_are_enough_of_them() -> None:
    assert len(MISTAKES) >= 15
    assert set(FLAWS) < set(MISTAKES)


def _offer(site: Path, distribution: str, providers: set[type[object]]) -> None:
    """What an installation leaves behind, as far as it is looked at."""
    folder = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    points = [
        f"{cls.__name__.lower()} = kit_broken.{cls.__module__.rpartition('.')[2]}:{cls.__name__}\n" for cls in providers
    ]
    (folder / "entry_points.txt").write_text("[vvos.providers]\n" + "".join(points))
