"""A TLS connection whose records are read many at a time: Python's own reads each with two system calls."""

from __future__ import annotations

import socket
import ssl

_READ = 256 * 1024
_CALL = memoryview(bytearray(_READ))
"""One thread serves all connections, so one buffer does."""


class TlsSocket:
    """The server's side of a connection that does not block, with a socket's methods as far as the drain uses them."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)

    def recv_into(self, view: memoryview, size: int) -> int:
        """Fill ``view`` as far as records have come; 0 at the end. Raises ``BlockingIOError``."""
        got = 0
        while got < size:
            try:
                count = int(self._tls.read(size - got, view[got:]))
            except ssl.SSLWantReadError:
                self._flush()
                if got:
                    return got
                came = self._sock.recv_into(_CALL)
                if not came:
                    return 0
                self._in.write(_CALL[:came])
                continue
            except ssl.SSLZeroReturnError:
                return got
            if not count:
                return got
            got += count
        return got

    def send(self, data: bytes) -> int:
        """Encrypt all of it, and send what can be sent."""
        self._tls.write(data)
        self._flush()
        return len(data)

    def close(self) -> None:
        self._sock.close()

    def fileno(self) -> int:
        return self._sock.fileno()

    def _flush(self) -> None:
        data = self._out.read()
        if data:
            self._sock.setblocking(True)  # answers are short; the peer reads them
            self._sock.sendall(data)
            self._sock.setblocking(False)
