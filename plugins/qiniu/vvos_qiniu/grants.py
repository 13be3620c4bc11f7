"""What a grant carries from the half that signs to the half that puts: an upload token, and where to go with it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from vvos_core import BadAnswer, BadToken, Grant

from .settings import Version


class Permission(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``Grant.data``."""

    token: str
    hosts: tuple[str, ...] = ()
    """Upload hosts, ``https://host[:port]``; empty: to be asked for with the token's own key and bucket."""
    version: Version = "v2"


class Token(Struct, frozen=True, kw_only=True):
    """What everybody can read in an upload token."""

    access_key: str
    bucket: str
    deadline: float


class _Policy(Struct):
    scope: str
    deadline: float = 0.0


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
for _type in (Permission, _Policy):
    msgspec.json.Decoder(_type)


def read(grant: Grant) -> Permission:
    """The permission of a grant; without data of ours, its access token is the upload token (a plain backend).

    Raises ``BadAnswer`` when there is none.
    """
    if not grant.data:
        if not grant.access_token:
            raise BadAnswer(f"the grant of {grant.key!r} has no upload token; ask for another.", key=grant.key)
        return Permission(token=grant.access_token)
    try:
        return msgspec.convert(grant.data, Permission)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"the grant of {grant.key!r} is not one of this provider's: {error}.", key=grant.key) from error


def write(permission: Permission) -> Mapping[str, Any]:
    """``Grant.data``."""
    data: dict[str, Any] = msgspec.to_builtins(permission)
    if permission.hosts:
        data["hosts"] = list(permission.hosts)  # as it is after a way through JSON
    return data


def put(token: str, hosts: tuple[str, ...]) -> Mapping[str, Any]:
    """``write`` of a permission to put an object in one piece, at a tenth of the cost."""
    return {"token": token, "hosts": list(hosts)} if hosts else {"token": token}


def parse(token: str, key: str) -> Token:
    """What an upload token says (Qiniu, "Upload token"). Raises ``BadToken``."""
    try:
        access_key, _, encoded = token.split(":")
        policy = msgspec.json.decode(base64.b64decode(encoded, altchars=b"-_", validate=True), type=_Policy)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        # Without its cause, whose text may hold a piece of it.
        raise BadToken(
            f"the token that came for {key!r} is no upload token of Qiniu; let gettoken answer one.", key=key
        ) from None
    return Token(access_key=access_key, bucket=policy.scope.partition(":")[0], deadline=policy.deadline)
