"""Connects to public addresses only, and for a bounded time: for requests that must not reach into the own network."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import Denied, Unavailable

Resolve = Callable[[str, int], list[str]]
"""The addresses of a host, as text; raises ``OSError`` (``socket.gaierror``) where there are none."""

_UNICAST = ipaddress.IPv6Network("2000::/3")
"""The only global unicast that is assigned (IANA IPv6 Address Space); what follows is inside it, and is not public."""
_SPECIAL = tuple(map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))
"""Teredo and other protocols' own, examples, 6to4, examples again."""
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""RFC 6052: the last 32 bits are the IPv4 address that is reached."""
_RELAY = ipaddress.IPv4Network("192.88.99.0/24")
"""The 6to4 relays (RFC 7526)."""


def is_public(address: str) -> bool:
    """Whether ``address`` is one of the internet's: no private, loopback, link-local, multicast or reserved one, and
    no IPv6 address that leads to such an IPv4 one (mapped, NAT64, 6to4, Teredo).
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.is_global and not (ip.is_multicast or ip.is_reserved) and ip not in _RELAY
    if ip in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
    return ip in _UNICAST and not any(ip in network for network in _SPECIAL)


def resolve(host: str, port: int) -> list[str]:
    """What the system says; it also reads ``2130706433`` and ``0x7f.1`` as the addresses that they are."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


class Egress:
    """Opens the connections of an ``Http``: to addresses that were looked up once, checked, and are then connected to.

    Parameters
    ----------
    private: also to addresses that are not public.
    seconds: how long an exchange inside ``limit`` may take, from the connection to the end of the answer.
    """

    def __init__(self, *, private: bool, seconds: float, resolve: Resolve = resolve) -> None:
        self._private = private
        self._seconds = seconds
        self._resolve = resolve
        self._local = threading.local()

    def connect(self, host: str, port: int, timeout: float) -> socket.socket:
        """A connection to ``host``; ``timeout``, in seconds, is for each of its addresses.

        Raises ``Denied`` when one of the addresses is not public, and ``OSError``.
        """
        addresses = self._resolve(host, port)
        for address in addresses:
            if not self._private and not is_public(address):
                # Not the others either: who answers one private address answers with it sooner or later.
                raise Denied(
                    f"{host} is at {address}, which is not a public address; allow private ones, or correct it."
                )
        failure: OSError | None = None
        for address in addresses:
            try:
                line = socket.create_connection((address, port), timeout)
            except OSError as error:
                failure = error
                continue
            exchange = getattr(self._local, "exchange", None)
            if exchange is not None:
                exchange.watch(line)
            return line
        raise failure or OSError(f"{host} has no address")

    @contextmanager
    def limit(self, what: str) -> Iterator[None]:
        """Around one exchange of this thread: it is cut off when its time is over, however slowly it still goes on.

        Raises ``Unavailable`` then; its sentence begins with ``what``.
        """
        exchange = self._local.exchange = _Exchange()
        timer = threading.Timer(self._seconds, exchange.cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            if exchange.over:
                raise Unavailable(f"{what} did not end within {self._seconds:g} s.") from None
            raise
        finally:
            timer.cancel()
            self._local.exchange = None
            exchange.close()


class _Exchange:
    """The connection of one exchange, kept so that another thread can cut it."""

    def __init__(self) -> None:
        self.over = False
        self._line: socket.socket | None = None
        self._lock = threading.Lock()

    def watch(self, line: socket.socket) -> None:
        with self._lock:
            self._line = line.dup()  # TLS takes the descriptor out of the socket that it wraps
        if self.over:
            self.cut()

    def cut(self) -> None:
        with self._lock:
            self.over = True
            if self._line is not None:
                with contextlib.suppress(OSError):  # it has ended by itself
                    self._line.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with self._lock:
            if self._line is not None:
                self._line.close()
                self._line = None
