"""``vvos providers``: what is installed, by which rules it cuts files, and what is broken."""

from __future__ import annotations

import click
import msgspec
from msgspec import Struct

from ..errors import PluginError
from ..loader import Installed, installed, provider_class
from ..model import Rules
from .document import Fault, fault
from .outcome import FAILED, OK
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


@click.command(short_help="List the installed providers.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def providers(as_json: bool) -> int:
    """List the installed providers: package and version, and the rules by which files are cut for them.

    The rules are those without a profile; a profile may set its own. No SDK is imported.

    Exit status: 0 all can be used; 1 one is broken, or offered by two packages.
    """
    found = installed()
    entries = [_entry(item) for item in found]
    if as_json:
        click.echo(msgspec.json.encode({"providers": entries}))
    elif not entries:
        click.echo("No provider is installed. Install one: pip install vvos-NAME")
    else:
        click.echo("\n\n".join(map(_told, entries)))
    return FAILED if any(entry.error for entry in entries) else OK


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
