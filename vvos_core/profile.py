"""Finds ``vvos.toml``, reads it, applies the environment, and gives typed configuration."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from .configuration.config import FILE, HEAD, Config, Origin, Profile, Raw, no_profile, refused
from .configuration.document import BadToml, Document, Place, dotted, quoted
from .configuration.environment import CONFIG, Overrides, overrides, segment
from .configuration.sections import ApiSettings, BrokerSettings, WebhookSettings, inline_headers
from .configuration.settings import Mistake, check, nearest

__all__ = [
    "ApiSettings",
    "BrokerSettings",
    "Config",
    "Mistake",
    "Profile",
    "WebhookSettings",
    "examine",
    "find_mistakes",
    "load",
]


def load(
    path: str | os.PathLike[str] | None = None,
    env: Mapping[str, str] = os.environ,
    cwd: Path | None = None,
    *,
    broker: bool = True,
) -> Config:
    """The configuration from the first of: ``path``, ``VVOS_CONFIG``, ``vvos.toml`` in ``cwd``, the user's own one.

    The environment's ``VVOS_…`` variables override the file, and are enough without one. ``broker`` False leaves out
    the broker's table: a client that shares the file does not have its secrets.
    Raises ``ConfigError`` with every mistake, one on a line.
    """
    config, mistakes = _load(path, env, cwd, () if broker else ("broker",))
    if mistakes:
        raise refused(mistakes)
    return config


def find_mistakes(
    path: str | os.PathLike[str] | None = None, env: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> list[Mistake]:
    """What ``load`` would refuse. The providers' own settings are for ``Profile.mistakes``, which needs the plugin."""
    return _load(path, env, cwd)[1]


def examine(
    path: str | os.PathLike[str] | None = None, env: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> tuple[Config, list[Mistake]]:
    """The configuration, and what ``load`` would refuse; where that is anything, only the profiles that are right."""
    return _load(path, env, cwd)


def _load(
    path: str | os.PathLike[str] | None, env: Mapping[str, str], cwd: Path | None, without: Collection[str] = ()
) -> tuple[Config, list[Mistake]]:
    document = _read(path, env, cwd or Path())
    if isinstance(document, Mistake):
        return Config(), [document]
    return _assemble(document, env, without)


def _read(path: str | os.PathLike[str] | None, env: Mapping[str, str], cwd: Path) -> Document | Mistake:
    source = ""
    if path is not None:
        found: Path | None = cwd / path
    elif env.get(CONFIG):
        found, source = cwd / env[CONFIG], f" ({CONFIG} names it)"
    else:
        found = _search(cwd)
    if found is None:
        return Document()
    try:
        return Document.read(found)
    except FileNotFoundError:
        return Mistake("", f"there is no such file{source}; name another, or make it", file=str(found))
    except OSError as error:
        return Mistake("", f"the file cannot be read{source}: {error.strerror}", file=str(found))
    except BadToml as error:
        return Mistake(f"column {error.column}", error.message, error.line, str(found))


def _search(cwd: Path) -> Path | None:
    if (cwd / FILE).is_file():
        return cwd / FILE
    from platformdirs import user_config_path  # here, for a file that is named or near needs no search

    own = user_config_path("vvos", appauthor=False) / FILE
    return own if own.is_file() else None


class _Top(Struct, frozen=True):
    """The file without its profiles."""

    default_profile: str = ""
    api: ApiSettings = field(default_factory=ApiSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)


class _Head(Struct, frozen=True):
    """What the core reads of a profile: ``HEAD``."""

    provider: Annotated[str, Meta(min_length=1)]
    on_exists: Literal["fail", "skip"] = "fail"


class _Notes:
    """The mistakes that no single table shows."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.mistakes: list[Mistake] = []

    def wrong(self, place: Place, message: str, node: Overrides | None = None) -> None:
        """``node`` is the variable that is wrong, where it is not the file."""
        if node is not None:
            self.mistakes.append(Mistake(node.variable, message))
        else:
            self.mistakes.append(Mistake(dotted(place), message, self.document.line(place), self.document.name))


_TOP = ("default_profile", "profiles", "api", "broker")
_CALLS = ("gettoken", "exists", "notifier")


def _assemble(document: Document, env: Mapping[str, str], without: Collection[str]) -> tuple[Config, list[Mistake]]:
    """What ``document`` and ``env`` say, the tables ``without`` left out."""
    given = overrides(env).without(*without)
    # VVOS_SOMETHING without a second level may be another program's.
    foreign = {name for name, node in given.below.items() if not node.below} - set(map(segment, _TOP))
    given = given.without(*foreign)
    raw = {name: value for name, value in document.values.items() if name not in ("profiles", *without)}
    if isinstance(raw.get("api"), dict):
        raw["api"] = inline_headers(raw["api"])
    notes = _Notes(document)
    profiles, names = _profiles(document, env, given.at("profiles"), notes)
    top, wrong = check(_Top, raw, (), env, document=document, overrides=given.without("profiles"), also=("profiles",))
    notes.mistakes += wrong
    _calls(raw.get("api"), given.at("api"), notes)
    _access(raw.get("broker"), given.at("broker"), notes)
    _serving(("default_profile",), raw, given, names, notes)
    _serving(("broker", "profile"), raw.get("broker"), given.at("broker"), names, notes)
    if top is None or notes.mistakes:
        # In the file's order, and then what no line says.
        notes.mistakes.sort(key=lambda mistake: (mistake.line is None, mistake.line or 0))
        return Config(profiles=profiles, path=document.path), notes.mistakes
    return Config(
        default_profile=top.default_profile, profiles=profiles, api=top.api, broker=top.broker, path=document.path
    ), []


def _profiles(
    document: Document, env: Mapping[str, str], given: Overrides, notes: _Notes
) -> tuple[dict[str, Profile], list[str]]:
    """The profiles that are right, and the names of all."""
    tables = document.values.get("profiles", {})
    if given.text is not None:
        notes.wrong((), f"is a table; set {given.spell('NAME__KEY')} instead", given)
    if not isinstance(tables, dict):
        notes.wrong(("profiles",), "expected tables, each as [profiles.NAME]")
        tables = {}
    by_segment: dict[str, str] = {}
    for name in tables:
        first = by_segment.setdefault(segment(name), name)
        if not name:
            notes.wrong(("profiles", name), "a profile needs a name")
        elif first != name:
            notes.wrong(
                ("profiles", name), f"environment variables spell {quoted(first)} the same; give one another name"
            )
    for spelled in given.below:
        by_segment.setdefault(spelled, spelled.lower())
    profiles = {}
    names = list(dict.fromkeys([*tables, *by_segment.values()]))
    for name in names:
        profile = _profile(name, tables.get(name, {}), Origin(document, env, given.at(name)), notes)
        if profile is not None:
            profiles[name] = profile
    return profiles, names


def _profile(name: str, table: Any, origin: Origin, notes: _Notes) -> Profile | None:
    place = ("profiles", name)
    if not isinstance(table, dict):
        notes.wrong(place, f"expected a table, as [{dotted(place)}]")
        return None
    known = {key: table[key] for key in HEAD if key in table}
    if "provider" not in known:
        # Which names are right is the provider's to say; but this one is probably meant.
        near = nearest("provider", table)
        known |= {near: table[near]} if near else {}
    head, wrong = check(
        _Head, known, place, origin.env, document=origin.document, overrides=origin.overrides.only(*HEAD)
    )
    notes.mistakes += wrong
    if head is None:
        return None
    settings = Raw({key: value for key, value in table.items() if key not in HEAD})
    return Profile(name=name, provider=head.provider, on_exists=head.on_exists, settings=settings, origin=origin)


def _said(raw: Any, given: Overrides, name: str) -> Any:
    """What the environment, or else the file, says for ``name``; None for nothing."""
    node = given.at(name)
    if node.text is not None:
        return node.text
    return raw.get(name) if isinstance(raw, Mapping) else None


def _calls(raw: Any, given: Overrides, notes: _Notes) -> None:
    missing = [name for name in _CALLS if not _said(raw, given, name)]
    if 0 < len(missing) < len(_CALLS):
        for name in missing:
            notes.wrong(("api", name), f"is missing; set all of {', '.join(_CALLS)}, or none of them")


def _access(raw: Any, given: Overrides, notes: _Notes) -> None:
    # Only where it is said: an application that mounts the broker may give the object in its own code.
    if _said(raw, given, "access") == "business" and not _said(raw, given, "business"):
        notes.wrong(("broker", "business"), 'is missing; write business = "module:object", or access = "open"')


def _serving(place: Place, raw: Any, given: Overrides, names: Collection[str], notes: _Notes) -> None:
    name = str(place[-1])
    said, node = _said(raw, given, name), given.at(name)
    if isinstance(said, str) and said and said not in names:
        notes.wrong(place, no_profile(said, names), node if node.text is not None else None)
