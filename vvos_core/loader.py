"""Finds the one provider that is named, and builds the plugin manager of a profile. Every failure is a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

import pluggy
from msgspec import Struct

from .calls import Calls, Store
from .errors import PluginError
from .hooks import CONTRACT, PROJECT, Provider, Spec
from .model import Rules

if TYPE_CHECKING:
    from .profile import ApiSettings, Profile

GROUP = "vvos.providers"
"""The entry-point group of providers: ``s3 = "vvos_s3:S3"``."""


class Installed(Struct, frozen=True):
    """A provider as its distribution's metadata tell of it; nothing was imported."""

    name: str
    distribution: str
    version: str
    target: str


def installed() -> list[Installed]:
    """Every provider that a distribution of this environment offers, by name."""
    found = [Installed(point.name, *_distribution(point), point.value) for point in entry_points(group=GROUP)]
    return sorted(found, key=lambda item: (item.name, item.distribution))


def provider_class(name: str) -> type[Provider]:
    """The class that the provider ``name`` is made from.

    Raises ``PluginError`` when nobody or more than one distribution offers it, when it cannot be imported, and when
    what is imported does not have the form of a provider; the sentence names distribution and version.
    """
    point = _the_one(name)
    who = _who(point)
    try:
        loaded = point.load()
    except Exception as error:
        raise PluginError(
            f"{who} cannot be imported: {type(error).__name__}: {error}. Reinstall or upgrade {_distribution(point)[0]}."
        ) from error
    fault = _fault(loaded)
    if fault:
        raise PluginError(f"{who} {fault}; upgrade {_distribution(point)[0]}, or report it to its authors.")
    cls: type[Provider] = loaded
    return cls


def load(profile: Profile, plugins: Sequence[object] = ()) -> Calls:
    """The hooks of ``profile``, answered by its provider; ``plugins`` listen besides (``notify``) or wrap.

    Raises ``PluginError`` for the provider and ``ConfigError`` for its settings.
    """
    cls = provider_class(profile.provider)
    settings = profile.resolve(cls.Settings)
    try:
        plugin = cls(settings)  # type: ignore[call-arg]  # Provider's docstring says how it is made; a Protocol cannot
    except Exception as error:
        raise PluginError(
            f"the provider {profile.provider} of profile {profile.name} cannot be made: {type(error).__name__}: {error}."
        ) from error
    manager = _manager(profile.provider, plugin, plugins)
    store = Store(profile.provider, manager, plugin)

    def open_store(name: str) -> Store:
        return store if name == profile.provider else storing(name)

    return Calls(profile.provider, manager, plugin, open_store)


def storing(name: str) -> Store:
    """The storing half of the provider ``name``, made without settings: it works from grants alone."""
    cls = provider_class(name)
    plugin = cls(None)  # type: ignore[call-arg]  # as in load
    return Store(name, _manager(name, plugin, ()), plugin)


def remote(api: ApiSettings, plugins: Sequence[object] = ()) -> Calls:
    """The hooks of a client that a broker serves: the broker answers, the provider that it names stores."""
    from .builtin.remote import Remote

    plugin = Remote(api, lambda name: provider_class(name).rules)
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    for item in (plugin, *plugins):
        manager.register(item)
    return Calls("the broker", manager, plugin, storing)


def _manager(name: str, plugin: object, others: Sequence[object]) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    try:
        manager.register(plugin, name=name)
        for other in others:
            manager.register(other)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"a hook of the provider {name} has other arguments than the contract: {error}") from error
    return manager


def _the_one(name: str) -> EntryPoint:
    points = list(entry_points(group=GROUP, name=name))
    if len(points) == 1:
        return points[0]
    if points:
        claimants = ", ".join(sorted(" ".join(_distribution(point)) for point in points))
        raise PluginError(
            f"the provider {name} is offered by more than one package: {claimants}. Uninstall all but one."
        )
    import difflib

    names = sorted({item.name for item in installed()})
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    have = f"Installed are: {', '.join(names)}." if names else "None is installed."
    raise PluginError(
        f"there is no provider called {name!r}. {have}{hint} Install its package: pip install vvos-{name}"
    )


def _fault(loaded: object) -> str:
    """What keeps ``loaded`` from being a provider; empty when nothing does."""
    if not isinstance(loaded, type):
        return f"names {type(loaded).__name__} {loaded!r} instead of a class"
    marker = f"{PROJECT}_impl"
    lacking = [hook for hook in CONTRACT if not hasattr(getattr(loaded, hook, None), marker)]
    if lacking:
        return f"does not implement {', '.join(lacking)} (each needs @hookimpl)"
    for attribute in ("Settings", "rules", "checksum"):
        if not hasattr(loaded, attribute):
            return f"lacks the attribute {attribute}"
    rules = loaded.rules
    if not isinstance(rules, Rules | property):
        return f"has rules of type {type(rules).__name__} instead of Rules"
    return ""


def _distribution(point: EntryPoint) -> tuple[str, str]:
    return (point.dist.name, point.dist.version) if point.dist else ("an unknown package", "?")


def _who(point: EntryPoint) -> str:
    return f"the provider {point.name} ({' '.join(_distribution(point))}, {point.value})"
