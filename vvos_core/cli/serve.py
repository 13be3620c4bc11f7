"""``vvos serve``: runs the broker in the foreground."""

from __future__ import annotations

import click

from ..broker.serve import serve as run
from ..profile import load
from .outcome import OK


@click.command(short_help="Run the broker.")
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(readable=False),
    help="The vvos.toml to use, instead of searching one.",
)
@click.option("--host", help="Listen here, instead of at the configuration's host.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen here, instead; 0 takes a free port.")
def serve(config: str | None, host: str | None, port: int | None) -> int:
    """Run the broker that the configuration describes, until it is interrupted.

    Prints one line with its address once it answers. Its log goes to standard error, a JSON object on each line.

    Exit status: 0 interrupted; 2 the configuration does not do, or the address is taken.
    """
    run(load(config), host=host, port=port, on_ready=lambda url: click.echo(f"VVOS broker listening at {url}"))
    return OK
