"""The accessToken: a whole permission, compressed and sealed, so that any broker with the keys can serve any call.

Encryption is Fernet's (AES-128-CBC and HMAC-SHA256, one fixed construction, nothing to negotiate), under keys derived
with HKDF-SHA256 (RFC 5869) from the configured secrets. The first key seals; all of them open, so that keys can be
changed without breaking what is in flight.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import BadToken, ConfigError, TokenExpired
from ..model import Grant, Secret

VERSION = 1
RENEWABLE = 7 * 24 * 3600.0
"""Seconds after its expiry for which a token can still be renewed."""
MAX_BYTES = 8 * 1024 * 1024
"""What a token may unpack to: many times the largest that ``max_keys`` and ``max_body`` let be made."""

_INFO = b"vvos accessToken 1"
_OTHER_RELEASE = "accessToken: another release of the broker issued it; ask for a new one with gettoken."
_LEVEL = 1  # the fastest: keys that differ little shrink well at any level


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """What one gettoken granted, and to whom. The grants hold no ``data`` and no ``access_token``."""

    who: str
    request_id: str
    issued_at: float
    """Seconds since 1970, UTC."""
    expires_at: float
    client: str
    grants: tuple[Grant, ...]


class _Item(msgspec.Struct, array_like=True):
    client_key: str
    key: str
    size: int
    type: str
    cover: bool
    expires_at: float
    multipart: bool
    part_size: int
    upload_id: str
    checksum: str
    seal: bool
    metadata: dict[str, str]
    place: int


class _Sealed(msgspec.Struct, array_like=True):
    version: int
    who: str
    request_id: str
    issued_at: float
    expires_at: float
    client: str
    places: list[tuple[str, str]]
    """Profile and provider, once for all the items that share them."""
    items: list[_Item]


class Opened:
    """An opened token: the permission's head, and its grants by client key and by server key, made when asked for."""

    def __init__(self, sealed: _Sealed) -> None:
        self._sealed = sealed
        self.who = sealed.who
        self.request_id = sealed.request_id
        self.issued_at = sealed.issued_at
        self.expires_at = sealed.expires_at
        self.client = sealed.client

    @cached_property
    def by_key(self) -> Mapping[str, Grant]:
        return {item.key: self._grant(item) for item in self._sealed.items}

    @cached_property
    def by_client_key(self) -> Mapping[str, Grant]:
        return {grant.client_key: grant for grant in self.by_key.values()}

    def _grant(self, item: _Item) -> Grant:
        try:
            profile, provider = self._sealed.places[item.place]
        except IndexError:
            raise BadToken(_OTHER_RELEASE) from None
        return Grant(
            provider=provider,
            key=item.key,
            client_key=item.client_key,
            size=item.size,
            type=item.type,
            cover=item.cover,
            expires_at=item.expires_at,
            multipart=item.multipart,
            part_size=item.part_size,
            upload_id=item.upload_id,
            checksum=item.checksum,
            seal=item.seal,
            metadata=item.metadata,
            profile=profile,
        )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Sealed).decode


class Seal:
    """Seals and opens. ``ttl``: seconds that a token is good for at most, whatever it says itself."""

    def __init__(self, keys: Sequence[Secret], ttl: float) -> None:
        if not keys:
            raise ConfigError(
                'broker.seal_keys: it is missing. Write seal_keys = [{ env = "VVOS_SEAL_KEY" }] and give that variable '
                "at least 32 random characters, the same for every broker process."
            )
        self._fernet = MultiFernet([Fernet(_derive(key)) for key in keys])
        self._ttl = ttl

    def seal(self, permission: Permission) -> str:
        """The accessToken of ``permission``."""
        places: dict[tuple[str, str], int] = {}
        # Tuples of the fields of _Item, in their order: made in half the time, and the same in msgpack.
        items: list[Any] = [
            (
                grant.client_key,
                grant.key,
                grant.size,
                grant.type,
                grant.cover,
                grant.expires_at,
                grant.multipart,
                grant.part_size,
                grant.upload_id,
                grant.checksum,
                grant.seal,
                dict(grant.metadata) if grant.metadata else {},
                places.setdefault((grant.profile, grant.provider), len(places)),
            )
            for grant in permission.grants
        ]
        sealed = _Sealed(
            version=VERSION,
            who=permission.who,
            request_id=permission.request_id,
            issued_at=permission.issued_at,
            expires_at=permission.expires_at,
            client=permission.client,
            places=list(places),
            items=items,
        )
        packed = zlib.compress(_encode(sealed), _LEVEL)
        return self._fernet.encrypt_at_time(packed, int(permission.issued_at)).decode()

    def open(self, token: str, now: float, *, renewing: bool = False) -> Opened:
        """What ``token`` permits at ``now``, seconds UTC; ``renewing`` allows that it expired up to seven days ago.

        Raises ``BadToken`` when it was not sealed with one of the keys, or was altered; ``TokenExpired``.
        """
        try:
            sealed = _decode(_unpack(self._decrypt(token)))
        except (msgspec.DecodeError, zlib.error):  # sealed by us, hence whole: by a release that seals otherwise
            sealed = None
        if sealed is None or sealed.version != VERSION:
            raise BadToken(_OTHER_RELEASE)
        opened = Opened(sealed)
        late = now - min(opened.expires_at, opened.issued_at + self._ttl)
        if late >= (RENEWABLE if renewing else 0):
            raise TokenExpired(
                "accessToken: it expired too long ago to be renewed; ask for a new one with gettoken."
                if late >= RENEWABLE
                else "accessToken: it has expired; renew it with gettoken."
            )
        return opened

    def _decrypt(self, token: str) -> bytes:
        bad = BadToken(
            "accessToken: it was not issued by this broker, or was altered; ask for a new one with gettoken."
        )
        try:
            raw = token.encode("ascii")
            # base64 lets some characters be changed without changing what they decode to: insist on the one spelling.
            if base64.urlsafe_b64encode(base64.urlsafe_b64decode(raw)) != raw:
                raise bad
            return self._fernet.decrypt(raw)
        except (UnicodeEncodeError, binascii.Error, InvalidToken):
            raise bad from None


def _derive(secret: Secret) -> bytes:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=_INFO).derive(secret.reveal().encode())
    return base64.urlsafe_b64encode(key)


def _unpack(packed: bytes) -> bytes:
    unpacked = zlib.decompressobj().decompress(packed, MAX_BYTES)
    if len(unpacked) >= MAX_BYTES:
        raise BadToken("accessToken: it is too large.")
    return unpacked
