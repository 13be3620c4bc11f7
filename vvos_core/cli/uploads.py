"""``vvos uploads``: what was begun and not finished."""

from __future__ import annotations

import time

import click
import msgspec
from msgspec import Struct

from ..journal import Record
from ..unfinished import Unfinished
from .outcome import OK
from .text import age, printable, size, well_formed


class Entry(Struct, frozen=True, kw_only=True, rename="camel"):
    """One unfinished upload, as ``--json`` tells it."""

    id: str
    client_key: str
    path: str
    size: int
    """Bytes."""
    stored: int
    """Bytes that the provider has confirmed."""
    begun_at: float
    """Seconds since 1970, UTC."""
    changed_at: float
    error: str
    """``CODE: sentence`` of the last failure; empty when it was stopped or killed."""


@click.command(short_help="List unfinished uploads.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def uploads(as_json: bool) -> int:
    """List the uploads that were begun and not finished: id, age, how far they came, and what went wrong.

    ``vvos resume`` goes on with them, and so does the command that began them; ``vvos abort`` gives them up.
    """
    entries = [_entry(record) for record in Unfinished()]
    if as_json:
        click.echo(msgspec.json.encode({"uploads": entries}))
    elif not entries:
        click.echo("No upload is unfinished.")
    for entry in () if as_json else entries:
        part = entry.stored / entry.size if entry.size else 1.0
        click.echo(
            f"{entry.id}  {age(time.time() - entry.begun_at):>4}  {part:>4.0%} of {size(entry.size):>10}  "
            f"{printable(entry.client_key)}"
        )
        if entry.error:
            click.echo(f"    {printable(entry.error)}")
    return OK


def _entry(record: Record) -> Entry:
    return Entry(
        id=record.id,
        client_key=well_formed(record.client_key),
        path=well_formed(record.path),
        size=record.fingerprint.size,
        stored=sum(receipt.size for receipt in record.receipts),
        begun_at=record.begun_at,
        changed_at=record.changed_at,
        error=well_formed(record.error),
    )
