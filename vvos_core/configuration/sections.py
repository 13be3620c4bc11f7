"""The tables of ``vvos.toml`` that are the core's own: ``[api]`` for the client, ``[broker]`` for the broker."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field

from ..errors import BadKey
from ..keys import check_key
from ..model import MIB, Secret
from .settings import REFER, Must

DAY = 86400
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?")
_TELLING = ("auth", "cookie", "key", "password", "secret", "token")
_PASSWORD = re.compile(r"//[^/]*:.*@|password=", re.IGNORECASE)
_OBJECT = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def _url(value: str) -> str:
    if not value:
        return ""
    try:
        url = urlsplit(value)
        good = (
            url.scheme in ("http", "https")
            and url.hostname
            and url.port != 0
            and not re.search(r"[\s\x00-\x1f]", value)
        )
    except ValueError:
        good = False
    if not good:
        return "is not an address; write it as http://host/path or https://host/path"
    if "@" in url.netloc:
        return "has a user's name in it; leave it out, and give a header instead"
    return ""


def _header(values: Mapping[str, Secret]) -> str:
    seen: set[str] = set()
    for name, value in values.items():
        if not _TOKEN.fullmatch(name):
            return f"{name!r} is not the name of an HTTP header; use letters, digits and '-'"
        if name.lower() in seen:
            return f"has {name} twice, for upper and lower case are the same here; leave one out"
        seen.add(name.lower())
        if not _VALUE.fullmatch(value.reveal()):
            return f"the value of {name} cannot travel in an HTTP header; use printable ASCII, without spaces around it"
    return ""


def _database(value: Secret | str) -> str:
    text = value if isinstance(value, str) else value.reveal()
    if not re.match(r"(sqlite|postgresql)(\+\w+)?:", text):
        return "is not a database; write sqlite:///path or postgresql://user@host/name"
    if isinstance(value, str) and _PASSWORD.search(text):
        return f"a password does not belong in this file: write the whole address as {REFER}"
    return ""


def _business(value: str) -> str:
    return "" if not value or _OBJECT.fullmatch(value) else 'is not a Python object; write "module:object"'


def _prefix(value: str) -> str:
    if not value:
        return ""
    try:
        check_key(value.removesuffix("/"))
    except BadKey as error:
        return f"cannot begin a key: {error}"
    return ""


def _origin(value: str) -> str:
    return (
        ""
        if value == "*" or re.fullmatch(r"https?://[^\s/?#@]+", value)
        else 'is not an origin; write "https://host" or "*"'
    )


def _webhook_secret(value: Secret) -> str:
    try:
        long = len(webhook_key(value.reveal())) >= 24
    except ValueError:
        return "begins with whsec_, but what follows is not base64"
    return "" if long else "is too short; it takes 24 bytes or more: whsec_ and their base64, or as many characters"


def _webhooks(values: tuple[WebhookSettings, ...]) -> str:
    names = [value.name for value in values]
    twice = next((name for name in names if names.count(name) > 1), "")
    return f"there are two webhooks with the name {twice!r}; give each its own" if twice else ""


_NAME = "a name of 1 to 64 letters, digits, '.', '_' and '-'"
_Url = Annotated[str, Must(_url)]


class ApiSettings(Struct, frozen=True, kw_only=True):
    """``[api]``: where a client finds its broker, and what it sends along."""

    gettoken: _Url = ""
    """The addresses of the three calls, http or https: all of them, or none to do without a broker."""
    exists: _Url = ""
    notifier: _Url = ""
    client: str = ""
    """What the client calls itself to the broker."""
    provider: str = ""
    """The provider whose upload token is the accessToken of a backend that answers the published fields only."""
    header: Annotated[dict[str, Secret], Must(_header)] = field(default_factory=dict)
    """HTTP headers of all three calls."""
    timeout: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """Seconds to wait for the broker."""


class WebhookSettings(Struct, frozen=True, kw_only=True):
    """``[[broker.webhooks]]``: an address that is told of finished uploads."""

    name: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z", description=_NAME)]
    """By it the broker remembers what was delivered."""
    url: Annotated[str, Meta(min_length=1), Must(_url)]
    secret: Annotated[tuple[Annotated[Secret, Must(_webhook_secret)], ...], Meta(min_length=1)]
    """What deliveries are signed with; while it is being changed, the new and the old one."""
    allow_private: bool = False
    """Also where the address is not one of the internet's."""


class BrokerSettings(Struct, frozen=True, kw_only=True):
    """``[broker]``: what ``vvos serve`` serves, to whom, and within which limits."""

    host: Annotated[str, Meta(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8080
    """0 takes any free port."""
    database: Annotated[Secret | str, Must(_database)] = "sqlite:///vvos-broker.db"
    """SQLite or PostgreSQL. A ``Secret`` when it was referred to, for it may hold a password."""
    seal_keys: tuple[Annotated[Secret, Meta(min_length=32)], ...] = ()
    """The first seals access tokens, all open them. The broker needs one."""
    access: Literal["business", "open"] = "business"
    """Who may upload: whom ``business`` allows, or anyone who reaches the broker."""
    business: Annotated[str, Must(_business)] = ""
    """``module:object``: the plugin that says who may upload what."""
    naming: Literal["keep", "date", "random"] = "keep"
    """How the server key is made from the client's."""
    prefix: Annotated[str, Must(_prefix)] = ""
    """What every server key begins with."""
    profile: str = ""
    """The profile that serves; '' is the configuration's default."""
    ttl: Annotated[int, Meta(ge=60, le=7 * DAY)] = 3600
    """Seconds that an access token lives."""
    max_keys: Annotated[int, Meta(ge=1)] = 1000
    """The most keys in one call."""
    max_body: Annotated[int, Meta(ge=1)] = MIB
    """The largest body of a call, in bytes."""
    max_size: Annotated[int, Meta(ge=1)] = 5 * MIB * MIB
    """The largest file, in bytes."""
    max_key: Annotated[int, Meta(ge=1)] = 1024
    """The longest key, in bytes of UTF-8."""
    sweep_every: Annotated[float, Meta(ge=0)] = 600.0
    """Seconds between two sweeps of ``vvos serve``; 0 for none."""
    sweep_after: Annotated[float, Meta(ge=0)] = 7.0 * DAY
    """Seconds after its expiry at which an unfinished upload is aborted; a token can be renewed for seven days."""
    cors_origins: tuple[Annotated[str, Must(_origin)], ...] = ()
    """The origins whose pages may call the broker from a browser."""
    webhooks: Annotated[tuple[WebhookSettings, ...], Must(_webhooks)] = ()
    """Who is told of finished uploads."""

    @property
    def database_url(self) -> str:
        """The database's address as it is; never to be shown."""
        return self.database.reveal() if isinstance(self.database, Secret) else self.database


def webhook_key(secret: str) -> bytes:
    """The key of the MAC: ``whsec_`` and base64 (Standard Webhooks), or any other text as it is.

    Raises ``ValueError`` for what is not base64.
    """
    if secret.startswith("whsec_"):
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    return secret.encode()


def inline_headers(raw: Mapping[str, Any]) -> dict[str, Any]:
    """``[api]`` with the headers marked that may stand in the file as they are: those whose name tells of no secret."""
    header = raw.get("header")
    if not isinstance(header, dict):
        return dict(raw)
    marked = {
        name: Secret(value) if isinstance(value, str) and not any(word in name.lower() for word in _TELLING) else value
        for name, value in header.items()
    }
    return {**raw, "header": marked}
