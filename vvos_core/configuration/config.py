"""The typed values of the configuration: what it says as a whole, and each profile."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from msgspec import Struct, field

from ..errors import ConfigError
from .document import Document, quoted
from .environment import NONE, Overrides
from .sections import ApiSettings, BrokerSettings
from .settings import Mistake, check, nearest

FILE = "vvos.toml"
HEAD = ("provider", "on_exists")
"""The names in a profile's table that the core reads; the others are the provider's."""

T = TypeVar("T")


class Raw(Mapping[str, Any]):
    """A table as the file gives it. Shows its names only, for its values may be secrets by mistake."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values or {})

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Raw({', '.join(self)})"


class Origin:
    """What a profile's settings are read from, later, when its provider is known: file and environment. Never shown."""

    __slots__ = ("document", "env", "overrides")

    def __init__(
        self, document: Document | None = None, env: Mapping[str, str] = os.environ, overrides: Overrides = NONE
    ) -> None:
        self.document = document or Document()
        self.env = env
        self.overrides = overrides

    def __repr__(self) -> str:
        return f"Origin({self.document.name})"


class Profile(Struct, frozen=True, kw_only=True):
    """A named configuration of one provider."""

    name: str
    provider: str
    on_exists: Literal["fail", "skip"] = "fail"
    """What becomes of a file whose key exists and may not be replaced."""
    settings: Mapping[str, Any] = Raw()
    """The provider's own settings as the file gives them, for ``resolve``; the environment is not yet applied."""
    origin: Origin = field(default_factory=Origin)

    def __repr__(self) -> str:
        return f"Profile(name={self.name!r}, provider={self.provider!r}, settings={sorted(self.settings)})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("name", self.name), ("provider", self.provider), ("settings", sorted(self.settings))]

    def mistakes(self, settings_type: type[Any]) -> list[Mistake]:
        """What is wrong with the settings, as ``settings_type`` (a ``msgspec.Struct`` or dataclass) wants them."""
        return self._read(settings_type)[1]

    def resolve(self, settings_type: type[T]) -> T:
        """The settings as ``settings_type``, which is a ``msgspec.Struct`` or a dataclass.

        Raises ``ConfigError`` with every mistake, one on a line.
        """
        value, mistakes = self._read(settings_type)
        if value is None:
            raise refused(mistakes)
        return value

    def _read(self, settings_type: type[T]) -> tuple[T | None, list[Mistake]]:
        origin = self.origin
        return check(
            settings_type,
            self.settings,
            ("profiles", self.name),
            origin.env,
            document=origin.document,
            overrides=origin.overrides,
            also=HEAD,
        )


class Config(Struct, frozen=True, kw_only=True):
    """All that is configured."""

    default_profile: str = ""
    """The profile where none is named; needed when there are several."""
    profiles: dict[str, Profile] = field(default_factory=dict)
    api: ApiSettings = field(default_factory=ApiSettings)
    broker: BrokerSettings = field(default_factory=BrokerSettings)
    path: Path | None = None
    """The file; None when none was found."""

    def profile(self, name: str | None = None) -> Profile:
        """The named profile, else the default one, else the only one. Raises ``ConfigError`` for none."""
        wanted = name or self.default_profile
        if wanted:
            if wanted in self.profiles:
                return self.profiles[wanted]
            raise ConfigError(no_profile(wanted, self.profiles))
        if len(self.profiles) == 1:
            return next(iter(self.profiles.values()))
        if self.profiles:
            there = ", ".join(map(quoted, sorted(self.profiles)))
            raise ConfigError(f"there are several profiles, {there}; name one, or set default_profile.")
        raise ConfigError(
            f'no profile is configured; write [profiles.NAME] with provider = "…" into {self.path or FILE}.'
        )


def refused(mistakes: list[Mistake]) -> ConfigError:
    """The error that lists ``mistakes``, one on a line."""
    return ConfigError("\n".join(map(str, mistakes)))


def no_profile(name: str, profiles: Collection[str]) -> str:
    """That there is no profile of this name, and which there are."""
    near = nearest(name, profiles)
    if near:
        return f"there is no profile {quoted(name)}; did you mean {quoted(near)}?"
    there = ", ".join(map(quoted, sorted(profiles))) or "none"
    return f"there is no profile {quoted(name)}; there is {there}"
