"""``vvos demo``: the whole path at work on this machine: emulator, broker, client, and every byte compared."""

from __future__ import annotations

import hashlib
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import click
from msgspec import Struct
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..broker import create_app
from ..broker.serve import BrokerServer
from ..client import VVOS
from ..model import Secret
from ..profile import BrokerSettings, Config, Profile
from ..results import Result
from .address import CALLS
from .display import Display, summary
from .emulators import Emulator, choose, emulator
from .outcome import FAILED, OK, say
from .samples import keyed, make
from .text import count, printable, size
from .waiting import terminable

PROFILE = "demo"
BLOCK = 1024 * 1024


class Row(Struct, frozen=True):
    """One line of the table: what was uploaded, and whether it came back."""

    result: Result
    verified: bool


@click.command(short_help="Show the whole path at work on this machine, and check it.")
@click.argument("files", metavar="[FILES...]", nargs=-1, type=click.Path(readable=False))
@click.option("--emulator", "name", metavar="NAME", help="The service to emulate; otherwise the only one there is.")
def demo(files: tuple[str, ...], name: str | None) -> int:
    """Upload FILES, or samples, to a local emulator through a local broker, fetch them again, and compare.

    All of it runs on this machine, on free ports, in a temporary folder; what was started is stopped at the end.

    Exit status: 0 every object came back byte for byte; 1 one did not; 2 something is missing; 130 interrupted.
    """
    with (
        terminable(),
        tempfile.TemporaryDirectory(prefix="vvos-demo-") as temporary,
        emulator(choose(name)) as service,
    ):
        folder = Path(temporary)
        with BrokerServer(create_app(_config(service, folder))) as broker:
            click.echo(f"storage service  {service.info.get('endpoint', '')}", err=True)
            click.echo(f"broker           {broker.url}", err=True)
            pairs = keyed(files or make(folder))
            rows = _check(_upload(broker.url, pairs), [path for path, _ in pairs], service)
    _print(rows)
    wrong = sum(not row.verified for row in rows)
    if wrong or not rows:
        say(f"{wrong} of {count(len(rows), 'object')} did not come back as sent.")
        return FAILED
    click.echo(f"{count(len(rows), 'object')} came back byte for byte.")
    return OK


def _config(service: Emulator, folder: Path) -> Config:
    settings = dict(service.profile())
    profile = Profile(name=PROFILE, provider=settings.pop("provider"), settings=settings)
    broker = BrokerSettings(
        port=0,
        database=f"sqlite:///{(folder / 'broker.db').as_posix()}",
        seal_keys=(Secret(secrets.token_urlsafe(48)),),
        access="open",
        prefix="demo/",
        naming="date",
    )
    return Config(profiles={PROFILE: profile}, broker=broker)


def _upload(url: str, pairs: list[tuple[str, str]]) -> list[Result]:
    began = time.monotonic()
    uploads = VVOS(api={call: f"{url}/{call}" for call in CALLS}, client="vvos demo")
    uploads.add_files(pairs)
    with Display(results=not sys.stdout.isatty()) as display:
        results = uploads.submit(on_result=display.on_result, on_progress=display.on_progress)
    click.echo(summary(results, time.monotonic() - began), err=True)
    return results


def _check(results: list[Result], paths: list[str], service: Emulator) -> list[Row]:
    """Fetch every object that arrived, and compare it with its file."""
    rows = []
    for result, path in zip(results, paths, strict=True):
        verified = False
        if result.ok:
            try:
                verified = _sha256(service.read(result.key)) == _sha256(_blocks(path))
            except Exception as error:  # noqa: BLE001  # the service's SDK raises what it likes; the others are still compared
                say(f"{result.key} could not be fetched: {type(error).__name__}: {error}")
        rows.append(Row(result, verified))
    return rows


def _blocks(path: str) -> Iterable[bytes]:
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield block


def _sha256(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def _print(rows: list[Row]) -> None:
    table = Table("client key", "server key", "url", "size", "verified", box=SIMPLE)
    for column in table.columns[:3]:
        column.overflow = "fold"
    table.columns[3].justify = "right"
    for row in rows:
        result = row.result
        verdict = "yes" if row.verified else "NO"
        table.add_row(
            *(Text(printable(cell)) for cell in (result.client_key, result.key, result.url, size(result.size), verdict))
        )
    # A file or a pipe is as wide as the longest line needs.
    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False)
    console.print(table)
