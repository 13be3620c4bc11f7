"""The configuration that the commands of ``vvos broker`` work with: one that ``vvos serve`` would take."""

from __future__ import annotations

import click

from ..profile import Config, load

config_option = click.option(
    "--config",
    metavar="FILE",
    type=click.Path(readable=False),
    help="The vvos.toml to use, instead of searching one.",
)


def served(path: str | None) -> Config:
    """The configuration, from ``path`` or where one is found. Raises ``ConfigError``, also where no broker could serve.

    Without that check a folder without a configuration would get an empty database, and look swept.
    """
    config = load(path)
    config.profile(config.broker.profile or None)
    return config
