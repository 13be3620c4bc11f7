"""``vvos emulate``: runs a local emulator of a storage service until it is interrupted."""

from __future__ import annotations

import click
import msgspec

from .emulators import emulator
from .outcome import OK
from .waiting import terminable, until_interrupted


@click.command(short_help="Run a local emulator of a storage service.")
@click.argument("name")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port of 127.0.0.1; otherwise a free one.")
@click.option("--bucket", help="The bucket that it has from the start.")
def emulate(name: str, port: int, bucket: str | None) -> int:
    """Run the emulator NAME until it is interrupted.

    Once it serves, it prints one line: a JSON object with what a client needs, such as endpoint, access_key,
    secret_key, bucket and region. What is stored in it is gone when it ends.

    Exit status: 0 interrupted; 2 there is no such emulator, or its port is taken.
    """
    with terminable(), emulator(name, port=port, bucket=bucket) as running:
        click.echo(msgspec.json.encode(dict(running.info)))
        until_interrupted()
    return OK
