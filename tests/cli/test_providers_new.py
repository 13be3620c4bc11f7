"""``vvos providers new``: what it writes installs, is found, and fails the kit only where there is work left."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import pytest

from vvos_core.cli import skeleton

from .running import Run

ROOT = Path(__file__).parents[2]
PLACES = ("_begun", "_signed")
"""What is met first, of a large object and of a small one; the others are met when these are filled in."""


class Made(NamedTuple):
    folder: Path
    site: Path

    def python(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Runs Python in the package's folder, where the package is installed."""
        env = {**os.environ, "PYTHONPATH": str(self.site)}
        command = [sys.executable, *args]
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A generated package, installed beside this environment."""
    top = tmp_path_factory.mktemp("made")
    skeleton.write("cumulus", top)
    new = Made(top / "vvos-cumulus", top / "site")
    pip = ("-m", "pip", "--disable-pip-version-check", "install", "--no-index", "--no-deps", "--no-build-isolation")
    done = new.python(*pip, "--quiet", "--target", str(new.site), ".")
    assert done.returncode == 0, done.stderr
    return new


def test_it_is_found(made: Made) -> None:
    done = made.python("-m", "vvos_core.cli", "providers", "--json")
    (entry,) = (item for item in json.loads(done.stdout)["providers"] if item["name"] == "cumulus")
    assert (done.returncode, entry["error"]) == (0, None)
    assert (entry["distribution"], entry["target"]) == ("vvos-cumulus", "vvos_cumulus:CumulusProvider")
    assert entry["rules"]["max_parts"] == 10_000


def test_the_kit_fails_only_where_something_is_to_be_filled_in(made: Made) -> None:
    report = made.site / "report.xml"
    done = made.python("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}")
    told: dict[str, list[tuple[str, str]]] = {}
    for case in ET.parse(report).iter("testcase"):
        problem = next((item for item in case if item.tag in ("failure", "error", "skipped")), None)
        kind, words = ("passed", "") if problem is None else (problem.tag, f"{problem.get('message')}\n{problem.text}")
        told.setdefault(kind, []).append((str(case.get("name")), words))
    assert set(told) == {"passed", "failure", "skipped"}, done.stdout
    for name, words in told["failure"]:
        assert re.search(r"fill in \w+ of vvos_cumulus/provider\.py: ", words), f"{name}: {words}"
    assert {place for place in PLACES for _, words in told["failure"] if f"fill in {place} " in words} == set(PLACES)
    names = {name.partition("[")[0] for name, _ in told["passed"]}
    assert names >= {
        "test_one_entry_point_has_the_name",
        "test_an_unknown_setting_is_refused",
        "test_the_rules_fit_together",
        "test_every_plan_obeys_the_rules",
        "test_a_bad_key_is_refused",
        "test_metadata_are_kept_or_refused",
        "test_without_settings_it_says_that_it_can_only_store",
    }
    for name, words in told["skipped"]:
        given_up = r"address\(\) is not overridden|there is no network|no SDK is declared|list unfinished uploads"
        assert re.search(given_up, words), name


def test_the_tutorial_begins_with_what_is_written_and_said(made: Made) -> None:
    page = (ROOT / "docs" / "write-a-provider.md").read_text(encoding="utf-8").replace("webdav", "cumulus")
    listed = re.search(r"    vvos-cumulus/\n((?:        .*\n)+)", page)
    assert listed
    assert set(listed[1].split()) == {place.format(name="cumulus") for place in skeleton.FILES.values()}
    (told,) = re.findall(r"^    (token failed .*)$", page, re.MULTILINE)
    done = made.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "test_token_may_be_asked_again")
    assert told in done.stdout.splitlines()


def test_every_place_says_what_to_do(made: Made) -> None:
    text = (made.folder / "vvos_cumulus" / "provider.py").read_text(encoding="utf-8")
    methods = set(re.findall(r"^    def (\w+)\(", text, re.MULTILINE))
    places = set(re.findall(r'_fill_in\("(\w+)", "', text))
    assert places >= {*PLACES, "_found", "_url", "put_chunk", "complete", "abort"}
    assert places <= methods
    assert text.count("raise _fill_in(") == len(places)


def test_what_is_written_is_clean(made: Made) -> None:
    rules = ("--isolated", "--line-length=120", "--target-version=py310", "--no-cache")
    for command in (("check", "--select=E,F,W,I,B,UP,SIM,RET"), ("format", "--check")):
        done = made.python("-m", "ruff", command[0], *rules, *command[1:], "vvos_cumulus", "tests")
        assert done.returncode == 0, done.stdout
    assert not [path for path in made.folder.rglob("*.*") if path.is_file() and "$" in path.read_text("utf-8")]


def test_every_template_is_used() -> None:
    folder = ROOT / "vvos_core" / "cli" / "templates" / "provider"
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == {f"{name}.template" for name in skeleton.FILES}


def test_it_says_what_comes_next(run: Run, clean: Path) -> None:
    (clean / "meine Ablage").mkdir()
    status, out, err = run("providers", "new", "cumulus", "--in", "meine Ablage")
    assert (status, err) == (0, "")
    written, install, listed, test = out.splitlines()
    assert written == "meine Ablage/vvos-cumulus is written. What comes next:"
    target = shlex.split(install)[-1]
    assert target.endswith("vvos-cumulus[test]")
    assert (clean / target.removesuffix("[test]") / "pyproject.toml").is_file()
    assert "/" in target, "pip takes what has no slash for a name"
    assert shlex.split(listed) == ["vvos", "providers"]
    assert (clean / shlex.split(test)[-1] / "tests").is_dir()


def test_it_is_written_into_the_working_folder_and_says_what_the_documentation_says(run: Run, clean: Path) -> None:
    status, out, _ = run("providers", "new", "cumulus")
    example = re.search(
        r"\$ vvos providers new cumulus\n((?:    .*\n)+)", (ROOT / "docs" / "cli.md").read_text("utf-8")
    )
    assert example
    assert (status, out) == (0, re.sub(r"^    ", "", example[1], flags=re.MULTILINE))
    assert (clean / "vvos-cumulus" / "vvos_cumulus" / "provider.py").is_file()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Cumulus", "cannot be a provider's name"),
        ("2cumulus", "cannot be a provider's name"),
        ("cumu-lus", "cannot be a provider's name"),
        ("cumu_lus", "cannot be a provider's name"),
        ("cumulus\n", "cannot be a provider's name"),
        ("../cumulus", "cannot be a provider's name"),
        ("云", "cannot be a provider's name"),
        ("", "cannot be a provider's name"),
        ("c" * 41, "cannot be a provider's name"),
        ("s3", "vvos-s3 offers a provider s3 already"),
        ("directory", "vvos offers a provider directory already"),
        ("core", "there is a module vvos_core already"),
    ],
)
def test_a_name_that_cannot_be(run: Run, clean: Path, name: str, words: str) -> None:
    status, out, err = run("providers", "new", name)
    assert (status, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not list(clean.iterdir())


def test_nothing_is_overwritten(run: Run, clean: Path) -> None:
    mine = clean / "vvos-cumulus" / "pyproject.toml"
    mine.parent.mkdir()
    mine.write_text("mine")
    status, _, err = run("providers", "new", "cumulus")
    assert status == 2
    assert "vvos-cumulus is there already" in err
    assert [(path, path.read_text()) for path in clean.rglob("*.*") if path.is_file()] == [(mine, "mine")]


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_cannot_be(run: Run, clean: Path, folder: str) -> None:
    (clean / "file").touch()
    status, _, err = run("providers", "new", "cumulus", "--in", folder)
    assert status == 2
    assert f"{folder}/vvos-cumulus cannot be written: " in err
    assert "--in" in err


def test_the_lists_option_is_not_for_new(run: Run, clean: Path) -> None:
    status, _, err = run("providers", "--json", "new", "cumulus")
    assert status == 2
    assert "--json is for the list" in err
    assert not list(clean.iterdir())


def test_an_unknown_subcommand_is_refused(run: Run) -> None:
    status, out, err = run("providers", "neu")
    assert (status, out) == (2, "")
    assert "neu" in err
