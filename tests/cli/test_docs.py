"""``docs/cli.md`` says what there is: every command, option, status and field, and examples that are true."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import msgspec
import pytest

from vvos_core.cli import outcome
from vvos_core.cli.commands import SUMMARIES, vvos
from vvos_core.cli.display import arrival, failure, summary
from vvos_core.cli.document import Document, Fault, File
from vvos_core.cli.emulators import Emulator
from vvos_core.errors import BY_CODE
from vvos_core.results import Result

from .running import Run

TEXT = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md lacks the section {title!r}"
    return found[1]


def leaves() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(vvos)
    for name in vvos.list_commands(context):
        command = vvos.get_command(context, name)
        assert command is not None
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield name, command
        if isinstance(command, click.Group):
            for below in command.list_commands(context):
                each = command.get_command(context, below)
                assert each is not None
                yield f"{name} {below}", each


@pytest.mark.parametrize(("name", "command"), list(leaves()), ids=lambda value: value if isinstance(value, str) else "")
def test_every_option_is_in_its_commands_table_and_no_other(name: str, command: click.Command) -> None:
    options = [param for param in command.params if isinstance(param, click.Option)]
    there = {opt for option in options for opt in (*option.opts, *option.secondary_opts)}
    rows = re.findall(r"^\| (`-.*?) \|", section(f"vvos {name}"), re.MULTILINE)
    told = {opt for row in rows for opt in re.findall(r"(?<![\w-])--?[a-z-]+", row)}
    assert told == there


def test_the_overview_has_every_command() -> None:
    for name, line in SUMMARIES.items():
        assert re.search(rf"^\| \[`vvos {name}\b.*\| {re.escape(line)} \|$", TEXT, re.MULTILINE), name


def test_every_exit_status_is_told() -> None:
    told = set(map(int, re.findall(r"^\| (\d+) \|", section("For all commands"), re.MULTILINE)))
    statuses = (outcome.OK, outcome.FAILED, outcome.WRONG, outcome.FAULT, outcome.INTERRUPTED, outcome.TERMINATED)
    assert told == set(statuses)


def test_the_json_example_is_a_document() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    example = msgspec.json.decode(block, type=Document, strict=True)
    assert json.loads(block) == json.loads(msgspec.json.encode(example)), "it has every field and no other"
    assert example.files[1].error is not None
    assert example.files[1].error.code in BY_CODE
    assert example.bytes == example.files[0].size


def test_every_field_of_the_document_is_told() -> None:
    told = set(re.findall(r"^\| `([\w.\[\]]+)` \| ", section("vvos put"), re.MULTILINE))
    fields = {field.encode_name for field in msgspec.structs.fields(Document)}
    assert told == fields | {f"files[].{field.encode_name}" for field in msgspec.structs.fields(File)}
    assert {field.encode_name for field in msgspec.structs.fields(Fault)} == {"code", "message"}


def test_the_lines_of_put_are_as_told() -> None:
    def result(name: str, state: str, size: int, reused: bool = False) -> Result:
        error = BY_CODE["SOURCE_MISSING"]("c.txt is not there; check the path.") if state == "failed" else None
        key, url = f"up/{name}", f"https://cdn.example/up/{name}"
        return Result(
            client_key=name, key=key, url=url, size=size, state=state, checksum="", reused=reused, error=error
        )

    results = [
        result("film.mp4", "done", 24 * 2**20),
        result("a.txt", "done", 3, reused=True),
        result("b.txt", "skipped", 3),
        result("c.txt", "failed", 0),
    ]
    lines = [*map(arrival, results[:3]), failure(results[3]), summary(results, 2.1)]
    told = section("vvos put")
    for line in lines:
        assert f"    {line}\n" in told


def test_what_providers_prints_is_as_told(run: Run) -> None:
    example = re.search(r"\$ vvos providers\n((?:    .*\n)+)", TEXT)
    assert example
    told = re.sub(r"^    ", "", example[1], flags=re.MULTILINE)
    assert told in run("providers")[1]


def test_the_mistakes_are_as_told(toml: Callable[..., Path], run: Run) -> None:
    toml(more='bukket = "b"\n\n', tail="[broker]\n\nprot = 1")
    example = re.findall(r"^    (vvos\.toml:\d+: .*)$", section("vvos config check"), re.MULTILINE)
    assert len(example) == 2
    assert run("config", "check")[1].splitlines() == example


def test_every_member_of_an_emulator_is_told() -> None:
    members = {name for name in vars(Emulator) if not name.startswith("_")}
    rows = re.findall(r"^\| (`.*?) \|", section("vvos emulate").partition("### ")[2], re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`(\w+)", row)}
    assert told == members
