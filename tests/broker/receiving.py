"""A webhook's receiver on a real socket: checks each signature with the official library, and remembers what came."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from standardwebhooks.webhooks import Webhook as Verifier

from vvos_core.model import Call, Event, Finished, Grant, NotifyRequest, Secret
from vvos_core.profile import WebhookSettings
from vvos_core.testing.server import LocalServer, Request, Response

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="


class Delivered(NamedTuple):
    id: str
    key: str
    body: dict[str, Any]
    headers: dict[str, str]


class Receiver:
    """``with Receiver() as receiver``; ``answer`` may be set to answer otherwise than 204."""

    def __init__(self) -> None:
        self.seen: list[Delivered] = []
        self.answer: Callable[[Delivered], Response] = lambda delivered: Response(204)
        self._lock = threading.Lock()
        self._server = LocalServer("127.0.0.1", 0, self._take, "receiver")
        self.port: int = self._server.server_address[1]
        self.url = f"{self._server.url}/vvos?a=%E5%AA%92"

    def __enter__(self) -> Receiver:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    @property
    def ids(self) -> list[str]:
        return [delivered.id for delivered in self.seen]

    def _take(self, request: Request) -> Response:
        body = b"".join(iter(lambda: request.body.read(65536), b""))
        headers = {name.lower(): value for name, value in request.headers}
        Verifier(SECRET).verify(body, headers)  # raises, and so answers nothing, for a signature that is none
        assert (request.method, request.path, request.query) == ("POST", "/vvos", "a=%E5%AA%92")
        said = json.loads(body)
        delivered = Delivered(headers["webhook-id"], said["data"]["key"], said, headers)
        with self._lock:
            self.seen.append(delivered)
        return self.answer(delivered)


def settings(url: str, **given: Any) -> WebhookSettings:
    return WebhookSettings(**{"name": "app", "url": url, "secret": (Secret(SECRET),), "allow_private": True, **given})


def told(key: str = "相册/a.jpg", event_id: str = "evt_1", **params: Any) -> NotifyRequest:
    """What a listener is told of one upload."""
    grant = Grant(provider="fake", key=key, client_key="a.jpg", size=5, type="image/jpeg", metadata={"t": "春"})
    event = Event(id=event_id, url=f"https://x/{key}", who="小明", request_id="r", at=1_800_000_000.5)
    done = Finished(grant=grant, size=5, checksum="md5:AAAA", event=event)
    return NotifyRequest(objects=(done,), call=Call(body=params))
