"""Who may sign: the emulator's own keys, those of RAM users, and those that AssumeRole handed out."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from .errors import OssError
from .policy import Policy

ACCOUNT = "1234567890123456"


@dataclass(frozen=True)
class Credential:
    """A pair of keys. Those of STS have a token that has to come along, and an end; others too a policy."""

    access_key: str
    secret_key: str
    token: str = ""
    expires: float = float("inf")
    policy: Policy | None = None


class Credentials:
    """All credentials, by access key."""

    def __init__(self, root: Credential, clock: Callable[[], float]) -> None:
        self.root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._known = {root.access_key: root}

    def find(self, access_key: str, token: str | None) -> Credential:
        """The credential that these name. Raises ``OssError``."""
        found = self._known.get(access_key)
        if found is None or (found.token and token is None):
            raise OssError("InvalidAccessKeyId", OSSAccessKeyId=access_key)
        if not hmac.compare_digest(found.token.encode(), (token or "").encode()):
            raise OssError("InvalidSecurityToken")
        if self._clock() > found.expires:
            raise OssError("SecurityTokenExpired")
        return found

    def issue(self, seconds: int, policy: Policy | None) -> Credential:
        """New temporary credentials."""
        issued = Credential(
            f"STS.{secrets.token_hex(12)}",
            secrets.token_urlsafe(33),
            f"CAIS{secrets.token_urlsafe(180)}",
            float(int(self._clock()) + seconds),
            policy,
        )
        with self._lock:
            self._known[issued.access_key] = issued
        return issued

    def add(self, policy: Policy) -> Credential:
        """The lasting keys of a new RAM user."""
        user = Credential(f"LTAI{secrets.token_hex(10)}", secrets.token_urlsafe(24), policy=policy)
        with self._lock:
            self._known[user.access_key] = user
        return user

    def reset(self) -> None:
        """Forget all but the emulator's own."""
        with self._lock:
            self._known = {self.root.access_key: self.root}
