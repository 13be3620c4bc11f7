"""Qiniu's three credentials, verified: upload tokens, signed management requests, signed download urls.

Sources: Qiniu, "Upload token", "Management credential" (QBox and Qiniu), "Download credential"; the SDKs' auth modules.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec.structs import replace

from . import errors
from .errors import KodoError
from .messages import Request
from .policy import Policy

_SKEW_SECONDS = 15 * 60
_PREFIX = "x-qiniu-"


class Keys:
    """The account's pair of keys, those of its users, and the present time (seconds since 1970)."""

    def __init__(
        self, access_key: str, secret_key: str, clock: Callable[[], float], flaws: Collection[str] = ()
    ) -> None:
        self.access_key = access_key
        self._secret = secret_key.encode()
        self._clock = clock
        self._flaws = flaws
        self._users: dict[str, tuple[bytes, Mapping[str, str]]] = {}

    def sign(self, text: bytes, access_key: str = "") -> str:
        """``AK:signature``; of the account, or of the user whose access key this is."""
        access_key = access_key if access_key in self._users else self.access_key
        secret = self._users[access_key][0] if access_key in self._users else self._secret
        digest = hmac.new(secret, text, hashlib.sha1).digest()
        return f"{access_key}:{base64.urlsafe_b64encode(digest).decode()}"

    def add_user(self, rights: Mapping[str, str]) -> tuple[str, str]:
        """The keys of an IAM user: each action that is theirs (Qiniu, "Kodo IAM actions"), and a pattern of keys."""
        access_key, secret_key = secrets.token_urlsafe(30), secrets.token_urlsafe(30)
        self._users[access_key] = (secret_key.encode(), dict(rights))
        return access_key, secret_key

    def forget_users(self) -> None:
        """Only the account is left."""
        self._users.clear()

    def knows(self, access_key: str) -> bool:
        """Whether it is the account's, or a user's."""
        return access_key == self.access_key or access_key in self._users

    def require(self, signed: str, action: str, key: str = "") -> None:
        """Raises ``KodoError`` (403) unless who signed (``AK:…``) may do it; ``key`` is one that is acted on."""
        if signed.partition(":")[0] in self._users:
            rights = self._users[signed.partition(":")[0]][1]
            if not fnmatchcase(key, rights.get(action, "")) or action not in rights:
                raise KodoError(403, "no permission")  # [?] status and text

    def upload_policy(self, token: str) -> Policy:
        """What an upload token allows. Raises ``KodoError`` (401)."""
        if not token:
            raise errors.no_token()
        signed, _, encoded = token.rpartition(":")
        if not self._same(signed, self.sign(encoded.encode(), signed.partition(":")[0])):
            raise errors.bad_token()
        self.require(signed, "Upload")
        try:
            told = msgspec.json.decode(base64.b64decode(encoded, altchars=b"-_", validate=True), type=dict[str, Any])
            # Null is the same as nothing, as for the service.
            policy = msgspec.convert({name: value for name, value in told.items() if value is not None}, Policy)
        except (binascii.Error, ValueError, msgspec.MsgspecError):
            raise errors.bad_token() from None
        self.check_deadline(policy)
        return replace(policy, insert_only=0) if "overwrite" in self._flaws else policy

    def check_deadline(self, policy: Policy) -> None:
        """Raises ``KodoError`` (401). Asked again when the object is made: that is the moment that counts."""
        if policy.deadline <= self._clock():
            raise errors.expired_token()

    def check_management(self, request: Request, body: bytes) -> None:
        """Raises ``KodoError`` (401, 403) unless the request carries a right signature of one of the two kinds."""
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        target = request.path + (f"?{request.query}" if request.query else "")
        content_type = request.headers.get("Content-Type", "")
        if kind == "QBox":
            text = f"{target}\n".encode()
            if content_type.partition(";")[0].strip() == "application/x-www-form-urlencoded":
                text += body
            candidates = [text]
        elif kind == "Qiniu":
            self._check_date(request)
            candidates = [_to_sign(request, target, host, content_type, body) for host in _hosts(request)]
        else:
            raise errors.bad_token()
        if not any(self._same(given, self.sign(text, given.partition(":")[0])) for text in candidates):
            raise errors.bad_token()

    def check_download(self, request: Request) -> None:
        """Raises ``KodoError`` (401) unless the url is signed (``e`` and, as its end, ``token``) and still good."""
        before, found, token = request.query.rpartition("token=")
        expires = parse_qs(before).get("e", [""])[0]
        if not found or not before.endswith("&") or not expires.isascii() or not expires.isdigit():
            raise errors.no_token()
        url = f"{request.origin}{request.path}?{before[:-1]}"
        if not self._same(token.replace("%3A", ":").replace("%3D", "="), self.sign(url.encode("latin-1"))):
            raise errors.bad_token()
        if int(expires) <= self._clock():
            raise KodoError(401, "token out of date")

    def _check_date(self, request: Request) -> None:
        said = request.headers.get("X-Qiniu-Date")
        if said is None:
            return
        try:
            when = datetime.strptime(said, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
        except ValueError:
            raise errors.bad_token() from None
        if abs(when.timestamp() - self._clock()) > _SKEW_SECONDS:
            raise KodoError(403, "request time is too skewed")  # [?] the text

    @staticmethod
    def _same(given: str, right: str) -> bool:
        return hmac.compare_digest(given.encode(), right.encode())


def _hosts(request: Request) -> list[str]:
    """The host as signed. The Node SDK writes a port twice, which real hosts, having none, never show."""
    host = request.headers.get("Host", "")
    port = re.search(r":\d+$", host)
    return [host, host + port[0]] if port else [host]


def _to_sign(request: Request, target: str, host: str, content_type: str, body: bytes) -> bytes:
    text = f"{request.method} {target}\nHost: {host}"
    if content_type:
        text += f"\nContent-Type: {content_type}"
    names = {name.lower() for name in request.headers if name.lower().startswith(_PREFIX) and len(name) > len(_PREFIX)}
    for name in sorted(names):
        text += f"\n{'-'.join(word.capitalize() for word in name.split('-'))}: {request.headers[name]}"
    signed = f"{text}\n\n".encode("latin-1")
    return signed + body if content_type and content_type != "application/octet-stream" else signed
