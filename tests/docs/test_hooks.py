"""docs/hooks.md has a section for each hook, with its signature, and a table for each value, with its fields."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from vvos_core import errors, model
from vvos_core.builtin.directory import DirectorySettings
from vvos_core.hooks import CONTRACT, PROJECT, Spec
from vvos_core.testing import Capabilities
from vvos_core.testing.author import Author

PAGE = Path(__file__).parents[2] / "docs" / "hooks.md"
TEXT = PAGE.read_text(encoding="utf-8")
HOOKS = [name for name, member in vars(Spec).items() if hasattr(member, f"{PROJECT}_spec")]
VALUES = [
    model.Ask,
    model.TokenRequest,
    model.Grant,
    model.ExistsRequest,
    model.Found,
    model.Receipt,
    model.Stored,
    model.Finished,
    model.Event,
    model.NotifyRequest,
    model.Notified,
    model.DiagnoseRequest,
    model.Diagnosis,
    model.Finding,
    model.Rules,
    model.Unfinished,
]


def section(heading: str, level: str) -> str:
    """The text below a heading, to the next of its level or above."""
    found = re.search(rf"^{level} {heading}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/hooks.md has no section '{level} {heading}'"
    return found.group(1)


def test_the_contract_is_among_the_hooks() -> None:
    assert set(CONTRACT) < set(HOOKS)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_has_its_section_with_its_exact_signature(hook: str) -> None:
    code = re.findall(r"```python\n(.*?)\n```", section(hook, "##"), re.DOTALL)
    assert code == [f"def {hook}{inspect.signature(getattr(Spec, hook))}".replace("'", "")]


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("part", ["Arguments", "Answers", "Errors", "May assume:", "May not assume:"])
def test_a_hooks_section_says_what_there_is_to_say(hook: str, part: str) -> None:
    assert re.search(rf"^\*\*{part}\.?\*\*", section(hook, "##"), re.MULTILINE), f"{hook} says nothing of: {part}"


@pytest.mark.parametrize("hook", HOOKS)
def test_every_argument_is_explained(hook: str) -> None:
    for name in list(inspect.signature(getattr(Spec, hook)).parameters)[1:]:
        arguments = section(hook, "##").partition("**Arguments.**")[2].partition("**Answers.**")[0]
        assert f"`{name}`" in arguments or f"`{name}." in arguments, f"{hook}: the argument {name} is not explained"


@pytest.mark.parametrize("value", VALUES, ids=lambda value: str(value.__name__))
def test_a_value_has_a_table_of_its_fields(value: Any) -> None:
    rows = re.findall(r"^\| (`.*?) \|", section(value.__name__, "###"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(value.__struct_fields__)


def test_every_error_that_is_named_exists() -> None:
    table = section("Answers and errors", "##")
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named
    assert all(issubclass(getattr(errors, name), errors.VVOSError) for name in named)


def test_what_an_author_says_is_in_the_table() -> None:
    public = {name for name in vars(Author) if not name.startswith("_")} - {"service"}
    assert _first_columns("Testing")[0] == public
    assert _first_columns("Testing")[1] == {field.name for field in fields(Capabilities)}


def test_the_settings_of_the_directory_are_in_the_table() -> None:
    assert _first_columns("The provider to read first")[0] == set(DirectorySettings.__struct_fields__)


def _first_columns(heading: str) -> list[set[str]]:
    """The names in the first column of each table of a section."""
    tables = re.findall(r"^\|[^\n]*\n\|---.*?(?=\n\n|\Z)", section(heading, "##"), re.MULTILINE | re.DOTALL)
    return [
        {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)", row)}
        for table in tables
    ]
