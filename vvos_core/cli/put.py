"""``vvos put``: uploads files, folders and standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import click
from msgspec import Struct

from ..client import VVOS
from ..errors import BadInput
from ..profile import load
from ..results import Result
from .address import broker_at
from .display import Display
from .document import Fault, document, write
from .speed import speed_options
from .submitting import submitted
from .text import well_formed


class Options(Struct, frozen=True, kw_only=True):
    """What was asked for."""

    paths: tuple[str, ...]
    config: str | None
    profile: str | None
    api: str | None
    key: str | None
    prefix: str
    cover: bool
    type: str
    metadata: dict[str, str]
    concurrency: int | None
    limit_rate: float | None


class JsonCommand(click.Command):
    """A command whose usage errors, too, are told as a document where one was asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        wanted = "--json" in args
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if wanted:
                write(document([], 0.0, Fault("USAGE", well_formed(error.format_message()))))
            raise


def _metadata(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    metadata: dict[str, str] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{item!r} is not NAME=VALUE.")
        if name in metadata:
            raise click.BadParameter(f"{name!r} is given twice.")
        metadata[name] = value
    return metadata


@click.command(cls=JsonCommand, short_help="Upload files and folders.")
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(readable=False))
@click.option(
    "--config",
    metavar="FILE",
    type=click.Path(readable=False),
    help="The vvos.toml to use, instead of searching one.",
)
@click.option("--profile", metavar="NAME", help="Upload with this profile's own keys, without a broker.")
@click.option("--api", metavar="URL", help="Upload through the broker at this address.")
@click.option("--key", help="The name of the object; for one file, or standard input.")
@click.option("--prefix", default="", help="Put before every key: 'a/' for a folder of that name.")
@click.option("--cover/--no-cover", default=False, help="Replace objects that are there, or not (the default).")
@click.option("--type", "type_", metavar="TYPE", default="", help="The media type; otherwise guessed from each name.")
@click.option(
    "--meta",
    "metadata",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_metadata,
    help="Kept with the objects; repeatable.",
)
@speed_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on standard output.")
@click.option("--quiet", "-q", is_flag=True, help="Print errors only.")
def put(as_json: bool, quiet: bool, type_: str, **given: Any) -> int:
    """Upload files, folders with all that is in them, or standard input ('-', with --key).

    Without --profile and --api the configuration says where to: its [api], else its default profile. What an earlier
    run of the same files did not finish goes on where it stopped.

    Exit status: 0 every file arrived; 1 one failed; 2 wrong usage or configuration, nothing was sent; 130 interrupted,
    143 terminated: what has arrived of unfinished files is kept.
    """
    options = Options(type=type_, **given)
    return submitted(lambda display: _upload(options, display), as_json=as_json, quiet=quiet)


def _upload(options: Options, display: Display) -> list[Result]:
    uploads = _client(options)
    for path in options.paths:
        item: Any = path
        if path == "-":
            item = sys.stdin.buffer
        if options.key is not None:
            item = (item, options.key)
        uploads.add_files(item, prefix=options.prefix, type=options.type, metadata=options.metadata)
    return uploads.submit(on_result=display.on_result, on_progress=display.on_progress)


def _client(options: Options) -> VVOS:
    if options.api is not None and options.profile is not None:
        raise BadInput("--api and --profile exclude each other: a broker has profiles of its own; leave one out.")
    if options.key is not None and (len(options.paths) != 1 or os.path.isdir(options.paths[0])):
        raise BadInput("--key names one file; for a folder or several paths use --prefix.")
    if "-" in options.paths and options.key is None:
        raise BadInput("standard input has no name; give one with --key.")
    config = load(options.config, broker=False)
    speed: dict[str, Any] = {"concurrency": options.concurrency, "limit_rate": options.limit_rate}
    if options.api is not None:
        return VVOS(api=broker_at(options.api, config.api), cover=options.cover, **speed)
    return VVOS(config=config, profile=options.profile, cover=options.cover, **speed)
