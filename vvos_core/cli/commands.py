"""The group ``vvos``: its commands by name and module, each imported only when it is called."""

from __future__ import annotations

import click

from .. import __version__
from .lazy import LazyGroup

SUMMARIES = {
    "put": "Upload files and folders.",
    "uploads": "List unfinished uploads.",
    "resume": "Go on with unfinished uploads.",
    "abort": "Give unfinished uploads up, also at the provider.",
    "serve": "Run the broker.",
    "broker": "Look after a broker.",
    "demo": "Show the whole path at work on this machine, and check it.",
    "providers": "List the installed providers.",
    "doctor": "Check a deployment, and say what to mend.",
    "config": "Work with the configuration.",
    "emulate": "Run a local emulator of a storage service.",
}
"""Each command and its one line in ``vvos --help``; the module has the command's name, and so has the object in it."""


@click.group(
    cls=LazyGroup,
    summaries=SUMMARIES,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="vvos")
def vvos() -> None:
    """Upload files straight to cloud storage, on a token from your backend.

    Every command says more with --help.
    """
