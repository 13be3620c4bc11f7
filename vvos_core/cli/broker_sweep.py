"""``vvos broker sweep``: aborts unfinished uploads that expired, once."""

from __future__ import annotations

import click
import msgspec

from ..broker import extra
from .broker_config import config_option, served
from .outcome import FAILED, OK
from .text import count


@click.command(short_help="Abort unfinished uploads that expired.")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def sweep(config: str | None, as_json: bool) -> int:
    """Abort at the providers the uploads that expired unfinished, and those that a broker began when it was killed.

    Aborts only what the broker has begun. `vvos serve` does the same from time to time; both may run at once.

    Exit status: 0 all was swept; 1 something stays for the next sweep; 2 the configuration does not do.
    """
    with extra():
        from ..broker.sweeping import Sweeping
    with Sweeping.of(served(config)) as sweeping:
        swept = sweeping.sweep()
    if as_json:
        click.echo(msgspec.json.encode(swept))
    else:
        click.echo(
            f"{count(swept.aborted, 'upload')} aborted, {count(swept.left, 'upload')} left for the next sweep, "
            f"{count(swept.pruned, 'record')} pruned"
        )
    return FAILED if swept.left else OK
