"""``vvos providers``: what is installed, by which rules it cuts files, and what is broken; and how a new one begins."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click
import msgspec
from msgspec import Struct

from ..errors import PluginError
from ..loader import Installed, installed, provider_class
from ..model import Rules
from .document import Fault, fault
from .outcome import FAILED, OK
from .skeleton import write
from .text import printable, size


class Entry(Struct, frozen=True, kw_only=True):
    """One provider of one distribution, as ``--json`` tells it."""

    name: str
    distribution: str
    version: str
    target: str
    """``module:class``, as the distribution's entry point says."""
    rules: Rules | None
    """Sizes in bytes; None where it is broken, and where the rules are its profile's."""
    error: Fault | None
    """Why it cannot be used."""


@click.group(short_help="List the installed providers.", invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.pass_context
def providers(context: click.Context, as_json: bool) -> int:
    """List the installed providers: package and version, and the rules by which files are cut for them.

    The rules are those without a profile; a profile may set its own. No SDK is imported.

    Exit status: 0 all can be used; 1 one is broken, or offered by two packages.
    """
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError("--json is for the list of providers alone; leave it out.", context)
        return OK
    found = installed()
    entries = [_entry(item) for item in found]
    if as_json:
        click.echo(msgspec.json.encode({"providers": entries}))
    elif not entries:
        click.echo("No provider is installed. Install one: pip install vvos-NAME")
    else:
        click.echo("\n\n".join(map(_told, entries)))
    return FAILED if any(entry.error for entry in entries) else OK


@providers.command(short_help="Write the package of a new provider.")
@click.argument("name")
@click.option(
    "--in",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    default=".",
    help="The folder that the package's folder is put into; otherwise the working folder.",
)
def new(name: str, folder: Path) -> int:
    """Write the package of a new provider into the folder vvos-NAME: one that can be installed and is found.

    Its tests are the conformance kit, and they fail where there is something to fill in. NAME is one word of
    lower-case letters and digits. Nothing is overwritten.

    Exit status: 0 it is written; 2 the name is taken or cannot be one, or the folder is there already.
    """
    written = write(name, folder)
    click.echo(f"{printable(str(written))} is written. What comes next:")
    for command in (
        ["python", "-m", "pip", "install", "-e", f"{os.path.join(folder, '')}{written.name}[test]"],
        ["vvos", "providers"],
        ["python", "-m", "pytest", str(written)],
    ):
        click.echo(f"    {printable(shlex.join(command))}")
    return OK


def _entry(item: Installed) -> Entry:
    rules, error = None, None
    try:
        # Where several distributions claim the name this refuses, and names them all.
        declared = provider_class(item.name).rules
        rules = declared if isinstance(declared, Rules) else None
    except PluginError as failed:
        error = fault(failed)
    return Entry(
        name=item.name,
        distribution=item.distribution,
        version=item.version,
        target=item.target,
        rules=rules,
        error=error,
    )


def _told(entry: Entry) -> str:
    lines = [printable(f"{entry.name}  ({entry.distribution} {entry.version})")]
    if entry.error:
        lines.append(f"  broken: {printable(entry.error.message)}")
    elif entry.rules is None:
        lines.append("  rules: its profile's")
    else:
        rules = entry.rules
        lines += [
            f"  in one piece up to   {size(rules.threshold)}",
            f"  parts                {size(rules.part_size)}, at least {size(rules.min_part)}, at most "
            f"{size(rules.max_part)}, {rules.max_parts:,} of them",
            f"  largest object       {size(rules.max_size)}",
            f"  longest key          {rules.max_key:,} bytes",
        ]
    return "\n".join(lines)
