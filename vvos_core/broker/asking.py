"""From the files of a gettoken to what each profile's provider is asked: a new grant, the same again, or a renewal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ..errors import BadInput, Denied, DuplicateKey, KeyNotGranted, VVOSError
from ..keys import are_usable, check_key
from ..model import Ask, Grant, Rules
from . import checks
from .hooks import Access, BusinessCall
from .messages import FileInfo, GetToken
from .policies import Business
from .profiles import Profiles
from .seal import Opened

if TYPE_CHECKING:
    from ..profile import BrokerSettings

Asked = tuple[str, Ask]
"""A profile, and what it is asked."""

_NOTHING_SAID = FileInfo()
_DEFAULT_TYPE = "application/octet-stream"


class Placing:
    """Finds for new files their server key and profile."""

    def __init__(self, settings: BrokerSettings, business: Business, profiles: Profiles) -> None:
        self._settings = settings
        self._business = business
        self._profiles = profiles
        self._rules: dict[str, Rules] = {}

    def rules(self, profile: str) -> Rules:
        """The rules of a profile's provider."""
        rules = self._rules.get(profile)
        if rules is None:
            rules = self._rules[profile] = self._profiles.calls(profile).rules
        return rules

    def place(self, message: GetToken, call: BusinessCall, access: Access) -> list[Asked | VVOSError]:
        """For each key: the profile and what to ask it, or why this file is refused."""
        if not self._business.names:
            placed = self._place_together(message, call, access)
            if placed is not None:
                return placed
        return self._place_each(message, call, access)

    def _place_together(self, message: GetToken, call: BusinessCall, access: Access) -> list[Asked | VVOSError] | None:
        """The same where no file is refused and the broker names them all; None when it is not so."""
        keys, files = message.keys, message.files
        try:
            names = self._business.built_in(keys, access, call.now)
            profile = access.profile or self._profiles.default
            rules = self.rules(profile)
        except VVOSError:
            return None
        if len(set(names)) != len(names) or not are_usable(names, min(self._settings.max_key, rules.max_key)):
            return None
        most = min(self._settings.max_size, rules.max_size)
        placed: list[Asked | VVOSError] = []
        for key, name in zip(keys, names, strict=True):
            info = files.get(key, _NOTHING_SAID)
            size = info.size
            if not isinstance(size, int) or size > most:
                return None
            ask = Ask(
                client_key=key,
                key=name,
                size=size,
                type=info.type or _DEFAULT_TYPE,
                checksum=info.checksum,
                metadata=info.metadata,
            )
            placed.append((profile, ask))
        return placed

    def _place_each(self, message: GetToken, call: BusinessCall, access: Access) -> list[Asked | VVOSError]:
        placed: list[Asked | VVOSError] = []
        taken: dict[str, str] = {}
        for key in message.keys:
            try:
                profile, ask = self._place_one(key, message.files.get(key, _NOTHING_SAID), call, access)
                other = taken.setdefault(ask.key, key)
                if other != key:
                    raise DuplicateKey(
                        f"{checks.short(key)} and {checks.short(other)} would be one object; rename one.", key=key
                    )
                placed.append((profile, ask))
            except VVOSError as error:
                placed.append(error)
        return placed

    def _place_one(self, key: str, info: FileInfo, call: BusinessCall, access: Access) -> Asked:
        if not isinstance(info.size, int):
            raise BadInput(
                f"`files[{checks.short(key)}].size`: it is missing; this broker grants a known number of bytes.",
                key=key,
            )
        checks.size(key, info.size, self._settings.max_size)
        ask = Ask(
            client_key=key,
            key=key,
            size=info.size,
            type=info.type or _DEFAULT_TYPE,
            checksum=info.checksum,
            metadata=info.metadata,
        )
        to = self._business.name(call, ask, access)
        profile = to.profile or access.profile or self._profiles.default
        rules = self.rules(profile)
        if info.size > rules.threshold:
            checks.size(key, info.size, rules.max_size)
        check_key(to.key, min(self._settings.max_key, rules.max_key))
        return profile, ask if to.key == key else msgspec.structs.replace(ask, key=to.key)


def renewed(key: str, message: GetToken, opened: Opened) -> Asked:
    """What to ask to renew one file. Raises ``KeyNotGranted``, and ``Denied`` when it would become wider."""
    grant = opened.by_client_key.get(key)
    if grant is None:
        raise KeyNotGranted(f"{checks.short(key)} is not among the keys of this accessToken.", key=key)
    info = message.files.get(key, _NOTHING_SAID)
    wider = (
        ("size", isinstance(info.size, int) and info.size != grant.size),
        ("type", bool(info.type) and info.type != grant.type),
        ("checksum", bool(info.checksum and grant.checksum) and info.checksum != grant.checksum),
        ("metadata", bool(info.metadata) and info.metadata != grant.metadata),
        ("cover", message.cover is True and not grant.cover),
    )
    for name, is_wider in wider:
        if is_wider:
            raise Denied(f"{checks.short(key)} was granted with another {name}; a renewal cannot change it.", key=key)
    return grant.profile, again(grant, info.checksum)


def again(grant: Grant, checksum: str = "") -> Ask:
    """What to ask for the same grant again, or, once it is known, for one of this checksum."""
    return Ask(
        client_key=grant.client_key,
        key=grant.key,
        size=grant.size,
        type=grant.type,
        checksum=checksum or grant.checksum,
        metadata=grant.metadata,
        renew=grant,
    )
