"""A group of commands that are each imported only when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """Lists all its commands without importing any.

    ``summaries`` has each command's name and its one line in the help. The module of a command, in this package, has
    the command's name with ``prefix`` before it; the object in it has the name alone.
    """

    def __init__(self, *args: Any, summaries: Mapping[str, str], prefix: str = "", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self._summaries = summaries
        self._prefix = prefix

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._summaries:
            return None
        importlib.import_module(".log", __package__).listen()
        module = importlib.import_module(f".{self._prefix}{cmd_name}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
