"""A small HTTP server for local services: raw requests in, answers out; the standard library's `http.server` parses.

An application is a function from `Request` to `Response`. Paths and queries arrive as they were on the wire, neither
decoded nor normalised, since signatures are computed over them; bodies are read by the application, piece by piece.
"""

from __future__ import annotations

import contextlib
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from io import BufferedIOBase, BufferedReader
from urllib.parse import parse_qsl

IDLE_SECONDS = 60.0
LINGER_SECONDS = 2.0
JOIN_SECONDS = 5.0
_LINE = 8 * 1024


class BodyCut(Exception):
    """The client stopped before its body was through, or its framing is wrong."""


class BodyStalled(Exception):
    """The client sent nothing for too long."""


class Headers:
    """Header fields in the order and spelling of the wire; lookups ignore case, repeats are joined by a comma."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = list(pairs)

    def get(self, name: str) -> str | None:
        """The value of a field, or None; RFC 9110, section 5.3, allows to join repeated ones."""
        found = [value for key, value in self.pairs if key.lower() == name]
        return ",".join(found) if found else None

    def names(self) -> set[str]:
        """All names, in lower case."""
        return {name.lower() for name, _ in self.pairs}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.pairs)


class Body:
    """What is still to come from the client. The first read answers ``Expect: 100-continue``; a refusal does not."""

    def __init__(self, file: BufferedIOBase, length: int | None, before_first_read: Callable[[], None]) -> None:
        self.length = length
        """The declared length; None when the transfer is chunked."""
        self.received = 0
        self.finished = length == 0
        self._file = file
        self._before: Callable[[], None] | None = before_first_read
        self._left = length or 0

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; empty at the end. Raises `BodyCut` and `BodyStalled`."""
        if self.finished:
            return b""
        if self._before is not None:
            self._before()
            self._before = None
        try:
            if self.length is None and self._left == 0 and not self._next_chunk():
                return b""
            data = self._file.read(min(size, self._left))
        except TimeoutError:
            raise BodyStalled from None
        except OSError:
            raise BodyCut from None
        if not data:
            raise BodyCut
        self._left -= len(data)
        self.received += len(data)
        if self.length is not None:
            self.finished = self._left == 0
        elif self._left == 0 and self._line() != b"":
            raise BodyCut("a transfer chunk does not end where it says")
        return data

    def _next_chunk(self) -> bool:
        """Transfer-Encoding: chunked (RFC 9112, section 7.1), which http.server leaves to others; no trailers kept."""
        size = self._line().partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9a-fA-F]{1,16}", size):
            raise BodyCut("the transfer encoding is malformed")
        self._left = int(size, 16)
        if self._left == 0:
            while self._line():
                pass
            self.finished = True
        return self._left > 0

    def _line(self) -> bytes:
        line = self._file.readline(_LINE)
        if not line.endswith(b"\n"):
            raise BodyCut
        return line.rstrip(b"\r\n")


@dataclass
class Request:
    """A request as it arrived."""

    method: str
    path: str
    query: str
    headers: Headers
    body: Body

    def params(self) -> dict[str, str]:
        """The decoded query; of a repeated name the first counts."""
        result: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            result.setdefault(name, value)
        return result


@dataclass
class Response:
    """An answer. ``body`` is bytes, or an iterable of exactly ``length`` bytes in all."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None

    def set(self, name: str, value: str) -> None:
        """Set a field, replacing every earlier one of that name."""
        self.drop(name)
        self.headers.append((name, value))

    def drop(self, name: str) -> None:
        """Remove a field."""
        self.headers = [(key, value) for key, value in self.headers if key.lower() != name.lower()]


Application = Callable[[Request], Response]


class _Lines(BufferedReader):
    """Remembers the last line, which tells the end of a head from the end of the connection."""

    last = b""

    def readline(self, size: int | None = -1, /) -> bytes:
        self.last = super().readline(size)
        return self.last


class _Connection(BaseHTTPRequestHandler):
    """Serves one client until it goes away."""

    server: LocalServer
    rfile: _Lines
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Nagle's algorithm would hold back the second packet of an answer for 40 ms.
    disable_nagle_algorithm = True
    wbufsize = -1

    def setup(self) -> None:
        super().setup()
        self.rfile = _Lines(self.rfile.detach())

    def parse_request(self) -> bool:
        # http.server takes a head that breaks off for a whole one, and would obey half a request.
        whole = super().parse_request() and self.rfile.last != b""
        self.close_connection = self.close_connection or not whole
        return whole

    def handle(self) -> None:
        # Errors of the transport end the connection, and are the client's to notice.
        with contextlib.suppress(OSError):
            super().handle()

    def finish(self) -> None:
        # A client that is gone makes the last flush fail, and closing tries it again and leaves the rest open.
        with contextlib.suppress(OSError):
            super().finish()
        self.rfile.close()

    def handle_expect_100(self) -> bool:
        return True  # the body's first read answers it

    def version_string(self) -> str:
        return self.server.name

    def date_time_string(self, timestamp: float | None = None) -> str:
        return super().date_time_string(self.server.clock() if timestamp is None else timestamp)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet: the application keeps its own records."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What is not HTTP is told so, and loses its connection."""
        super().send_error(code, message, explain)
        self.close_connection = True
        self._linger()

    def _serve(self) -> None:
        framing = self._framing()
        if isinstance(framing, str):
            self.send_error(400, framing)
            return
        body = Body(self.rfile, framing, self._continue)
        # Not self.path: http.server folds slashes at its beginning. A proxy-style target carries scheme and host.
        target = re.sub(r"^https?://[^/]*", "", self.requestline.split()[1], flags=re.IGNORECASE)
        path, _, query = target.partition("?")
        pairs = [(name, value.strip(" \t")) for name, value in self.headers.raw_items()]
        response = self.server.application(Request(self.command, path, query, Headers(pairs), body))
        if not body.finished:
            self.close_connection = True
        self._send(response)
        if not body.finished:
            self._linger()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _serve  # noqa: N815  # http.server's names

    def _framing(self) -> int | str | None:
        """The body's length, None when it comes in chunks, or what is wrong (RFC 9112, section 6.3)."""
        lengths = self.headers.get_all("Content-Length", [])
        coding = self.headers.get("Transfer-Encoding")
        if coding is not None:
            chunked = coding.strip().lower() == "chunked" and not lengths
            return None if chunked else "Transfer-Encoding must be chunked, and without Content-Length"
        if not lengths:
            return 0
        if len(lengths) > 1 or not re.fullmatch(r"\d{1,18}", lengths[0], re.ASCII):
            return "Content-Length is not one number"
        return int(lengths[0])

    def _continue(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
            self.wfile.flush()

    def _send(self, response: Response) -> None:
        body = response.body
        length = len(body) if isinstance(body, bytes) and response.length is None else response.length
        bare = response.status in (204, 304)
        self.send_response(response.status)
        for name, value in response.headers:
            # What a header cannot hold (a line break in metadata, say) must not become a header of its own.
            self.send_header(name, re.sub(r"[\r\n\0]", " ", value).encode("latin-1", "replace").decode("latin-1"))
        if not bare:
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD" and not bare:
            for piece in (body,) if isinstance(body, bytes) else body:
                self.wfile.write(piece)
        self.wfile.flush()

    def _linger(self) -> None:
        """Read what the client still sends, then let the connection close.

        Closing with unread bytes makes the kernel send a reset, which can destroy the answer before it is read.
        """
        self.wfile.flush()
        self.request.shutdown(socket.SHUT_WR)
        self.request.settimeout(LINGER_SECONDS)
        while self.rfile.read1(1 << 20):
            pass


class LocalServer(socketserver.TCPServer):
    """Serves an application, with a thread for each connection, between ``start`` and ``stop``.

    ``name`` is the value of the ``Server`` header, ``clock`` (seconds since 1970, UTC) that of ``Date``.
    Raises ``OSError`` when the port is taken.
    """

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, host: str, port: int, application: Application, name: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.application = application
        self.clock = clock
        self.name = name
        self._open: dict[socket.socket, threading.Thread] = {}
        self._thread: threading.Thread | None = None
        try:
            super().__init__((host, port), _Connection)
        except OSError as error:
            raise OSError(error.errno, f"{name} cannot listen on {host}:{port}: {error.strerror}") from error

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        host, port = self.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> None:
        """Serve in the background."""
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.05}, name=self.name, daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Stop serving, end every connection, and wait for the threads that serve them."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        for connection, thread in list(self._open.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(JOIN_SECONDS)

    def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]  # as the base declares it
        # Not ThreadingMixIn: it cannot end idle connections.
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name=f"{self.name}-connection", daemon=True
        )
        self._open[request] = thread
        thread.start()

    def _serve(self, request: socket.socket, client_address: object) -> None:
        try:
            self.finish_request(request, client_address)
        finally:
            self.shutdown_request(request)
            self._open.pop(request, None)
