"""``vvos broker deliver``: tells listeners what is due, once; for who runs it by a timer."""

from __future__ import annotations

import click

from ..broker import extra
from .broker_config import config_option, served
from .outcome import FAILED, OK
from .text import count


@click.command(short_help="Tell listeners what is due, then end.")
@config_option
def deliver(config: str | None) -> int:
    """Tell the configured webhooks what is due, and end when nothing is; also while brokers do the same.

    Plugins that an application gives to its broker are told by that application alone.

    Exit status: 0 all was delivered; 1 something was not, and stays in the outbox; 2 the configuration does not do.
    """
    with extra():
        from ..broker.app import deliver as run
    counts = run(served(config))
    click.echo(f"{count(counts.delivered, 'event')} delivered, {counts.failed:,} failed.")
    return FAILED if counts.failed else OK
