"""What is only asked for its version or help imports next to nothing; each command's line in the help is its own."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from vvos_core import __version__
from vvos_core.cli.commands import SUMMARIES, vvos

HEAVY = (
    "logging",
    "traceback",
    "requests",
    "urllib3",
    "rich",
    "msgspec",
    "starlette",
    "uvicorn",
    "pluggy",
    "sqlalchemy",
    "boto3",
    "botocore",
    "httptools",
)
SDKS = ("boto3", "botocore", "moto", "oss2", "qiniu", "awscrt")


def modules_after(*args: str) -> set[str]:
    code = (
        "import sys\nfrom vvos_core.cli import main\n"
        f"status = main({list(args)!r})\nassert status == 0, status\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [["--version"], ["--help"]])
def test_version_and_help_import_nothing_heavy(args: list[str]) -> None:
    assert not modules_after(*args) & {*HEAVY, *SDKS}


def test_providers_imports_no_sdk() -> None:
    loaded = modules_after("providers")
    assert "vvos_s3" in loaded
    assert not loaded & set(SDKS)


@pytest.mark.parametrize("name", SUMMARIES)
def test_summary_is_the_commands_own(name: str) -> None:
    command = vvos.get_command(click.Context(vvos), name)
    assert command is not None
    assert command.name == name
    assert command.get_short_help_str(200) == SUMMARIES[name]


def test_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    from vvos_core.cli import main

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vvos, version {__version__}\n"
