"""``vvos broker outbox``: what listeners are still to be told, and what was given up."""

from __future__ import annotations

import time

import click
import msgspec

from ..broker import extra
from .broker_config import config_option, served
from .outcome import OK, say
from .text import printable

MOST = 1000
"""Events that are listed; who has more does not read them one by one."""


@click.command(short_help="List what listeners are still to be told.")
@click.option("--dead", is_flag=True, help="Only events that were given up.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def outbox(dead: bool, as_json: bool, config: str | None) -> int:
    """List what listeners (webhooks and plugins) are still to be told: the oldest 1,000 events.

    Exit status: 0 it is listed; 1 the database does not answer; 2 the configuration does not do.
    """
    with extra():
        from ..broker.app import open_ledger
    ledger = open_ledger(served(config))
    try:
        found = ledger.outbox.waiting(dead=dead, most=MOST)
    finally:
        ledger.close()
    if as_json:
        click.echo(msgspec.json.encode({"events": found}))
        return OK
    for event in found:
        state = "dead" if event.dead_at is not None else f"due {_utc(event.due_at)}"
        line = f"{event.id}  {event.listener}  {event.profile}  {event.key}  {event.attempts} tries  {state}"
        click.echo(printable(f"{line}  {event.error}".rstrip()))
    if not found:
        say("nothing was given up." if dead else "nothing is left to tell.")
    return OK


def _utc(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
