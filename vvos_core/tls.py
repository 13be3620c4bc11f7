"""TLS over a socket, with many records in one system call: Python's own socket sends and reads each by itself."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .connection import Link

_PIECE = 1024 * 1024  # bytes that are encrypted, and sent, in one go
_READ = 64 * 1024


class Tls:
    """The client's side of TLS, as a ``connection.Link`` over another, which is a socket, or TLS to a proxy.

    Raises, when it is made, what a handshake raises: ``ssl.SSLError``, and ``OSError`` of the link.
    """

    def __init__(self, link: Link, context: ssl.SSLContext, host: str) -> None:
        self.socket: socket.socket = link if isinstance(link, socket.socket) else link.socket
        """The one at the bottom."""
        self._link = link
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._taken = 0
        """Bytes that the call of ``send`` took whose records are on their way."""
        self._records = memoryview(b"")
        """What of them has not left."""
        self._shake_hands()

    def send(self, data: memoryview, /) -> int:
        """Send some of ``data``; answers how many bytes. A call that timed out is to be made again with the same."""
        if not self._taken:
            self._taken = self._tls.write(data[:_PIECE])
            # Behind what TLS had to say for itself, should that still be on its way.
            self._records = memoryview(
                b"".join((self._records, self._out.read())) if self._records else self._out.read()
            )
        self._flush()
        taken, self._taken = self._taken, 0
        return taken

    def recv(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end, announced or not: an answer's length tells what is missing."""
        while True:
            try:
                return self._tls.read(size)
            except ssl.SSLWantReadError:
                self._take()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def pending(self) -> bool:
        """Whether something has come that nobody has read."""
        return bool(self._tls.pending() or self._in.pending)

    def settimeout(self, seconds: float, /) -> None:
        self._link.settimeout(seconds)

    def fileno(self) -> int:
        return self._link.fileno()

    def close(self) -> None:
        self._link.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._take()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._answer()  # the other side hears why
                raise
            else:
                self._answer()
                return

    def _take(self) -> None:
        """Wait for more from the other side."""
        self._answer()
        data = self._link.recv(_READ)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()

    def _answer(self) -> None:
        """Send what TLS has to say for itself."""
        if self._out.pending:
            self._records = memoryview(b"".join((self._records, self._out.read())))
            self._flush()

    def _flush(self) -> None:
        while self._records:
            self._records = self._records[self._link.send(self._records) :]
