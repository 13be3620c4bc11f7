"""The options that say how fast a command sends: ``--concurrency`` and ``--limit-rate``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from .amounts import Rate

_F = TypeVar("_F", bound=Callable[..., object])
_concurrency = click.option(
    "--concurrency", metavar="N", type=click.IntRange(min=1), help="Send so many files or parts at once."
)
_limit_rate = click.option(
    "--limit-rate", metavar="BYTES", type=Rate(), help="Send at most so many bytes a second: 500K, 2M."
)


def speed_options(command: _F) -> _F:
    """Adds both; the command is given ``concurrency`` and ``limit_rate``, each None where it was not said."""
    return _concurrency(_limit_rate(command))
