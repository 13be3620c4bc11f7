"""Sends one HTTP request and reads its answer: what the providers and the broker's clients share of the wire."""

from __future__ import annotations

import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from msgspec import Struct

from .errors import BadAnswer, BadInput, ConfigError, SourceChanged, Unavailable, VVOSError
from .model import MIB, Chunk
from .pace import paced

if TYPE_CHECKING:
    from requests.adapters import HTTPAdapter
    from requests.models import PreparedRequest

    from .connection import Connect

MAX_ANSWER = 4 * MIB
"""The longest answer body that is read, in bytes: the grant of 10,000 parts is an eighth of it."""

MAX_RETRY_AFTER = 86400.0
"""The longest wait that is taken from an answer, in seconds: nobody means more than a day."""


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
    try:
        read = parsedate_to_datetime(date)
        return read.replace(tzinfo=read.tzinfo or timezone.utc).timestamp()
    except (ValueError, OverflowError):
        return None


class _Route(Struct, frozen=True):
    label: str
    proxies: dict[str, str]


class Http:
    """Connections that many threads share. Nothing is imported or opened before the first ``send``.

    Parameters
    ----------
    timeout: seconds until a connection stands, and seconds without a byte in either direction; an answer may take ten
        times as long from its first byte. However slow a body is, it may go on as long as it moves.
    pool: connections to a host that are kept open; more threads open more, and close them again.
    connect: opens the connections, in place of the system's way; then no proxy is asked to open them.

    Redirects are answers, never followed; cookies and ``~/.netrc`` (which would add a header to requests that are
    signed) are not looked at. Proxies and the certificate bundle come from the usual variables of the environment
    (``HTTPS_PROXY``, ``NO_PROXY``, ``REQUESTS_CA_BUNDLE`` …), read once for each host.
    """

    def __init__(
        self, *, timeout: tuple[float, float] = (10.0, 60.0), pool: int = 32, connect: Connect | None = None
    ) -> None:
        self._timeout = timeout
        self._pool = pool
        self._open = connect
        self._lock = threading.Lock()
        self._adapter: HTTPAdapter | None = None
        self._verify: bool | str = True
        self._routes: dict[str, _Route] = {}

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
        ``MAX_ANSWER`` or its sender cannot be trusted, ``SourceChanged`` when a ``Chunk`` gives more or fewer bytes
        than its length, ``BadInput`` for what is no URL or no header. Messages name the host, never the rest of the
        URL or a header: they are capabilities.
        """
        adapter, route = self._connect(url, what)
        request = _prepare(method, url, headers or {}, what)
        blocks = None
        if body is not None:
            request.headers["Content-Length"] = str(len(body))
            if isinstance(body, bytes):
                request.body = body
            else:
                blocks = _Blocks(body, what)
                if len(body):
                    request.body = blocks  # type: ignore[assignment]  # any iterable of buffers is sent block by block
                else:
                    for _ in blocks:  # read before: an empty request is whole, and obeyed, with its headers
                        pass
        try:
            response = adapter.send(
                request, stream=True, timeout=self._timeout, verify=self._verify, proxies=route.proxies
            )
            with response:
                answer = Answer(
                    status=response.status_code,
                    headers=response.headers,
                    body=_read(response.raw, f"{what}: {route.label}"),
                )
        except VVOSError:
            raise
        except (OSError, _library_errors()) as error:
            # Without its cause: the libraries' texts hold the URL.
            raise _translate(error, f"{what}: {route.label}", self._timeout) from None
        if blocks is not None and blocks.given < len(blocks) and answer.status < 300:
            raise Unavailable(f"{what}: {route.label} answered before it had read everything.")
        return answer

    def close(self) -> None:
        """Close the idle connections. A later ``send`` opens new ones."""
        if self._adapter is not None:
            self._adapter.close()

    def _connect(self, url: str, what: str) -> tuple[HTTPAdapter, _Route]:
        try:
            parts = urlsplit(url)
            origin = f"{parts.scheme}://{parts.netloc}"
            route = self._routes.get(origin)
            if route is not None and self._adapter is not None:
                return self._adapter, route
            port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        except (KeyError, ValueError):
            raise BadInput(f"{what}: its address is not an http:// or https:// URL; correct it.") from None
        if not parts.hostname:
            raise BadInput(f"{what}: its address names no host; correct it.")
        with self._lock:
            from requests.utils import get_environ_proxies

            from .connection import adapter

            if self._adapter is None:
                self._verify = _certificates()
                self._adapter = adapter(self._pool, self._timeout, self._open)
                for name in ("urllib3.connection", "urllib3.connectionpool"):
                    logging.getLogger(name).addFilter(_without_queries)
            host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
            proxies = {} if self._open else get_environ_proxies(origin, no_proxy=None)
            route = _Route(f"{host}:{port}", proxies)
            self._routes[origin] = route
            return self._adapter, route


class _Blocks:
    """A chunk as a request body: counts what it gives out, and never gives more or less than was announced."""

    def __init__(self, chunk: Chunk, what: str) -> None:
        self._chunk = chunk
        self._what = what
        self.given = 0

    def __len__(self) -> int:
        return len(self._chunk)

    def __iter__(self) -> Iterator[memoryview]:
        self.given, end = 0, b""
        for block in paced(self._chunk):
            self.given += len(block)
            if self.given > len(self):
                break
            if self.given < len(self):
                yield block
            else:  # The last one waits until the chunk says that it was: a request that lacks its end makes no object.
                end += block
        if self.given != len(self):
            size = "more" if self.given > len(self) else "fewer"
            raise SourceChanged(f"{self._what}: it gives {size} bytes than it had; upload it when nobody writes to it.")
        yield memoryview(end)


def _prepare(method: str, url: str, headers: Mapping[str, str], what: str) -> PreparedRequest:
    from requests.models import PreparedRequest

    # Not prepare(): it would quote the URL anew, and what is signed must go out as it is.
    request = PreparedRequest()
    request.prepare_method(method)
    request.url = url
    try:
        request.prepare_headers(headers)
        for value in headers.values():
            value.encode("latin-1")
    except (ValueError, OSError):  # requests' own errors are OSErrors; their texts hold the header
        raise BadInput(f"{what}: one of its headers cannot be sent; correct it.") from None
    return request


def _read(raw: Any, where: str) -> bytes:
    body = bytearray()
    while block := raw.read(min(64 * 1024, MAX_ANSWER + 1 - len(body)), decode_content=True):
        body += block
        if len(body) > MAX_ANSWER:
            raise BadAnswer(f"{where} answered with more than {MAX_ANSWER // MIB} MiB; is it the right address?")
    return bytes(body)


def _without_queries(record: logging.LogRecord) -> bool:
    """urllib3 logs whole URLs, some of them as warnings; the query of a presigned one is a capability."""
    if isinstance(record.args, tuple):
        record.args = tuple(arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args)
    return True


def _certificates() -> bool | str:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        path = os.environ.get(name)
        if path:
            if not os.path.exists(path):
                raise ConfigError(f"the environment's {name} names a file that is not there; correct or unset it.")
            return path
    return True


def _library_errors() -> type[Exception]:
    from urllib3.exceptions import HTTPError

    return HTTPError  # requests' own are OSErrors


def _translate(error: Exception, where: str, timeout: tuple[float, float]) -> VVOSError:
    """The one table of network failures. TLS is retried only where it was cut off: a certificate does not mend."""
    from requests import exceptions as r
    from urllib3 import exceptions as u

    from .connection import Dripping

    table: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], type[VVOSError], str], ...] = (
        (u.ProxyError, Unavailable, "could not be reached through the proxy that the environment names"),
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
        (u.ConnectTimeoutError, Unavailable, f"did not accept a connection within {timeout[0]:g} s"),
        (Dripping, Unavailable, "began to answer, and did not come to an end"),
        ((TimeoutError, u.ReadTimeoutError), Unavailable, f"was silent for {timeout[1]:g} s"),
        (u.DecodeError, BadAnswer, "answered with a body that cannot be decoded"),
        ((r.InvalidURL, r.InvalidSchema, u.LocationParseError), BadInput, "is not a usable address"),
        ((ConnectionError, u.ProtocolError), Unavailable, "closed the connection before it had answered"),
    )
    chain = list(_chain(error))
    for kind, cls, text in table:
        for link in chain:
            if isinstance(link, kind):
                # NewConnectionError is a ConnectTimeoutError by class, but no timeout.
                if kind is u.ConnectTimeoutError and isinstance(link, u.NewConnectionError):
                    continue
                return cls(f"{where} {text.format(getattr(link, 'verify_message', ''))}.")
    return Unavailable(f"{where} could not be reached.")


def _chain(error: BaseException, depth: int = 8) -> Iterator[BaseException]:
    """The error and those inside it: urllib3 keeps them in ``args``, ``reason`` and ``__cause__``."""
    yield error
    if depth:
        for inner in (*error.args, getattr(error, "reason", None), error.__cause__):
            if isinstance(inner, BaseException):
                yield from _chain(inner, depth - 1)
