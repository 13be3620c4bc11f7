"""The group ``vvos broker``: what looks after a broker's database, each command in a module of its own."""

from __future__ import annotations

import click

from .commands import LazyGroup

SUMMARIES = {
    "sweep": "Abort unfinished uploads that expired.",
}
"""Each command and its one line; the module is ``broker_`` and the command's name."""


class BrokerGroup(LazyGroup):
    summaries = SUMMARIES
    before = "broker_"


@click.group(cls=BrokerGroup, short_help="Look after a broker's database.")
def broker() -> None:
    """Look after a broker's database, also while it serves."""
