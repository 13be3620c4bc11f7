"""One client's connection through the proxy: each request is forwarded, or not, and answered as its fault says.

h11 finds where requests and answers begin and end; what passes is framed anew and otherwise unchanged.
"""

from __future__ import annotations

import selectors
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import IO, TypeAlias

import h11

from .fault import PATIENCE, Fault, Side
from .schedule import NONE, Headers, Seen

_BLOCK = 64 * 1024
_HEAD = 1 << 20
_SPOOL = 1 << 20
_NARROW = 8 * 1024
Choose: TypeAlias = Callable[[str, str, Headers], tuple[Fault, Seen]]
_Event: TypeAlias = "h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]"


class _Ended(Exception):
    """The fault ends the client's connection here."""


class _Service:
    """The connection to the service."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.socket = socket.create_connection(target, timeout=PATIENCE)
        self.socket.settimeout(None)
        _without_delay(self.socket)
        self.http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)

    def next_event(self) -> _Event:
        """What the service says next; waits for it."""
        while (event := self.http.next_event()) is h11.NEED_DATA:
            self.http.receive_data(self.socket.recv(_BLOCK))
        return event

    def finish(self) -> None:
        """No more comes: wait until the service has done with what it got."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            self.socket.settimeout(PATIENCE)
            while self.socket.recv(_BLOCK):
                pass
        self.socket.close()


class Link:
    """``run`` serves one client to its end, in the caller's thread; ``hang_up`` ends that from another thread."""

    def __init__(self, client: socket.socket, target: tuple[str, int], choose: Choose) -> None:
        self._client = client
        _without_delay(client)
        self._target = target
        self._choose = choose
        self._ended = threading.Event()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        self._service: _Service | None = None
        self._fault: Fault = NONE
        self._forwarded = 0
        self._answered = 0

    def run(self) -> None:
        try:
            while self._serve():
                pass
            self._close_in_order()
        except _Ended:
            if self._fault.resets:
                # With a lingering time of 0 the kernel sends RST instead of FIN.
                self._client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                self._close_in_order()
        except (OSError, h11.ProtocolError):
            pass  # one of the two went away, or does not speak HTTP: the other one learns it from its connection's end
        finally:
            self._drop_service()
            self._client.close()

    def hang_up(self) -> None:
        """End both connections, and whatever waits."""
        self._ended.set()
        service = self._service
        for end in (self._client, *([service.socket] if service else [])):
            with suppress(OSError):  # shutdown() wakes the thread that waits in recv(); close() would leave it waiting
                end.shutdown(socket.SHUT_RDWR)

    @property
    def stalls(self) -> bool:
        """Whether it waits for nothing but ``hang_up``."""
        return self._fault.silent

    def _serve(self) -> bool:
        """One request and its answer; whether another may follow."""
        while (request := self._http.next_event()) is h11.NEED_DATA:
            self._receive()
        if not isinstance(request, h11.Request):
            return False
        headers = request.headers.raw_items()
        fault, seen = self._choose(request.method.decode(), request.target.decode("latin-1"), headers)
        self._fault, self._forwarded, self._answered = fault, 0, 0
        if fault.rate is not None or fault.silent:
            # Else the kernel would take in a small request at once.
            self._client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
        self._wait_at("request")
        if fault.refuses:
            raise _Ended
        with tempfile.SpooledTemporaryFile(_SPOOL) as spool:
            answer = None
            if fault.forward:
                answer = self._forward(request, self._body(seen), spool)
            else:
                self._read(seen)
            if fault.forward > 1:
                self._skip()
                self._drop_service()
                spool.seek(0)
                answer = self._forward(request, iter(lambda: spool.read(_BLOCK), b""), None)
        seen.status = answer.status_code if answer else 0
        self._wait_at("answer")
        if fault.instead is not None:
            # Whole before it is heard of: what the service still does afterwards nobody could wait for.
            if answer is not None:
                self._skip()
            self._send(fault.instead)
            raise _Ended
        assert answer is not None
        self._pass(answer)
        return self._next()

    # ── the request ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _body(self, seen: Seen) -> Iterator[bytes | None]:
        """The body, piece by piece; None where the client has to be waited for."""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                yield None
            elif isinstance(event, h11.Data):
                seen.body += len(event.data)
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise ConnectionError("the client went away")

    def _read(self, seen: Seen) -> None:
        """The whole request, for nobody; one that waits for leave to send its body gets none."""
        for piece in self._body(seen):
            if piece is None:
                if self._http.they_are_waiting_for_100_continue:
                    return
                self._receive()

    def _forward(self, request: h11.Request, body: Iterator[bytes | None], spool: IO[bytes] | None) -> h11.Response:
        """Send a request; its answer, as soon as it begins, be it before the request's end."""
        added = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in self._fault.added]
        head = h11.Request(method=request.method, target=request.target, headers=[*request.headers.raw_items(), *added])
        if self._fault.request_bytes == 0:
            raise _Ended
        if self._service is not None and _readable(self._service.socket, seconds=0):
            self._drop_service()  # it hung up meanwhile
        service = self._service = self._service or _Service(self._target)
        self._send_on(service, service.http.send(head))
        for piece in body:
            if piece is None:
                # Whoever speaks first: leave to go on, and early refusals, come before the request's end.
                readable = _readable(self._client, service.socket)
                if service.socket in readable and (answer := self._answer(service)):
                    return answer
                if self._client in readable:
                    self._receive()
                continue
            if spool is not None and self._fault.forward > 1:
                spool.write(piece)
            self._send_on(service, service.http.send(h11.Data(data=piece)))
        self._send_on(service, service.http.send(h11.EndOfMessage()))
        while not (answer := self._answer(service)):
            pass
        return answer

    def _send_on(self, service: _Service, data: bytes | None) -> None:
        data = data or b""
        limit = self._fault.request_bytes
        if limit is not None and self._forwarded + len(data) > limit:
            service.socket.sendall(data[: limit - self._forwarded])
            service.finish()
            self._service = None
            raise _Ended
        self._forwarded += len(data)
        self._pace(len(data))
        try:
            service.socket.sendall(data)
        except ConnectionError:
            # It may have answered before it hung up; whoever reads next finds that, or the end.
            return

    def _receive(self) -> None:
        self._http.receive_data(self._client.recv(self._block))

    # ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, service: _Service) -> h11.Response | None:
        """What the service says: the head of its answer, or None when that was but leave to go on."""
        event = service.next_event()
        if isinstance(event, h11.InformationalResponse):
            self._send(self._http.send(event) or b"")
            return None
        if isinstance(event, h11.Response):
            return event
        raise ConnectionError("the service hung up")

    def _pieces(self) -> Iterator[bytes]:
        """The rest of the answer."""
        assert self._service is not None
        while isinstance(event := self._service.next_event(), h11.Data):
            yield bytes(event.data)
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionError("the service hung up")

    def _skip(self) -> None:
        for _ in self._pieces():
            pass

    def _pass(self, answer: h11.Response) -> None:
        self._send(self._http.send(answer) or b"")
        for piece in self._pieces():
            self._send(self._http.send(h11.Data(data=piece)) or b"")
        self._send(self._http.send(h11.EndOfMessage()) or b"")

    def _send(self, data: bytes) -> None:
        limit = self._fault.answer_bytes
        if limit is not None and self._answered + len(data) > limit:
            self._client.sendall(data[: limit - self._answered])
            raise _Ended
        self._answered += len(data)
        for start in range(0, len(data), self._block):
            block = data[start : start + self._block]
            self._pace(len(block))
            self._client.sendall(block)

    def _next(self) -> bool:
        """Make ready for another request, where both sides allow it."""
        service = self._service
        if service is not None:
            if service.http.our_state is h11.DONE and service.http.their_state is h11.DONE:
                service.http.start_next_cycle()
            else:
                self._drop_service()
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    # ── time, and the end ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _block(self) -> int:
        """Bytes at a time; few where they are to move slowly."""
        return _BLOCK if self._fault.rate is None else max(1, min(_BLOCK, int(self._fault.rate / 20)))

    def _pace(self, count: int) -> None:
        if self._fault.rate is not None:
            self._ended.wait(count / self._fault.rate)

    def _wait_at(self, side: Side) -> None:
        if self._fault.at != side:
            return
        if self._fault.gate is not None:
            self._fault.gate.reached.set()
            self._fault.gate.opened.wait(PATIENCE)
        if self._fault.silent:
            self._ended.wait()
            raise _Ended

    def _close_in_order(self) -> None:
        """FIN, and not RST: what the client still sends is read, since closing with unread bytes would reset."""
        with suppress(OSError):
            self._client.shutdown(socket.SHUT_WR)
            self._client.settimeout(PATIENCE)
            while self._client.recv(_BLOCK):
                pass

    def _drop_service(self) -> None:
        if self._service is not None:
            self._service.socket.close()
            self._service = None


def _readable(*ends: socket.socket, seconds: float | None = None) -> list[socket.socket]:
    """Those of ``ends`` that have something to read, after so many seconds at most."""
    # Not select(), which knows no descriptor above 1023.
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        return [key.fileobj for key, _ in selector.select(seconds) if isinstance(key.fileobj, socket.socket)]


def _without_delay(end: socket.socket) -> None:
    # Nagle's algorithm would hold back what h11 sends in two pieces for 40 ms.
    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
