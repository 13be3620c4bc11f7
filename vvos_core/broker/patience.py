"""HTTP for clients that are slow or many: whoever keeps a connection waiting for too long loses it.

uvicorn bounds the size of a request's head and the idle time between requests. It bounds neither the time that a
request takes to arrive nor that of its answer to leave, and when many connections only wait, it refuses all requests.
"""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

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


class Patience(H11Protocol):
    """One connection."""

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
        super().data_received(data)
        self._judge(heard=True)

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
        state = self.conn.their_state
        if state is h11.SEND_BODY:
            phase, seconds = "body", BODY_SECONDS
        elif state is not h11.IDLE:
            phase, seconds = "answer", 0
        elif heard:
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
