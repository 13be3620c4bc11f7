"""Faults of a network, staged on the loopback interface: a relay that cuts and loses, a service that only refuses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

_BLOCK = 64 * 1024
_PATIENCE = 10.0
"""Seconds that a service may take over a request that was cut."""


class Relay:
    """Passes bytes between clients and the service at ``target`` (``host:port``), until it is told to do otherwise.

    Faults are for connections to come: setting one drops those that are there. Use it as a context manager.
    """

    def __init__(self, target: str) -> None:
        self._home = _pair(target)
        self._lock = threading.Lock()
        self._links: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.lost = 0
        """Answers that the service gave and nobody got."""
        self._set()
        self._start(self._accept)

    def pass_all(self) -> None:
        """No fault (any more)."""
        self._set()

    def aim(self, target: str) -> None:
        """Pass to another service, at ``host:port``, instead."""
        self._set(target=_pair(target))

    def lose_answers(self) -> None:
        """Let requests through, and hang up when the service begins to answer: it has acted, and nobody hears of it."""
        self._set(lose=True)

    def cut_after(self, count: int) -> None:
        """Hang up when a client has sent more than ``count`` bytes on one connection."""
        self._set(cut=count)

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Add these to the first HTTP request of each connection, behind what the client signed."""
        self._set(added="".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode("latin-1"))

    def close(self) -> None:
        with suppress(OSError):  # who waits in accept() is woken by this, not by close()
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Relay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _set(
        self,
        *,
        target: tuple[str, int] | None = None,
        lose: bool = False,
        cut: int | None = None,
        added: bytes = b"",
    ) -> None:
        self._target, self._lose, self._cut, self._added = target or self._home, lose, cut, added
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            _close(link)

    def _start(self, do: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=do, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                service = socket.create_connection(self._target, timeout=10)
                service.settimeout(None)
            except OSError:
                client.close()
                continue
            with self._lock:
                self._links |= {client, service}
            done = threading.Event()
            self._start(self._pump_requests, client, service, done)
            self._start(self._pump_answers, service, client, done)

    def _pump_requests(self, client: socket.socket, service: socket.socket, done: threading.Event) -> None:
        cut, added, count = self._cut, self._added, 0
        with suppress(OSError):
            while block := client.recv(_BLOCK):
                if cut is not None and len(block) > cut - count:
                    service.sendall(block[: max(0, cut - count)])
                    # The client hears of it when the service has done with what it got: then one can look what is left.
                    service.shutdown(socket.SHUT_WR)
                    done.wait(_PATIENCE)
                    break
                count += len(block)
                if added:
                    line, end, rest = block.partition(b"\r\n")
                    block, added = line + end + added + rest, b""
                service.sendall(block)
        self._end(client, service)

    def _pump_answers(self, service: socket.socket, client: socket.socket, done: threading.Event) -> None:
        lose, cut = self._lose, self._cut
        with suppress(OSError):
            while block := service.recv(_BLOCK):
                if lose:
                    self.lost += 1
                    break
                if cut is None:
                    client.sendall(block)
        done.set()
        if cut is None:
            self._end(service, client)

    def _end(self, *links: socket.socket) -> None:
        for link in links:
            _close(link)
        with self._lock:
            self._links -= set(links)


class Refusing:
    """An HTTP service that reads each request to its end and answers it with one status and no words."""

    def __init__(self, status: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                left = int(self.headers.get("Content-Length") or 0)
                while left > 0 and (block := self.rfile.read(min(left, _BLOCK))):
                    left -= len(block)
                self.send_response_only(status)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()

            do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_OPTIONS = answer  # noqa: N815  # http.server's names
            do_COPY = do_LOCK = do_MKCOL = do_MOVE = do_PROPFIND = do_PROPPATCH = do_UNLOCK = answer  # noqa: N815  # WebDAV's

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def __enter__(self) -> Refusing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _pair(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _close(link: socket.socket) -> None:
    # shutdown() wakes the thread that waits in recv(); close() alone would leave it waiting.
    with suppress(OSError):
        link.shutdown(socket.SHUT_RDWR)
    link.close()
