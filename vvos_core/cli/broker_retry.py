"""``vvos broker retry``: puts events that were given up back in line."""

from __future__ import annotations

import time

import click

from ..broker import extra
from .broker_config import config_option, served
from .outcome import FAILED, OK, say
from .text import count


@click.command(short_help="Deliver again what was given up.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@config_option
def retry(ids: tuple[str, ...], config: str | None) -> int:
    """Make events that were given up due again: those of the IDs, as `vvos broker outbox --dead` lists them, or all.

    A running broker delivers them within seconds, each under the id that it always had.

    Exit status: 0 they are due; 1 an ID is not among those that were given up; 2 the configuration does not do.
    """
    with extra():
        from ..broker.app import open_ledger
    ledger = open_ledger(served(config))
    try:
        due = ledger.outbox.retry(ids, time.time())
    finally:
        ledger.close()
    click.echo(f"{count(len(due), 'event')} will be delivered again.")
    unknown = [each for each in dict.fromkeys(ids) if each not in due]
    for each in unknown:
        say(f"{each} is not among the events that were given up; `vvos broker outbox --dead` lists them.")
    return FAILED if unknown else OK
