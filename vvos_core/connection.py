"""Connections that tell a stall from slowness: time runs out when no byte moves, not when many take long.

Python's ``sendall`` must be through with all it is given within the socket's timeout, and a read may time out while the
kernel is still sending what it took: both would cut off a slow uplink. Here each byte that moves gives new time.
"""

from __future__ import annotations

import io
import socket
import struct
import time
from collections.abc import Callable
from http.client import HTTPResponse, IncompleteRead
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError

Connect = Callable[[str, int, float], socket.socket]
"""Opens a connection to a host and port, within so many seconds. Raises ``OSError``, or any ``VVOSError``."""

ANSWER_ROUNDS = 10
"""An answer must be through this many times the patience after its first byte, however it drips."""
_RECORD = 16 * 1024  # of TLS: SSL_write returns when all it was given has gone, so it is given one record


class Dripping(TimeoutError):
    """An answer that moves, and does not end."""


def adapter(pool: int, timeout: tuple[float, float], connect: Connect | None = None) -> HTTPAdapter:
    """requests' adapter over such connections; ``connect`` opens them, in place of the system's way.

    ``timeout``: seconds until a connection stands, and seconds without a byte, in either direction.
    """
    patience = timeout[1]

    class Answer(HTTPResponse):
        def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            super().__init__(sock, *args, **kwargs)
            self._reading = _Reading(self.fp, sock, patience)
            self.fp = io.BufferedReader(self._reading)

        def begin(self) -> None:
            super().begin()
            if self._reading.ended:
                # http.client takes a head that breaks off for a whole one, and a lost answer for an empty success.
                raise IncompleteRead(b"")

    class Steady(HTTPConnection):
        response_class = Answer

        # Where TLS follows, it is still the host's name that is sent and that the certificate must have.
        def _new_conn(self) -> socket.socket:
            if connect is None:
                return super()._new_conn()
            try:
                return connect(self.host, self.port, timeout[0])
            except TimeoutError as error:
                raise ConnectTimeoutError from error

        # urllib3 sends under the connect timeout: ten seconds are too few for what comes after the headers.
        def endheaders(self, message_body: Any = None, *, encode_chunked: bool = False) -> None:
            super().endheaders(message_body, encode_chunked=encode_chunked)
            self.sock.settimeout(patience)

        def send(self, data: Any) -> None:
            if self.sock is None:
                self.connect()
            _send(self.sock, memoryview(data))

    class SteadyTLS(Steady, HTTPSConnection):
        pass

    class Plain(HTTPConnectionPool):
        ConnectionCls = Steady

    class TLS(HTTPSConnectionPool):
        ConnectionCls = SteadyTLS

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            _use(self.poolmanager)

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
            return _use(super().proxy_manager_for(*args, **kwargs))

    def _use(manager: PoolManager) -> PoolManager:
        manager.pool_classes_by_scheme = {"http": Plain, "https": TLS}
        return manager

    return Adapter(pool_connections=pool, pool_maxsize=pool, max_retries=0)


def _send(sock: socket.socket, data: memoryview) -> None:
    most = len(data) if type(sock) is socket.socket else _RECORD
    while data:
        before = _queued(sock)
        try:
            data = data[sock.send(data[:most]) :]
        except TimeoutError:
            if _queued(sock) == before:
                raise


class _Reading(io.RawIOBase):
    """The socket's side of an answer. ``file``, the socket's own, keeps it open as long as it is needed."""

    def __init__(self, file: io.BufferedIOBase, sock: socket.socket, patience: float) -> None:
        self._file = file
        self._sock = sock
        self._most = ANSWER_ROUNDS * patience
        self._began: float | None = None
        self.ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._began is not None and time.monotonic() - self._began > self._most:
            raise Dripping
        while True:
            before = _queued(self._sock)
            try:
                count = self._sock.recv_into(buffer)
            except TimeoutError:
                # Nobody answers what is still on its way.
                if _queued(self._sock) == before:
                    raise
            else:
                self._began = self._began or time.monotonic()
                self.ended = count == 0
                return count

    def close(self) -> None:
        self._file.close()
        super().close()


def _queued(sock: socket.socket) -> int:
    """Bytes that the kernel took and the other side has not acknowledged; always 0 where the system does not say."""
    try:
        import fcntl
        import termios

        # tcp(7): SIOCOUTQ, whose number is that of TIOCOUTQ.
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4)))[0])
    except (ImportError, OSError):
        return 0
