"""``--api``: the three addresses of a broker from its one, and which of the configured headers may go there."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import structs

from ..configuration.settings import check
from ..errors import ConfigError
from ..profile import ApiSettings

CALLS = ("gettoken", "exists", "notifier")


def broker_at(base: str, configured: ApiSettings) -> ApiSettings:
    """The settings for the broker at ``base``, whose calls are ``base/gettoken`` and so on.

    ``configured`` gives the rest. Its headers go along only where it names this host or none, for they may be
    credentials, and another host has no business with them.

    Raises ``ConfigError`` for what is no address.
    """
    raw = {name: f"{base.rstrip('/')}/{name}" for name in CALLS}
    given, mistakes = check(ApiSettings, raw, ("api",), {})
    if given is None:
        raise ConfigError(f"--api {mistakes[0].message}.")
    if urlsplit(base).query or urlsplit(base).fragment:
        raise ConfigError("--api has a '?' or '#' in it; give the address that the calls' names are put behind.")
    same_host = configured.gettoken and all(_origin(getattr(configured, name)) == _origin(base) for name in CALLS)
    header = configured.header if same_host or not configured.gettoken else {}
    return structs.replace(given, client=configured.client, header=header, timeout=configured.timeout)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
