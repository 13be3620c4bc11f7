"""HTTP/1.1 on the loopback interface: the standard library reads the requests, connections are kept alive.

Werkzeug's own handler closes every connection after its answer, which costs an upload of many small files its speed
and hides what keep-alive breaks; its pieces (the chunked decoder here, the form decoder elsewhere) are used.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any

from requests.structures import CaseInsensitiveDict
from werkzeug.serving import DechunkedInput

from .errors import invalid
from .messages import Request, Response

Application = Callable[[Request], Response]

_IDLE_SECONDS = 60.0
_LINGER_SECONDS = 2.0
_JOIN_SECONDS = 5.0
_DRAIN = 1024 * 1024


class _Incoming:
    """The body of one request."""

    def __init__(self, file: Any, length: int | None) -> None:
        self.received = 0
        self._file = DechunkedInput(file) if length is None else file
        self._chunked = length is None
        self._left = length or 0
        self.finished = length == 0

    def read(self, size: int, /) -> bytes:
        if self.finished:
            return b""
        try:
            data: bytes = self._file.read(size if self._chunked else min(size, self._left))
        except OSError:
            raise invalid("unexpected EOF") from None
        if not self._chunked:
            if not data:
                raise invalid("unexpected EOF")
            self._left -= len(data)
        self.finished = not data if self._chunked else self._left == 0
        self.received += len(data)
        return data

    def drain(self) -> bool:
        """Read what the application left, if it is little; whether the next request can follow."""
        with contextlib.suppress(Exception):
            start = self.received
            while not self.finished and self.received - start < _DRAIN:
                self.read(64 * 1024)
        return self.finished


class _Handler(BaseHTTPRequestHandler):
    """Serves one client until it goes away. Requests are parsed by the standard library."""

    server: Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    # Nagle's algorithm would hold back the second packet of an answer for 40 ms.
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024

    def handle(self) -> None:
        # Errors of the transport end the connection, and are the client's to notice.
        with contextlib.suppress(OSError):
            super().handle()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        incoming = self._incoming()
        if incoming is None:
            self.send_error(400, "malformed body length")
            self.close_connection = True
            return
        path, _, query = self.path.partition("?")
        origin = f"http://{self.headers.get('Host', '')}"
        headers = CaseInsensitiveDict(self.headers.items())
        response = self.server.application(Request(self.command, path, query, headers, incoming, origin))
        keep = incoming.drain() and not self.close_connection
        self._send(response, close=not keep)
        if not keep:
            self._linger()

    def _incoming(self) -> _Incoming | None:
        coding, length = self.headers.get("Transfer-Encoding"), self.headers.get("Content-Length")
        if coding is not None:
            return _Incoming(self.rfile, None) if coding.strip().lower() == "chunked" and length is None else None
        if length is None:
            return _Incoming(self.rfile, 0)
        return _Incoming(self.rfile, int(length)) if length.isascii() and length.isdigit() else None

    def _send(self, response: Response, *, close: bool) -> None:
        body = response.body
        length = len(body) if isinstance(body, bytes) else response.length
        try:
            reason = HTTPStatus(response.status).phrase
        except ValueError:
            reason = "Unknown"
        self.send_response(response.status, reason)
        for name, value in response.headers.items():
            # What a header cannot hold (a line break in metadata, say) must not become a header of its own.
            self.send_header(name, value.replace("\r", " ").replace("\n", " ").encode().decode("latin-1"))
        self.send_header("Content-Length", str(length))
        if close:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            for piece in [body] if isinstance(body, bytes) else body:
                self.wfile.write(piece)
        self.wfile.flush()

    def _linger(self) -> None:
        """Read what the client still sends, then let the connection close.

        Closing with unread bytes makes the kernel send a reset, which can destroy the answer before it is read.
        """
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_SECONDS)
        while self.rfile.read1(_DRAIN):
            pass

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing on stderr: the emulator keeps its own records."""

    def version_string(self) -> str:
        return "Tengine"


class Server(socketserver.TCPServer):
    """A thread per connection; ``close_all`` ends them. (socketserver's ThreadingMixIn cannot end idle ones.)"""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], application: Application) -> None:
        self.application = application
        self._open: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self._run, args=(request, client_address), name="qiniu-emulator-connection", daemon=True
        )
        self._open[request] = thread
        thread.start()

    def _run(self, request: socket.socket, client_address: Any) -> None:
        try:
            # A client that breaks off is no fault.
            with contextlib.suppress(OSError):
                self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)
            self._open.pop(request, None)

    def close_all(self) -> None:
        """End every open connection, and wait for the threads that serve them."""
        for connection, thread in list(self._open.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(_JOIN_SECONDS)
