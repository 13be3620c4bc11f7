"""``vvos broker``: what the operator of a broker does beside serving."""

from __future__ import annotations

import click

from .lazy import LazyGroup

SUMMARIES = {
    "sweep": "Abort unfinished uploads that expired.",
    "outbox": "List what listeners are still to be told.",
    "retry": "Deliver again what was given up.",
    "deliver": "Tell listeners what is due, then end.",
}
"""Each command and its one line in the help; the module ``broker_NAME`` has it."""


@click.group(short_help="Look after a broker.", cls=LazyGroup, summaries=SUMMARIES, prefix="broker_")
def broker() -> None:
    """Look after a broker: on its machine, with its configuration, while it runs or not."""
