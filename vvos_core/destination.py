"""Where the uploads of a client go: a broker or a profile, opened; and how another process finds the same again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, structs

from .builtin.remote import public_address
from .calls import Calls
from .configuration.config import refused
from .configuration.settings import check
from .errors import BadInput, ConfigError
from .loader import load, remote
from .profile import ApiSettings, Config, Profile, load as load_config

_CALLS = ("gettoken", "exists", "notifier")


class Destination(Struct, frozen=True, kw_only=True):
    """``calls`` are its hooks; ``client`` is what its configuration calls the client."""

    calls: Calls
    client: str = ""
    target: str = ""
    """Names it: two with the same target are the same place."""
    where: Mapping[str, Any] | None = None
    """What `find_again` needs, as JSON without secrets; None where only this program knows the way."""


def find(
    api: Mapping[str, str] | ApiSettings | None,
    profile: Profile | str | None,
    config: str | os.PathLike[str] | Config | None,
    plugins: Sequence[object] = (),
) -> Destination:
    """The destination that a client names; see ``VVOS``. Raises ``ConfigError`` and ``PluginError``."""
    if api is not None:
        return _broker(api if isinstance(api, ApiSettings) else _api_settings(api), plugins)
    if isinstance(profile, Profile):
        calls = load(profile, plugins)
        return Destination(calls=calls, target=f"profile {profile.provider} {profile.name}")
    found = config if isinstance(config, Config) else load_config(config, broker=False)
    if profile is None and found.api.gettoken:
        return _broker(found.api, plugins)
    chosen = found.profile(profile)
    path = os.path.abspath(found.path) if found.path else ""
    return Destination(
        calls=load(chosen, plugins),
        target=f"profile {chosen.provider} {chosen.name} {path}",
        where={"profile": chosen.name, "config": path},
    )


def find_again(where: Mapping[str, Any]) -> Destination:
    """The destination of which ``where`` was written down. Raises as `find`, and ``BadInput`` where it says nothing."""
    config = where.get("config")
    if where.get("profile"):
        return find(None, str(where["profile"]), config or None)
    if not where.get("api"):
        raise BadInput("it was begun by a program with settings of its own; run that again.")
    return _broker(with_headers(_api_settings(where["api"]), load_config(broker=False).api), ())


def with_headers(broker: ApiSettings, configured: ApiSettings) -> ApiSettings:
    """``broker`` with what else ``configured`` says: its client, its patience, and its headers.

    These go along only where ``configured`` names the same host or none, for they may be credentials, and another
    host has no business with them.
    """
    same = all(_origin(getattr(configured, name)) == _origin(getattr(broker, name)) for name in _CALLS)
    header = configured.header if same or not configured.gettoken else {}
    return structs.replace(broker, client=configured.client, header=header, timeout=configured.timeout)


def _broker(settings: ApiSettings, plugins: Sequence[object]) -> Destination:
    addresses = {name: getattr(settings, name) for name in (*_CALLS, "provider")}
    # An address with a user, a password or a query in it is not written down.
    plain = all(address in ("", public_address(address)) for name, address in addresses.items() if name in _CALLS)
    return Destination(
        calls=remote(settings, plugins),
        client=settings.client,
        target=f"broker {public_address(settings.gettoken)}",
        where={"api": {name: address for name, address in addresses.items() if address}} if plain else None,
    )


def _api_settings(api: Mapping[str, str]) -> ApiSettings:
    known = {*_CALLS, "provider"}
    for name in api:
        if name not in known:
            raise ConfigError(f"api: {name!r} is not one of {', '.join(sorted(known))}.")
    for name in ("gettoken", "notifier"):
        if not api.get(name):
            raise ConfigError(f"api: the address of {name} is missing.")
    settings, mistakes = check(ApiSettings, api, ("api",), {})
    if settings is None:
        raise refused(mistakes)
    return settings


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
