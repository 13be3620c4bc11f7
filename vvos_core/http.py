"""Sends one HTTP request and reads its answer: what the providers and the broker's clients share of the wire."""

from __future__ import annotations

import logging
import re
import socket
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from datetime import timezone
from typing import TYPE_CHECKING

from msgspec import Struct

from .errors import BadAnswer, BadInput, SourceChanged, Unavailable, VVOSError
from .model import MIB, Chunk
from .pace import paced

if TYPE_CHECKING:
    import ssl

    from .connection import Connection
    from .route import Connect, Route

log = logging.getLogger(__name__)

MAX_ANSWER = 4 * MIB
"""The longest answer body that is read, in bytes: the grant of 10,000 parts is an eighth of it."""

MAX_RETRY_AFTER = 86400.0
"""The longest wait that is taken from an answer, in seconds: nobody means more than a day."""


_URL = re.compile(r"(https?://[!-.0->@-~]+)([/?][!-~]*|)", re.IGNORECASE)
_HEADER = re.compile(r"[!#-'*+.^_`|~0-9A-Za-z-]+: (?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_WITH_LENGTH = ("PUT", "POST", "PATCH")
_TAIL = 16 * 1024  # of a body, in bytes: it is held back until the body is known to be whole


class Headers(Mapping[str, str]):
    """Headers by their names, in any case."""

    def __init__(self, lower: Mapping[str, str]) -> None:
        self._lower = lower

    def __getitem__(self, name: str) -> str:
        return self._lower[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lower)

    def __len__(self) -> int:
        return len(self._lower)


class Answer(Struct, frozen=True, kw_only=True):
    """What the other side said. ``headers`` finds names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def retry_after(self) -> float | None:
        """Seconds that the other side asks to wait (RFC 9110, 10.2.3), at most ``MAX_RETRY_AFTER``.

        A date counts from the answer's own ``Date``, where it has one: the clocks may differ.
        """
        value = self.headers.get("Retry-After", "")
        if value.isascii() and value.isdigit() and len(value) < 10:
            return min(float(value), MAX_RETRY_AFTER)
        until = _seconds(value)
        if until is None:
            return None
        now = _seconds(self.headers.get("Date", ""))
        return min(max(0.0, until - (time.time() if now is None else now)), MAX_RETRY_AFTER)


def _seconds(date: str) -> float | None:
    """An HTTP-date as seconds since 1970; None where it is none."""
    from email.utils import parsedate_to_datetime

    try:
        read = parsedate_to_datetime(date)
        return read.replace(tzinfo=read.tzinfo or timezone.utc).timestamp()
    except (ValueError, OverflowError):
        return None


class Http:
    """Connections that many threads share. Nothing is imported or opened before the first ``send``.

    Parameters
    ----------
    timeout: seconds until a connection stands, and seconds without a byte in either direction; an answer may take ten
        times as long from its first byte. However slow a body is, it may go on as long as it moves.
    pool: connections to a host that are kept open; more threads open more, and close them again.
    connect: opens the connections, in place of the system's way; then no proxy is asked to open them.

    Redirects are answers, never followed; there are no cookies, and ``~/.netrc`` (which would add a header to requests
    that are signed) is not looked at. Proxies and the certificate bundle come from the usual variables of the
    environment (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE`` …), read once for each host.
    """

    def __init__(
        self, *, timeout: tuple[float, float] = (10.0, 60.0), pool: int = 32, connect: Connect | None = None
    ) -> None:
        self._timeout = timeout
        self._pool = pool
        self._open = connect
        self._lock = threading.Lock()
        self._context: ssl.SSLContext | None = None
        self._routes: dict[str, tuple[Route, list[Connection]]] = {}
        """By origin: the way to it, and its idle connections."""
        weakref.finalize(self, _close, self._routes)

    def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Chunk | None = None,
        what: str,
    ) -> Answer:
        """Send one request, once, and read the whole answer, whatever its status.

        ``url`` goes out exactly as it is given, so it has to be quoted. A ``Chunk`` is sent block by block, with its
        length; what it raises comes out unchanged. ``what`` begins the sentence of an error: "storing part 3 of a.mp4".

        Raises ``Unavailable`` when there is no answer or not in time, ``BadAnswer`` when it is longer than
        ``MAX_ANSWER``, is compressed (nobody asked for that), or its sender cannot be trusted, ``SourceChanged`` when a
        ``Chunk`` gives more or fewer bytes than its length, ``BadInput`` for what is no URL or no header. Messages name
        the host, never the rest of the URL or a header: they are capabilities.
        """
        match = _URL.fullmatch(url.partition("#")[0])
        if match is None:
            raise BadInput(f"{what}: its address is not an http:// or https:// URL; correct it.")
        origin, target = match.groups()
        route, idle = self._route(origin, what)
        head = _head(method, route, target, headers or {}, body, what)
        where = f"{what}: {route.label}"
        blocks: Iterable[bytes | memoryview] = ()
        if body:
            blocks = (body,) if isinstance(body, bytes) else _whole(body, what)
        elif body is not None and not isinstance(body, bytes):
            for _ in _whole(body, what):  # read before: an empty request is whole, and obeyed, with its headers
                pass
        connection: Connection | None = None
        try:
            connection = self._connection(route, idle)
            reply = connection.exchange(head, blocks, bodiless=method == "HEAD")
        except OSError as error:
            if connection is not None:
                connection.close()
            # Without its cause: the libraries' texts hold the URL.
            raise _translate(error, where, self._timeout) from None
        except BaseException:
            if connection is not None:
                connection.close()
            raise
        if reply.reusable and len(idle) < self._pool:
            idle.append(connection)
        else:
            connection.close()
        log.debug("%s %s%s: %d", method, origin, target.partition("?")[0], reply.status)
        if not reply.whole and reply.status < 300:
            raise Unavailable(f"{where} answered before it had read everything.")
        if reply.body and reply.headers.get("content-encoding", "identity").lower() != "identity":
            raise BadAnswer(f"{where} answered with a body that cannot be decoded; nobody asked it to compress.")
        return Answer(status=reply.status, headers=Headers(reply.headers), body=reply.body)

    def close(self) -> None:
        """Close the idle connections. A later ``send`` opens new ones."""
        _close(self._routes)

    def _route(self, origin: str, what: str) -> tuple[Route, list[Connection]]:
        known = self._routes.get(origin)
        if known is not None:
            return known
        from .route import Route

        try:
            route = Route(origin, self._open)
        except ValueError:
            raise BadInput(f"{what}: its address names no host, or no port; correct it.") from None
        return self._routes.setdefault(origin, (route, []))

    def _connection(self, route: Route, idle: list[Connection]) -> Connection:
        from .connection import Connection

        while True:
            try:
                connection = idle.pop()
            except IndexError:
                return Connection(route.open(self._timeout[0], self._trusted), self._timeout[1], MAX_ANSWER)
            if connection.quiet():
                return connection
            connection.close()

    def _trusted(self) -> ssl.SSLContext:
        with self._lock:  # it takes tens of milliseconds to read
            if self._context is None:
                from .route import trusted

                self._context = trusted()
            return self._context


def _close(routes: Mapping[str, tuple[Route, list[Connection]]]) -> None:
    for _, idle in list(routes.values()):
        while idle:
            idle.pop().close()


def _head(
    method: str, route: Route, target: str, headers: Mapping[str, str], body: bytes | Chunk | None, what: str
) -> bytes:
    """The request's head as it goes out."""
    if not target.startswith("/"):
        target = f"/{target}"
    lines = [f"{name}: {value}" for name, value in headers.items()]
    if not all(map(_HEADER.fullmatch, lines)):
        raise BadInput(f"{what}: one of its headers cannot be sent; correct it.")
    if body is not None or method in _WITH_LENGTH:
        lines.append(f"Content-Length: {0 if body is None else len(body)}")
    return "\r\n".join(
        (
            f"{method} {route.before_target}{target} HTTP/1.1",
            f"Host: {route.authority}",
            "User-Agent: vvos",
            "Accept-Encoding: identity",
            *route.headers,
            *lines,
            "\r\n",
        )
    ).encode("latin-1")


def _whole(chunk: Chunk, what: str) -> Iterator[bytes | memoryview]:
    """A chunk's blocks: never more or fewer bytes than announced, and the end only when the chunk says that it was."""
    given, length, end = 0, len(chunk), b""
    for block in paced(chunk):
        given += len(block)
        if given < length:
            yield block
        elif given > length:
            break
        elif block:
            # A request that lacks its end makes no object.
            yield block[:-_TAIL]
            end = bytes(block[-_TAIL:])
    if given != length:
        size = "more" if given > length else "fewer"
        raise SourceChanged(f"{what}: it gives {size} bytes than it had; upload it when nobody writes to it.")
    yield end


def _translate(error: OSError, where: str, timeout: tuple[float, float]) -> VVOSError:
    """The one table of network failures. TLS is retried only where it was cut off: a certificate does not mend."""
    import ssl

    from .connection import Dripping, Garbled, TooLong
    from .route import ConnectTimeout, ProxyFailed

    table: tuple[tuple[type[OSError] | tuple[type[OSError], ...], type[VVOSError], str], ...] = (
        (ProxyFailed, Unavailable, "could not be reached through the proxy that the environment names"),
        (
            ssl.SSLCertVerificationError,
            BadAnswer,
            "shows a certificate that is not trusted here ({0}); correct the address, or name your own authority's "
            "bundle in REQUESTS_CA_BUNDLE",
        ),
        ((ssl.SSLEOFError, ssl.SSLZeroReturnError), Unavailable, "closed the connection before it had answered"),
        (ssl.SSLError, BadAnswer, "does not speak TLS; correct the address, to http:// perhaps"),
        (socket.gaierror, Unavailable, "was not found: its name could not be looked up"),
        (ConnectionRefusedError, Unavailable, "refused the connection; start it, or correct the address"),
        (ConnectTimeout, Unavailable, f"did not accept a connection within {timeout[0]:g} s"),
        (Dripping, Unavailable, "began to answer, and did not come to an end"),
        (TimeoutError, Unavailable, f"was silent for {timeout[1]:g} s"),
        (TooLong, BadAnswer, f"answered with more than {MAX_ANSWER // MIB} MiB; is it the right address?"),
        (Garbled, Unavailable, "answered what is no HTTP"),
        (ConnectionError, Unavailable, "closed the connection before it had answered"),
    )
    for kind, cls, text in table:
        if isinstance(error, kind):
            return cls(f"{where} {text.format(getattr(error, 'verify_message', ''))}" + "." * (text[-1] != "?"))
    return Unavailable(f"{where} could not be reached.")
