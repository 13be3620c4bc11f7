"""Between the local HTTP server and the gate: requests and answers in Kodo's forms."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from requests.structures import CaseInsensitiveDict

from vvos_core.testing import server

from .errors import KodoError, invalid
from .messages import Request, Response

Application = Callable[[Request], Response]

_DRAIN = 1024 * 1024
"""What a client still sends after a refusal is read up to here, so that it can go on with its connection."""


class _Incoming:
    """The body of one request; what cuts it short is told as Kodo tells it."""

    def __init__(self, body: server.Body) -> None:
        self._body = body

    @property
    def received(self) -> int:
        return self._body.received

    def read(self, size: int, /) -> bytes:
        try:
            return self._body.read(size)
        except (server.BodyCut, server.BodyStalled):
            raise invalid("unexpected EOF") from None

    def drain(self) -> None:
        start = self.received
        with contextlib.suppress(KodoError):
            while not self._body.finished and self.received - start < _DRAIN:
                self.read(64 * 1024)


def serving(application: Application) -> server.Application:
    """``application`` as the local server calls it."""

    def serve(raw: server.Request) -> server.Response:
        headers = CaseInsensitiveDict(raw.headers)
        body = _Incoming(raw.body)
        origin = f"http://{headers.get('Host', '')}"
        answer = application(Request(raw.method, raw.path, raw.query, headers, body, origin))
        body.drain()
        # Kodo's header values are UTF-8; a header line is written as Latin-1.
        pairs = [(name, value.encode().decode("latin-1")) for name, value in answer.headers.items()]
        return server.Response(answer.status, pairs, answer.body, answer.length)

    return serve
