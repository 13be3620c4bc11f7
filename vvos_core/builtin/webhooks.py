"""Webhooks: the plugin that tells an operator's address of finished uploads, signed as Standard Webhooks says.

The specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .. import __version__
from ..configuration.sections import webhook_key
from ..egress import Egress, Resolve, resolve
from ..errors import NotFound, ServiceFailed
from ..hooks import hookimpl
from ..http import Http
from ..model import Finished, Notified, NotifyRequest
from ..profile import WebhookSettings

CONNECT_SECONDS = 5.0
SILENT_SECONDS = 15.0
DELIVERY_SECONDS = 30.0
"""How long one delivery may take in all."""


class Webhook:
    """Posts each finished object to the one address that ``settings`` names, and nowhere else.

    Redirects are failures. The address is looked up for each delivery, and, unless ``settings.allow_private``, refused
    where it is not public; proxies of the environment are not used, for they would look it up anew.
    ``clock`` gives seconds since 1970, UTC; ``resolve`` the addresses of a host.
    """

    def __init__(
        self, settings: WebhookSettings, *, clock: Callable[[], float] = time.time, resolve: Resolve = resolve
    ) -> None:
        self.name = settings.name
        self._settings = settings
        self._clock = clock
        self._egress = Egress(private=settings.allow_private, seconds=DELIVERY_SECONDS, resolve=resolve)
        self._http = Http(timeout=(CONNECT_SECONDS, SILENT_SECONDS), connect=self._egress.connect)
        self._what = f"the webhook {settings.name}"

    @hookimpl
    def notify(self, request: NotifyRequest) -> list[Notified]:
        """Post each object. Raises ``NotFound`` for 410, any other ``VVOSError`` for what may be tried again."""
        for done in request.objects:
            self._post(done, request.call.body)
        return []

    def _post(self, done: Finished, params: Mapping[str, Any]) -> None:
        assert done.event is not None  # webhooks are the broker's, which always says
        body = msgspec.json.encode(payload(done, params))
        at = int(self._clock())
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"vvos/{__version__}",
            "webhook-id": done.event.id,
            "webhook-timestamp": str(at),
            "webhook-signature": " ".join(
                sign(webhook_key(secret.reveal()), done.event.id, at, body) for secret in self._settings.secret
            ),
        }
        with self._egress.limit(self._what):
            try:
                answer = self._http.send("POST", self._settings.url, headers=headers, body=body, what=self._what)
            finally:
                self._http.close()  # the next delivery looks the address up again
        if 200 <= answer.status < 300:
            return
        said = f"{self._what}: {urlsplit(self._settings.url).hostname} answered {answer.status}"
        if answer.status == 410:
            raise NotFound(f"{said}, it is gone; remove it from the configuration.")
        raise ServiceFailed(f"{said}.", retry_after=answer.retry_after)


def sign(key: bytes, event_id: str, at: int, body: bytes) -> str:
    """The signature of one delivery, version 1: HMAC-SHA256 of id, timestamp and body."""
    mac = hmac.digest(key, f"{event_id}.{at}.".encode() + body, hashlib.sha256)
    return "v1," + base64.b64encode(mac).decode()


def payload(done: Finished, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the receiver is sent, as JSON."""
    event = done.event
    assert event is not None  # as above
    return {
        "type": "upload.finished",
        "timestamp": datetime.fromtimestamp(event.at, timezone.utc).isoformat().replace("+00:00", "Z"),
        "data": {
            "key": done.grant.key,
            "clientKey": done.grant.client_key,
            "url": event.url,
            "size": done.size,
            "checksum": done.checksum,
            "type": done.grant.type,
            "metadata": done.grant.metadata,
            "profile": done.grant.profile,
            "who": event.who,
            "requestId": event.request_id,
            "params": params,
        },
    }
