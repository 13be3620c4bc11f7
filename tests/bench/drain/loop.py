"""The drain's transport: one thread, one buffer, many connections; plain or TLS."""

from __future__ import annotations

import contextlib
import mmap
import select
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus

import httptools
import msgspec

from ..content import MIB, Tape
from .checking import EDGE, AwsChunks, Check
from .request import Answer, Counts, Dialect, Request
from .tls import TlsSocket

KEPT = 64 * MIB
"""The largest body that is kept for the dialect; content is not."""
_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_LINES |= {status: f"HTTP/1.1 {status} Qiniu\r\n" for status in (298, 612)}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_HEAD = 64 * 1024  # bytes: a head and the beginning of a body
_DISCARD = getattr(socket, "MSG_TRUNC", 0)


class Loop:
    """Serves one listening socket. ``full`` compares every byte; otherwise both ends of each body."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None, dialect: Dialect, tape: Tape) -> None:
        self.dialect = dialect
        self.tape = tape
        self.counts = Counts()
        self.full = True
        self.tls = tls
        self.view = memoryview(mmap.mmap(-1, MIB))  # it begins with a page: copying into it is faster then
        self._listener = listener
        self._connections: dict[int, Connection] = {}

    def run(self) -> None:
        """Serve until the process ends."""
        self._listener.setblocking(False)
        poll = select.epoll()
        entrance = self._listener.fileno()
        poll.register(entrance, select.EPOLLIN)
        connections = self._connections
        while True:
            for number, _ in poll.poll():
                if number == entrance:
                    self._accept(poll)
                elif not connections[number].readable():
                    poll.unregister(number)
                    connections.pop(number).close()

    def _accept(self, poll: select.epoll) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                taken, _ = self._listener.accept()
                taken.setblocking(False)
                taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                poll.register(taken.fileno(), select.EPOLLIN)
                wrapped = taken if self.tls is None else TlsSocket(taken, self.tls)
                self._connections[taken.fileno()] = Connection(self, wrapped)


class Connection:
    """One connection: heads by httptools, content counted and compared as it comes."""

    def __init__(self, loop: Loop, sock: socket.socket | TlsSocket) -> None:
        self._loop = loop
        self._sock = sock
        self._tls = isinstance(sock, TlsSocket)
        self._head = b""
        self._start()

    def _start(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._request: Request | None = None
        self._left = 0
        self._kept = bytearray()
        self._check: Check | None = None
        self._aws: AwsChunks | None = None
        self._chunked = False
        self._complete = False

    # httptools calls these.
    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._take(body)

    def on_message_complete(self) -> None:
        self._complete = True

    def readable(self) -> bool:
        """Take what has come. False when the connection is over."""
        try:
            if not self._tls:
                return self._receive() > 0
            # What TLS has decrypted already, the poll does not tell of.
            while self._receive():
                pass
        except BlockingIOError:
            return True
        except (OSError, httptools.HttpParserError):
            return False
        return False

    def close(self) -> None:
        if self._request is not None and not self._complete:
            self._loop.counts.short += 1
        self._sock.close()

    def _receive(self) -> int:
        """Take the next bytes; answers how many came, 0 at the end."""
        loop = self._loop
        view = loop.view
        check = self._check
        middle = self._left - EDGE
        if check is None or check.full or self._aws or self._chunked or check.seen < EDGE or middle <= 0:
            # Of what is not looked at, little is copied here.
            few = self._request is None and not loop.full
            count = self._sock.recv_into(view, _HEAD if few else len(view))
            if count:
                self._feed(view[:count])
            return count
        # The middle of a body is not looked at; the kernel throws it away, where it can.
        if isinstance(self._sock, TlsSocket):
            count = self._sock.recv_into(view, min(len(view), middle))
        else:
            count = self._sock.recv_into(view, min(len(view), middle), _DISCARD)
        check.seen += count
        self._left -= count
        return count

    def _feed(self, view: memoryview) -> None:
        while view:
            if self._request is None:
                view = self._begin(view)
            elif self._chunked:
                self._parser.feed_data(view)
                view = view[len(view) :]
            else:
                taken, view = view[: self._left], view[self._left :]
                self._left -= len(taken)
                self._take(taken)
                self._complete = self._left == 0
            if self._complete:
                self._finish()

    def _begin(self, view: memoryview) -> memoryview:
        """Read a head; answers what comes behind it."""
        before = len(self._head)
        self._head += bytes(view[: 64 * 1024])
        end = self._head.find(b"\r\n\r\n", max(0, before - 3))
        if end < 0:
            return view[64 * 1024 :]
        head, self._head = self._head[: end + 4], b""
        self._parser.feed_data(head)
        method = self._parser.get_method().decode()
        request = self._request = Request(method, self._url.decode("latin-1"), self._headers)
        headers = self._headers
        self._left = int(headers.get("content-length", "0"))
        self._chunked = "chunked" in headers.get("transfer-encoding", "")
        decoded = headers.get("x-amz-decoded-content-length")
        candidates = self._loop.dialect.content(request, self._left if decoded is None else int(decoded))
        if candidates:
            self._check = Check(self._loop.tape, candidates, full=self._loop.full)
            if decoded is not None:
                self._aws = AwsChunks()
        if headers.get("expect", "").lower() == "100-continue":
            self._send(_CONTINUE)
        self._complete = not self._left and not self._chunked
        return view[end + 4 - before :]

    def _take(self, data: bytes | memoryview) -> None:
        check = self._check
        if check is None:
            if len(self._kept) + len(data) > KEPT:
                raise OSError("the body is too long to keep")
            self._kept += data
        elif self._aws is not None:
            for piece in self._aws.pieces(data):
                check.feed(piece)
        else:
            check.feed(data)

    def _finish(self) -> None:
        loop, request, check = self._loop, self._request, self._check
        assert request is not None
        loop.counts.requests += 1
        if request.path.startswith("/-/"):
            answer = self._control(request)
        elif check is not None and not check.finish():
            loop.counts.wrong += 1
            answer = Answer(400, {}, b"these are not the bytes of that name")
        else:
            if check is not None:
                loop.counts.received += check.seen
            answer = loop.dialect.answer(request, bytes(self._kept), check.stretch if check else None, loop.counts)
        lines = [_LINES[answer.status]]
        lines += [f"{name}: {value}\r\n" for name, value in answer.headers.items()]
        if "Content-Length" not in answer.headers:
            lines.append(f"Content-Length: {len(answer.body)}\r\n")
        lines.append("\r\n")
        self._send("".join(lines).encode("latin-1") + answer.body)
        self._start()

    def _control(self, request: Request) -> Answer:
        loop = self._loop
        loop.counts.requests -= 1
        if "full" in request.query:
            loop.full = request.query["full"] == "1"
        told, loop.counts = loop.counts, Counts()
        return Answer(200, {"Content-Type": "application/json"}, msgspec.json.encode(told))

    def _send(self, data: bytes) -> None:
        send: Callable[[bytes], int] = self._sock.send
        while data:
            try:
                data = data[send(data) :]
            except BlockingIOError:
                select.select([], [self._sock], [], 30)
