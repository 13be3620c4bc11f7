"""The group ``vvos``: its commands by name and module, each imported only when it is called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click

from .. import __version__

SUMMARIES = {
    "put": "Upload files and folders.",
    "uploads": "List unfinished uploads.",
    "resume": "Go on with unfinished uploads.",
    "abort": "Give unfinished uploads up, also at the provider.",
    "serve": "Run the broker.",
    "broker": "Look after a broker's database.",
    "demo": "Show the whole path at work on this machine, and check it.",
    "providers": "List the installed providers.",
    "doctor": "Check a deployment, and say what to mend.",
    "config": "Work with the configuration.",
    "emulate": "Run a local emulator of a storage service.",
}
"""Each command and its one line in ``vvos --help``; the module has the command's name, and so has the object in it."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and lists all without importing any.

    ``summaries`` has its commands; the module of each is ``before`` and the command's name.
    """

    summaries: Mapping[str, str] = SUMMARIES
    before = ""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.summaries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.summaries:
            return None
        module = importlib.import_module(f".{self.before}{cmd_name}", __package__)
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(self.summaries.items()))


@click.group(cls=LazyGroup, no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vvos")
def vvos() -> None:
    """Upload files straight to cloud storage, on a token from your backend.

    Every command says more with --help.
    """
