"""The business's decisions: its own object where it has one, the built-in policies for what that leaves open."""

from __future__ import annotations

import importlib
import inspect
import secrets
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any, Literal

import pluggy

from ..errors import BadKey, ConfigError, ContractBroken
from ..hooks import PROJECT
from ..keys import check_key
from ..model import Ask
from .hooks import Access, BusinessCall, BusinessSpec, Placed

Naming = Literal["keep", "date", "random"]

ANYONE = "anyone"
"""Who everybody is under the ``open`` policy."""
MAX_WHO_CHARS = 200
MAX_EXTENSION_CHARS = 16


def keep(key: str, now: float) -> str:
    """The client's name."""
    return key


def date(key: str, now: float) -> str:
    """The client's name in a folder of the day, UTC: ``2026/01/31/name``."""
    return f"{datetime.fromtimestamp(now, timezone.utc):%Y/%m/%d}/{key}"


def random(key: str, now: float) -> str:
    """128 random bits in hex, with the extension of the client's name, up to 16 characters, kept."""
    name = key.rpartition("/")[2]
    stem, dot, extension = name.rpartition(".")
    keeps = stem and dot and 0 < len(extension) <= MAX_EXTENSION_CHARS
    return secrets.token_hex(16) + (f".{extension}" if keeps else "")


NAMINGS = {"keep": keep, "date": date, "random": random}


class Business:
    """The typed face of the business hooks.

    Parameters
    ----------
    business: an object with one or both hooks of ``BusinessSpec``; a class, or a function that makes one, is called.
    access: ``open`` admits everybody where the business has no ``authorize``; ``business`` requires that it has.
    naming, prefix: the built-in naming, for what the business does not name.

    Raises ``ConfigError``.
    """

    def __init__(
        self, business: object | None, access: Literal["business", "open"], naming: Naming, prefix: str
    ) -> None:
        self._naming = NAMINGS[naming]
        self._prefix = _folder(prefix)
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(BusinessSpec)
        if business is not None:
            _register(self._manager, business)
        hook = self._manager.hook
        self._authorize = hook.authorize if hook.authorize.get_hookimpls() else None
        self._name_key = hook.name_key if hook.name_key.get_hookimpls() else None
        if self._authorize is None and access != "open":
            raise ConfigError(
                'broker: nobody says who may upload. Write business = "module:object" for an object with a method '
                '`authorize` marked with vvos_core.hooks.hookimpl, or access = "open" to let everybody upload.'
            )

    def authorize(self, call: BusinessCall) -> Access:
        """Who calls. Raises ``Denied`` and its kind, or ``ContractBroken`` when the business's answer is none."""
        if self._authorize is None:
            return Access(who=ANYONE)
        access = self._authorize(call=call)
        if not isinstance(access, Access):
            raise ContractBroken(f"the business's authorize answered {type(access).__name__}, not Access.")
        if not isinstance(access.who, str) or not 1 <= len(access.who) <= MAX_WHO_CHARS or not access.who.isprintable():
            raise ContractBroken(
                f"the business's authorize answered a who that is not 1 to {MAX_WHO_CHARS} characters."
            )
        return access

    @property
    def names(self) -> bool:
        """Whether the business is asked where a file goes."""
        return self._name_key is not None

    def built_in(self, keys: Sequence[str], access: Access, now: float) -> list[str]:
        """The server keys that the built-in naming gives; they are yet to be checked. Raises ``ConfigError``."""
        before = self._prefix + _folder(access.prefix)
        if self._naming is keep and not before:
            return list(keys)
        return [f"{before}{self._naming(key, now)}" for key in keys]

    def name(self, call: BusinessCall, file: Ask, access: Access) -> Placed:
        """Where one file goes; the key is yet to be checked. Raises what the business raises, or ``ContractBroken``."""
        if self._name_key is not None:
            placed = self._name_key(call=call, file=file, access=access)
            if placed is not None:
                if not isinstance(placed, Placed):
                    raise ContractBroken(f"the business's name_key answered {type(placed).__name__}, not Placed.")
                return placed
        return Placed(key=self.built_in((file.client_key,), access, call.now)[0])


def find(path: str) -> object:
    """What ``module:object`` names. Raises ``ConfigError``."""
    module, colon, name = path.partition(":")
    if not (module and colon and name):
        raise ConfigError(f'broker.business: {path!r} is not of the form "module:object".')
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # importing runs the business's code: whatever it raises is a mistake in it
        raise ConfigError(
            f"broker.business: the module {module!r} cannot be imported ({type(error).__name__}: {error})."
        ) from error
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigError(f"broker.business: the module {module!r} has no {name!r}.") from None
    return found


def _register(manager: pluggy.PluginManager, business: object) -> None:
    if inspect.isclass(business) or inspect.isroutine(business):
        try:
            business = business()
        except Exception as error:  # the business's code, as above
            raise ConfigError(f"broker.business: calling it failed ({type(error).__name__}: {error}).") from error
    try:
        manager.register(business, "business")
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise ConfigError(f"broker.business: its hooks do not fit ({error}).") from error


@lru_cache(maxsize=1024)
def _folder(prefix: str) -> str:
    prefix = prefix.strip("/")
    if not prefix:
        return ""
    try:
        return check_key(prefix) + "/"
    except BadKey as error:
        raise ConfigError(f"the prefix of server keys cannot be used: {error}") from None
