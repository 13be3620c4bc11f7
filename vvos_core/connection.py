"""One HTTP/1.1 connection: a request goes out, its answer comes in, and a stall is told from slowness.

Time runs out when no byte moves, not when many take long. A send or a read may time out while the kernel is still
sending what it took before; where the system tells what the other side has acknowledged, that gives new time.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Union

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from msgspec import Struct

if TYPE_CHECKING:
    from .tls import Tls

Link = Union[socket.socket, "Tls"]

ANSWER_ROUNDS = 10
"""An answer must be through this many times the patience after its first byte, however it drips."""
_JOINED = 64 * 1024  # what is shorter goes out with the head, in one packet
_MOST_HEAD = 64 * 1024
_TELLS = sys.platform == "linux"
_ACKED = struct.Struct("120xQ")  # tcp_info.tcpi_bytes_acked, in linux/tcp.h since 4.1


class Dripping(TimeoutError):
    """An answer that moves, and does not end."""


class TooLong(OSError):
    """An answer of more than was to be read."""


class Garbled(OSError):
    """An answer that is no HTTP/1.1."""


class Reply(Struct, frozen=True):
    """An answer. ``headers`` by their lower-case names; ``whole``: it came after the last byte of the request."""

    status: int
    headers: dict[str, str]
    body: bytes
    whole: bool
    reusable: bool
    """Whether another request may follow on the connection."""


class Connection:
    """An open connection, for one thread at a time.

    ``patience``: seconds without a byte, in either direction. ``most``: the longest body of an answer, in bytes.
    """

    def __init__(self, link: Link, patience: float, most: int) -> None:
        self._link = link
        self._patience = patience
        self._most = most
        self._incoming = _Incoming()
        link.settimeout(patience)
        self._secured = None if isinstance(link, socket.socket) else link
        self._known = (link if isinstance(link, socket.socket) else link.socket) if _TELLS else None

    def exchange(self, head: bytes, body: Iterable[bytes | memoryview] = (), *, bodiless: bool = False) -> Reply:
        """Send a request, read the whole answer. ``bodiless``: to HEAD, or to CONNECT, comes a head alone.

        Raises ``OSError``: ``TimeoutError`` for a stall, ``ConnectionError`` for an answer that breaks off,
        ``TooLong``, ``Garbled``; and what ``body`` raises. Whatever it raises, the connection is to be closed.
        """
        whole = False
        try:
            self._send_all(head, body)
            whole = True
        except TimeoutError:
            raise
        except OSError as error:
            # The other side may have said why before it hung up.
            try:
                return self._receive(bodiless, whole)
            except OSError:
                raise error from None
        return self._receive(bodiless, whole)

    def quiet(self) -> bool:
        """Whether nothing came since the last answer: an end, or what nobody asked for."""
        if self._secured is not None and self._secured.pending():
            return False
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(self._link.fileno(), select.POLLIN)
            return not poll.poll(0)
        return not select.select([self._link], [], [], 0)[0]

    def close(self) -> None:
        """Close it. It cannot be used again."""
        self._link.close()

    def _send_all(self, head: bytes, body: Iterable[bytes | memoryview]) -> None:
        for block in body:
            if not block:
                continue
            if head and len(block) <= _JOINED:
                block = b"".join((head, block))
            elif head:
                self._send(head)
            head = b""
            self._send(block)
        if head:
            self._send(head)

    def _send(self, data: bytes | memoryview) -> None:
        left = memoryview(data)
        while left:
            before = self._acked()
            try:
                left = left[self._link.send(left) :]
            except TimeoutError:
                if self._acked() == before:
                    raise

    def _receive(self, bodiless: bool, whole: bool) -> Reply:
        incoming = self._incoming
        incoming.begin()
        began = 0.0
        while not (incoming.complete or (bodiless and incoming.headed)):
            data = self._read()
            now = time.monotonic()
            began = began or now
            if now - began > ANSWER_ROUNDS * self._patience:
                raise Dripping
            if not data:
                if not incoming.headed or incoming.framed:
                    raise ConnectionResetError
                break
            incoming.feed(data)
            if len(incoming.body) > self._most or incoming.head_bytes > _MOST_HEAD:
                raise TooLong
        reusable = whole and incoming.complete and incoming.reusable
        return Reply(incoming.status, incoming.headers, bytes(incoming.body), whole, reusable)

    def _read(self) -> bytes:
        while True:
            before = self._acked()
            try:
                return self._link.recv(_JOINED)
            except TimeoutError:
                # Nobody answers what is still on its way.
                if self._acked() == before:
                    raise

    def _acked(self) -> int:
        """Bytes that the other side has acknowledged; always 0 where the system does not say."""
        if self._known is None:
            return 0
        told = self._known.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED.size)
        return int(_ACKED.unpack(told)[0]) if len(told) == _ACKED.size else 0


class _Incoming:
    """An answer as it comes in; the parser calls its ``on_`` methods."""

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.begin()

    def begin(self) -> None:
        """Wait for an answer."""
        self.complete = self.headed = self.framed = self.reusable = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = bytearray()
        self.head_bytes = 0
        """Of the head, as far as it has come."""

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises ``Garbled``."""
        if not self.headed:
            self.head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            # What comes behind a whole answer is no part of it.
            self.reusable = False
            if not self.complete:
                raise Garbled from None
        if self.headed:
            self.head_bytes = 0

    def on_message_begin(self) -> None:
        if self.complete:
            self.reusable = False
        else:
            self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        if not self.complete and self._parser.get_status_code() >= 200:  # others go before the answer
            self.headed = True
            self.status = self._parser.get_status_code()
            self.framed = "content-length" in self.headers or "transfer-encoding" in self.headers

    def on_body(self, body: bytes) -> None:
        if not self.complete:
            self.body += body

    def on_message_complete(self) -> None:
        if self.headed and not self.complete:
            self.complete = True
            self.reusable = bool(self._parser.should_keep_alive())
