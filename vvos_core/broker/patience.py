"""HTTP for clients that are slow or many: whoever keeps a connection waiting for too long loses it.

uvicorn bounds the idle time between requests. It bounds neither the size of a request's head, nor the time that a
request takes to arrive, nor that of its answer to leave; and when many connections only wait, it refuses all requests.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEADER_BYTES = 32 * 1024
FRAMING = 8
"""Bytes that a chunked body may have around each of its own; a chunk of one byte has five."""
HEAD_SECONDS = 10
"""For a request's head to arrive whole."""
BODY_SECONDS = 40
"""For its body, from then on. The application answers 408 earlier; this is for bodies that it does not read."""
ANSWER_SECONDS = 60
"""For a client to take what is ready for it, each time that it falls behind."""
MAX_CONNECTIONS = 512
"""One more, and the connection that has kept the broker waiting for the longest is closed for it."""
CLOSING = 64
"""Connections that are closed and not gone yet. Above both, when all are being answered, the answer is 503."""


class Patience(HttpToolsProtocol):
    """One connection."""

    _reading = ""
    """``head`` or ``body`` of a request while it arrives."""
    _fed = 0
    _body = 0
    """Bytes that have come of this request, and those of its body among them."""
    _phase = ""
    """``head`` or ``body`` while these arrive, ``idle`` before a next request, ``answer`` when the broker has it."""
    _since = 0.0
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the base declares it
        super().connection_made(transport)
        self._judge(heard=True)
        others = [each for each in self.connections if isinstance(each, Patience) and not each.transport.is_closing()]
        waiting = [each for each in others if each is not self and each._phase != "answer"]
        if len(others) > MAX_CONNECTIONS and waiting:
            min(waiting, key=lambda each: each._since)._give_up()

    def connection_lost(self, exc: Exception | None) -> None:
        _stop(self._timer)
        _stop(self._stalled)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._fed += len(data)
        super().data_received(data)
        waits = self._reading or self._phase != "answer"
        if waits and self._fed > MAX_HEADER_BYTES + FRAMING * self._body and not self.transport.is_closing():
            self.send_400_response("The request's head, or what is around its body, is too long.")
        self._judge(heard=True)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading = "head"

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._reading == "head":  # and not after a body, where they are none that anybody asks for
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._fed > MAX_HEADER_BYTES:
            used = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if used > MAX_HEADER_BYTES:
                raise ValueError  # the parser makes a bad request of it
        self._reading = "body"
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._reading, self._fed, self._body = "", 0, 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._judge(heard=False)

    def pause_writing(self) -> None:
        super().pause_writing()
        _stop(self._stalled)
        self._stalled = self.loop.call_later(ANSWER_SECONDS, self._give_up)

    def resume_writing(self) -> None:
        _stop(self._stalled)
        super().resume_writing()

    def _judge(self, *, heard: bool) -> None:
        """Note what the connection is at now, and start the time of it when it is something else than before."""
        if self._reading == "body":
            phase, seconds = "body", BODY_SECONDS
        elif self.pipeline or (self.cycle is not None and not self.cycle.response_complete):
            phase, seconds = "answer", 0
        elif heard or self._reading:
            phase, seconds = "head", HEAD_SECONDS
        else:
            phase, seconds = "idle", 0  # uvicorn has a time for this
        if phase == self._phase:
            return
        self._phase, self._since = phase, self.loop.time()
        _stop(self._timer)
        if seconds and not self.transport.is_closing():
            self._timer = self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        # Not close(): that would wait until what is written is taken.
        self.transport.abort()


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
