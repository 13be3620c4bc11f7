"""``vvos abort``: gives unfinished uploads up, here and at the provider."""

from __future__ import annotations

import sys

import click

from ..errors import VVOSError
from ..unfinished import Unfinished
from .outcome import FAILED, OK, say
from .text import count, printable


@click.command(short_help="Give unfinished uploads up, also at the provider.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
def abort(ids: tuple[str, ...]) -> int:
    """Give unfinished uploads up: those with these ids, or the first characters of them; all without any.

    The provider forgets what is stored of them, so that nobody pays for it, and so does this machine. On a terminal
    it asks before it gives up all.

    Exit status: 0 all are aborted; 1 one is not, and stays in the list.
    """
    unfinished = Unfinished()
    records = unfinished.find(ids)
    if not ids and records and sys.stdin.isatty():
        click.confirm(f"Give up {count(len(records), 'unfinished upload')}?", abort=True, err=True)
    status = OK
    for record in records:
        try:
            unfinished.abort(record)
        except VVOSError as error:
            say(f"{record.client_key} is not aborted: {error} [{error.code}]")
            status = FAILED
        else:
            click.echo(f"aborted    {printable(record.client_key)}")
    return status
