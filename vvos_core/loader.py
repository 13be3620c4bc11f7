"""Finds the one provider that is named, and builds the plugin manager of a profile. Every failure is a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import Distribution, EntryPoint, distribution, distributions, entry_points
from typing import TYPE_CHECKING

import pluggy
from msgspec import Struct

from .calls import Calls, Store
from .errors import PluginError, VVOSError
from .hooks import CONTRACT, PROJECT, Provider, Spec
from .model import Rules

if TYPE_CHECKING:
    from .profile import ApiSettings, Profile

GROUP = "vvos.providers"
"""The entry-point group of providers: ``s3 = "vvos_s3:S3"``."""
_ANSWERED = tuple(hook for hook in CONTRACT if hook != "notify")
"""The hooks whose one answer is the call's: a second plugin that answered would be asked in place of the first."""


class Installed(Struct, frozen=True):
    """A provider as its distribution's metadata tell of it; nothing was imported."""

    name: str
    distribution: str
    version: str
    target: str


def installed() -> list[Installed]:
    """Every provider that a distribution of this environment offers, by name."""
    found = [Installed(point.name, *_distribution(point), point.value) for point in _offered()]
    return sorted(found, key=lambda item: (item.name, item.distribution))


def provider_class(name: str) -> type[Provider]:
    """The class that the provider ``name`` is made from.

    Raises ``PluginError`` when nobody or more than one distribution offers it, when it cannot be imported, and when
    what is imported does not have the form of a provider; the sentence names distribution and version.
    """
    point = _the_one(name)
    try:
        loaded = point.load()
    except Exception as error:
        raise PluginError(
            f"{_who(point)} cannot be imported: {_said(error)}. Reinstall or upgrade {_distribution(point)[0]}."
        ) from error
    fault = _fault(loaded)
    if fault:
        raise PluginError(f"{_who(point)} {fault}; upgrade {_distribution(point)[0]}, or report it to its authors.")
    cls: type[Provider] = loaded
    return cls


def load(profile: Profile, plugins: Sequence[object] = ()) -> Calls:
    """The hooks of ``profile``, answered by its provider; ``plugins`` listen besides (``notify``) or wrap.

    A plugin is called by its attribute ``name``, or else by its class, and the second of one class by a number too.
    Raises ``PluginError`` for the provider and ``ConfigError`` for its settings.
    """
    cls = provider_class(profile.provider)
    try:
        settings = profile.resolve(cls.Settings)
    except (TypeError, NameError) as error:
        raise PluginError(
            f"{_who(_the_one(profile.provider))} has Settings that cannot be read: {_said(error)}. Upgrade it."
        ) from error
    plugin = _make(profile.provider, cls, settings)
    manager = _manager(profile.provider, plugin, plugins)
    store = Store(profile.provider, manager, plugin)

    def open_store(name: str) -> Store:
        return store if name == profile.provider else storing(name)

    return Calls(profile.provider, manager, plugin, open_store, keep_existing=profile.on_exists == "skip")


def storing(name: str) -> Store:
    """The storing half of the provider ``name``, made without settings: it works from grants alone."""
    plugin = _make(name, provider_class(name), None)
    return Store(name, _manager(name, plugin), plugin)


def remote(api: ApiSettings, plugins: Sequence[object] = ()) -> Calls:
    """The hooks of a client that a broker serves: the broker answers, the provider that it names stores."""
    from .builtin.remote import Remote

    plugin = Remote(api, lambda name: calls.store(name).rules)
    calls = Calls("the broker", _manager("the broker", plugin, plugins), plugin, storing)
    return calls


def _make(name: str, cls: type[Provider], settings: object) -> Provider:
    try:
        return cls(settings)  # type: ignore[call-arg]  # Provider's docstring says how it is made; a Protocol cannot
    except VVOSError:
        raise
    except Exception as error:
        raise PluginError(f"{_who(_the_one(name))} cannot be made: {_said(error)}. Upgrade it.") from error


def _manager(name: str, answering: object, others: Sequence[object] = ()) -> pluggy.PluginManager:
    """``answering`` is the one plugin that answers; ``others`` listen or wrap."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    for plugin in (answering, *others):
        called = name if plugin is answering else _called(plugin, manager)
        try:
            manager.register(plugin, name=called)
            manager.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            who = _who(_the_one(name)) if plugin is answering else _listener(plugin)
            raise PluginError(
                f"{who} cannot be registered: {_said(error)}. Its hooks must have the names and arguments of "
                "vvos_core.hooks.Spec."
            ) from error
    for hook in _ANSWERED:
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is not answering and not implementation.wrapper and not implementation.hookwrapper:
                raise PluginError(
                    f"{_listener(implementation.plugin)} answers {hook}, which only {name} may; "
                    "let it wrap (wrapper=True), or implement notify."
                )
    return manager


def _called(plugin: object, manager: pluggy.PluginManager) -> str:
    """The name of a plugin that is no provider, by which a broker also remembers what it was told."""
    given = getattr(plugin, "name", None)
    if isinstance(given, str) and given:
        if manager.has_plugin(given):
            raise PluginError(f"two plugins have the name {given!r}; give each another.")
        return given
    called = _class(plugin)
    count = 1
    while manager.has_plugin(called):
        count += 1
        called = f"{_class(plugin)} {count}"
    return called


def _listener(plugin: object) -> str:
    return f"the plugin {_class(plugin)}"


def _class(plugin: object) -> str:
    cls = plugin if isinstance(plugin, type) else type(plugin)
    return f"{cls.__module__}.{cls.__qualname__}"


def _said(error: Exception) -> str:
    """What an exception says, as a part of a sentence."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")


def _the_one(name: str) -> EntryPoint:
    points = [point for point in _offered() if point.name == name]
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


def _offered() -> list[EntryPoint]:
    """What ``entry_points(group=GROUP)`` answers; but of the many distributions that offer no provider, one file each
    is read and none is parsed."""
    offering = [each for each in distributions() if GROUP in (each.read_text("entry_points.txt") or "")]
    names = {_name_of(each) for each in offering}
    if "" in names:  # it lost its metadata: its folder's name has to tell which distribution it is
        return list(entry_points(group=GROUP))
    # Of two versions on the path the first is the one that is imported, whatever it offers.
    return [point for name in names for point in distribution(name).entry_points if point.group == GROUP]


def _name_of(offering: Distribution) -> str:
    """Its name, without the whole of its metadata being parsed; empty where it has none."""
    lines = (offering.read_text("METADATA") or offering.read_text("PKG-INFO") or "").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Name:")), "")


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
    rules = getattr(loaded, "rules", None)
    if not isinstance(rules, Rules | property):
        return f"has rules of type {type(rules).__name__} instead of Rules"
    return ""


def _distribution(point: EntryPoint) -> tuple[str, str]:
    """Name and version; of a distribution that lost its metadata, words that say so."""
    if point.dist is None or "Name" not in point.dist.metadata or "Version" not in point.dist.metadata:
        return "a package without metadata", "?"
    return point.dist.name, point.dist.version


def _who(point: EntryPoint) -> str:
    return f"the provider {point.name} ({' '.join(_distribution(point))}, {point.value})"
