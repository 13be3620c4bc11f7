"""``vvos config check``: says every mistake of the configuration, with its place and what would be right."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..errors import PluginError
from ..loader import provider_class
from ..profile import Config, Mistake, Profile, examine
from .outcome import OK, WRONG, say
from .text import count, printable


@click.group(short_help="Work with the configuration.")
def config() -> None:
    """Work with the configuration."""


@config.command()
@click.option(
    "--config",
    "path",
    metavar="FILE",
    type=click.Path(readable=False),
    help="The vvos.toml to check, instead of searching one.",
)
def check(path: str | None) -> int:
    """Check the configuration, and the environment's part in it; sends nothing.

    Exit status: 0 all is right; 2 there are mistakes, or there is nothing to check.
    """
    found, mistakes = examine(path)
    mistakes += [mistake for profile in found.profiles.values() for mistake in _of_provider(profile)]
    if not mistakes:
        return _right(found)
    for mistake in sorted(mistakes, key=lambda mistake: (mistake.line is None, mistake.line or 0)):
        click.echo(printable(str(mistake)))
    say(f"{count(len(mistakes), 'mistake')}.")
    return WRONG


def _of_provider(profile: Profile) -> Iterator[Mistake]:
    """What the profile's provider says of its settings, or why there is no such provider."""
    try:
        yield from profile.mistakes(provider_class(profile.provider).Settings)
    except PluginError as error:
        document = profile.origin.document
        place = ("profiles", profile.name, "provider")
        yield Mistake(".".join(place), error.message, document.line(place), document.name)


def _right(found: Config) -> int:
    said = [count(len(found.profiles), "profile")]
    if found.broker.seal_keys:
        said.append(f"broker on {found.broker.host}:{found.broker.port}")
    if found.api.gettoken:
        said.append(f"uploads through {found.api.gettoken}")
    if len(said) == 1 and not found.profiles:
        say("nothing is configured: there is no vvos.toml here; name one with --config, or write one.")
        return WRONG
    click.echo(printable(f"{found.path or 'the environment'}: all right ({', '.join(said)})"))
    return OK
