"""Temporary credentials: AssumeRole as STS answers it, and the credentials the emulator knows.

Session policies, role policies and external ids are accepted and NOT enforced: a session may do what the root
credential may. Source: AWS STS API Reference, AssumeRole.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from vvos_core.testing.server import Response

from .errors import S3Error, xml_text
from .sigv4 import Credential

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


class Credentials:
    """The root key pair, every session issued for it, and users with fewer rights."""

    def __init__(self, root: Credential, clock: Callable[[], float]) -> None:
        self._root = root
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Credential] = {}

    def find(self, access_key: str) -> Credential | None:
        """The credential of an access key, expired or not."""
        if access_key == self._root.access_key:
            return self._root
        with self._lock:
            return self._sessions.get(access_key)

    def add(self, rights: Mapping[str, str]) -> Credential:
        """A new user with these rights."""
        user = Credential(f"AKIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30), rights=rights)
        with self._lock:
            self._sessions[user.access_key] = user
        return user

    def reset(self) -> None:
        """Forgets the sessions and users."""
        with self._lock:
            self._sessions.clear()

    def issue(self, seconds: int) -> tuple[Credential, float]:
        """A new session that ends after so many seconds of the emulator's clock, and that moment."""
        ends = self._clock() + seconds
        session = Credential(
            access_key=f"ASIA{secrets.token_hex(8).upper()}",
            secret_key=secrets.token_urlsafe(30),
            session_token=secrets.token_urlsafe(96),
            expires_at=ends,
        )
        with self._lock:
            self._sessions[session.access_key] = session
        return session, ends

    def assume_role(self, form: str) -> Response:
        """Answers an AssumeRole request (already verified) from its form-encoded body."""
        fields = {name: values[0] for name, values in parse_qs(form, keep_blank_values=True).items()}
        action = fields.get("Action", "")
        if action != "AssumeRole":
            raise S3Error("NotImplemented", f"Only AssumeRole is emulated, not {action!r}.")
        role = re.fullmatch(r"arn:aws[\w-]*:iam::(\d{12}):role/(?:.+/)?([\w+=,.@-]+)", fields.get("RoleArn", ""))
        name = fields.get("RoleSessionName", "")
        if role is None or not re.fullmatch(r"[\w+=,.@-]{2,64}", name):
            raise S3Error("ValidationError", "RoleArn or RoleSessionName is missing or malformed.")
        duration = fields.get("DurationSeconds", "3600")
        if not re.fullmatch(r"\d{3,5}", duration, re.ASCII) or not 900 <= int(duration) <= 43_200:
            raise S3Error("ValidationError", "DurationSeconds must be between 900 and 43200.")
        session, ends = self.issue(int(duration))
        expiration = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ends))
        arn = f"arn:aws:sts::{role.group(1)}:assumed-role/{role.group(2)}/{name}"
        body = (
            f'<AssumeRoleResponse xmlns="{_NAMESPACE}"><AssumeRoleResult>'
            f"<AssumedRoleUser><AssumedRoleId>AROAEMULATOR:{xml_text(name)}</AssumedRoleId>"
            f"<Arn>{xml_text(arn)}</Arn></AssumedRoleUser>"
            f"<Credentials><AccessKeyId>{session.access_key}</AccessKeyId>"
            f"<SecretAccessKey>{session.secret_key}</SecretAccessKey>"
            f"<SessionToken>{session.session_token}</SessionToken><Expiration>{expiration}</Expiration></Credentials>"
            f"</AssumeRoleResult><ResponseMetadata><RequestId>{secrets.token_hex(8)}</RequestId></ResponseMetadata>"
            "</AssumeRoleResponse>"
        )
        return Response(200, [("Content-Type", "text/xml")], body.encode())
