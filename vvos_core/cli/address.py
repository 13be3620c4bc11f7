"""``--api``: the three addresses of a broker from its one, and which of the configured headers may go there."""

from __future__ import annotations

from urllib.parse import urlsplit

from ..configuration.settings import check
from ..destination import with_headers
from ..errors import ConfigError
from ..profile import ApiSettings

CALLS = ("gettoken", "exists", "notifier")


def broker_at(base: str, configured: ApiSettings) -> ApiSettings:
    """The settings for the broker at ``base``, whose calls are ``base/gettoken`` and so on.

    ``configured`` gives the rest, its headers only where it names this host or none.

    Raises ``ConfigError`` for what is no address.
    """
    raw = {name: f"{base.rstrip('/')}/{name}" for name in CALLS}
    given, mistakes = check(ApiSettings, raw, ("api",), {})
    if given is None:
        raise ConfigError(f"--api {mistakes[0].message}.")
    if urlsplit(base).query or urlsplit(base).fragment:
        raise ConfigError("--api has a '?' or '#' in it; give the address that the calls' names are put behind.")
    return with_headers(given, configured)
