"""``vvos resume``: goes on with unfinished uploads."""

from __future__ import annotations

import click

from ..results import Result
from ..unfinished import Unfinished
from .display import Display
from .speed import speed_options
from .submitting import submitted


@click.command(short_help="Go on with unfinished uploads.")
@click.argument("ids", metavar="[ID]...", nargs=-1)
@speed_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
def resume(ids: tuple[str, ...], concurrency: int | None, limit_rate: float | None, as_json: bool, quiet: bool) -> int:
    """Go on with unfinished uploads: those with these ids, or the first characters of them; all without any.

    What the provider has is not sent again. Each goes to where it was begun for; the credentials are those of now.

    Exit status: as of vvos put.
    """

    def run(display: Display) -> list[Result]:
        unfinished = Unfinished()
        return unfinished.resume(
            unfinished.find(ids),
            concurrency=concurrency,
            limit_rate=limit_rate,
            on_result=display.on_result,
            on_progress=display.on_progress,
        )

    return submitted(run, as_json=as_json, quiet=quiet)
