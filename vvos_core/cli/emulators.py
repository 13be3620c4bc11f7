"""Finds the emulators of storage services that distributions offer, and starts one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

from ..configuration.settings import nearest
from ..errors import ConfigError, PluginError

GROUP = "vvos.emulators"
"""The entry-point group: ``s3 = "vvos_s3.emulator:S3Emulator"``."""


class Emulator(Protocol):
    """What an entry point of the group names: a class, made with ``port`` (0: any) and ``bucket``, both optional."""

    @property
    def info(self) -> Mapping[str, str]:
        """What a client of the service needs; credentials that are good for nothing else."""
        ...

    def start(self) -> object:
        """Serve in the background. Raises ``OSError`` when the port is taken."""
        ...

    def stop(self) -> None: ...

    def profile(self) -> Mapping[str, Any]:
        """The ``[profiles.NAME]`` table for the running emulator: ``provider``, and its settings."""
        ...

    def read(self, key: str) -> Iterator[bytes]:
        """The bytes of an object, as the service's own SDK reads them."""
        ...


def choose(name: str | None) -> str:
    """``name``, or the only emulator that is installed. Raises ``PluginError`` when there are none or several."""
    names = sorted({point.name for point in entry_points(group=GROUP)})
    if name is not None:
        return name
    if len(names) == 1:
        return names[0]
    if names:
        raise PluginError(f"there are several emulators, {', '.join(names)}; choose one with --emulator.")
    raise PluginError("no emulator is installed; install a provider's package with its extra: vvos-NAME[emulator].")


@contextmanager
def emulator(name: str, *, port: int = 0, bucket: str | None = None) -> Iterator[Emulator]:
    """The emulator ``name``, running. Raises ``PluginError`` where it cannot be had, ``ConfigError`` for the port."""
    point = _find(name)
    package = point.dist.name if point.dist else "its package"
    try:
        cls = point.load()
        made: Emulator = cls(port=port) if bucket is None else cls(port=port, bucket=bucket)
        made.start()
    except ModuleNotFoundError as error:
        raise PluginError(
            f"the emulator {name} needs the package {error.name!r}, which is missing; install {package}[emulator]."
        ) from error
    except OSError as error:
        raise ConfigError(f"{error.strerror or error}; choose another port.") from error
    try:
        yield made
    finally:
        made.stop()


def _find(name: str) -> EntryPoint:
    points = list(entry_points(group=GROUP))
    named = [point for point in points if point.name == name]
    if len(named) == 1:
        return named[0]
    if named:
        claimants = ", ".join(sorted(f"{point.dist.name} {point.dist.version}" for point in named if point.dist))
        raise PluginError(
            f"the emulator {name} is offered by more than one package: {claimants}. Uninstall all but one."
        )
    names = sorted({point.name for point in points})
    near = nearest(name, names)
    have = f"installed: {', '.join(names)}" if names else "none is installed"
    hint = f"; did you mean {near}?" if near else f"; install vvos-{name}[emulator]."
    raise PluginError(f"there is no emulator called {name!r} ({have}){hint}")
