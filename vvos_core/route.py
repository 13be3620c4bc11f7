"""The way to a server: its address, the proxy and the certificates that the environment names, and a socket to it."""

from __future__ import annotations

import base64
import ipaddress
import os
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from .connection import Connection, Link
from .errors import ConfigError

if TYPE_CHECKING:
    import ssl

    from .tls import Tls

Connect = Callable[[str, int, float], socket.socket]
"""Opens a connection to a host and port, within so many seconds. Raises ``OSError``, or any ``VVOSError``."""

_PORTS = {"http": 80, "https": 443}
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""The variables of the environment that may name a file, or a folder, of certificates to trust."""


class ConnectTimeout(TimeoutError):
    """No connection stood in time."""


class ProxyFailed(OSError):
    """There is no way through the proxy."""


class Route:
    """How to reach an origin (``https://host:port``). The environment is read when it is made.

    ``connect`` opens the connections, in place of the system's way; then there is no proxy.

    Raises ``ValueError`` when ``origin`` is none, ``ConfigError`` for a proxy of a kind that is not known.
    """

    def __init__(self, origin: str, connect: Connect | None = None) -> None:
        parts = urlsplit(origin)
        if not parts.hostname or parts.scheme not in _PORTS:
            raise ValueError("no origin")
        self.secure = parts.scheme == "https"
        self.authority = parts.netloc.rpartition("@")[2]
        """What ``Host`` names."""
        self._host = parts.hostname
        self._port = parts.port or _PORTS[parts.scheme]
        self.label = f"{_bracketed(self._host)}:{self._port}"
        """For messages."""
        self._connect = connect or _connect
        self._proxy = None if connect else proxy_for(origin)
        self.before_target = ""
        """What goes before a target: a proxy is told all of the address."""
        self.headers: tuple[str, ...] = ()
        """What else a proxy is to be told, as lines."""
        if self._proxy is not None and not self.secure:
            self.before_target = f"http://{self.authority}"
            self.headers = _authorization(self._proxy)

    def open(self, seconds: float, trust: Callable[[], ssl.SSLContext]) -> Link:
        """A new socket, secured where the origin is, within ``seconds`` for each step.

        Raises ``OSError``: ``ConnectTimeout``, ``ProxyFailed``, and what sockets, TLS and ``connect`` raise.
        """
        try:
            if self._proxy is not None:
                return self._through(self._proxy, seconds, trust)
            if not self.secure:
                return self._connect(self._host, self._port, seconds)
            context = trust()
            return _secured(self._connect(self._host, self._port, seconds), self._host, context)
        except TimeoutError:
            raise ConnectTimeout from None

    def _through(self, proxy: SplitResult, seconds: float, trust: Callable[[], ssl.SSLContext]) -> Link:
        host = proxy.hostname or ""
        link: Link
        try:
            link = plain = _connect(host, proxy.port or _PORTS[proxy.scheme], seconds)
            if proxy.scheme == "https":
                link = _secured(plain, host, trust())
        except OSError:
            raise ProxyFailed from None
        if not self.secure:
            return link
        asked = (f"CONNECT {self.label} HTTP/1.1", f"Host: {self.label}", *_authorization(proxy), "\r\n")
        try:
            reply = Connection(link, seconds, 0).exchange("\r\n".join(asked).encode("latin-1"), bodiless=True)
        except OSError:
            link.close()
            raise ProxyFailed from None
        if reply.status != 200:
            link.close()
            raise ProxyFailed
        return _secured(link, self._host, trust())


def proxy_for(url: str) -> SplitResult | None:
    """The proxy that the environment names for ``url`` (``HTTPS_PROXY``, ``NO_PROXY`` …), or on macOS and Windows the
    system; None for none. Raises ``ConfigError`` when it is of a kind that is not known."""
    named = any(name.lower().endswith("_proxy") for name in os.environ)
    if not named and sys.platform not in ("darwin", "win32"):
        return None
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    host = parts.hostname or ""
    if not proxy or proxy_bypass(_bracketed(host)) or proxy_bypass(parts.netloc) or _in_networks(host, proxies):
        return None
    found = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if found.scheme not in _PORTS or not found.hostname:
        raise ConfigError("the environment's proxy is neither http:// nor https://; correct or unset HTTPS_PROXY.")
    return found


def trusted() -> ssl.SSLContext:
    """Whom to trust: the bundle that the environment names, else that of certifi. Raises ``ConfigError``."""
    import ssl

    for name in BUNDLES:
        path = os.environ.get(name)
        if not path:
            continue
        if not os.path.exists(path):
            raise ConfigError(f"the environment's {name} names a file that is not there; correct or unset it.")
        try:
            if os.path.isdir(path):
                return ssl.create_default_context(capath=path)
            return ssl.create_default_context(cafile=path)
        except OSError:
            raise ConfigError(f"the environment's {name} names what holds no certificates; correct it.") from None
    import certifi

    return ssl.create_default_context(cafile=certifi.where())


def _in_networks(host: str, proxies: dict[str, str]) -> bool:
    """Whether ``NO_PROXY`` has a network (``10.0.0.0/8``) that ``host`` is in; urllib does not know them."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for item in proxies.get("no", "").split(","):
        try:
            if "/" in item and address in ipaddress.ip_network(item.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def _connect(host: str, port: int, seconds: float) -> socket.socket:
    link = socket.create_connection((host, port), seconds)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def _secured(link: Link, host: str, context: ssl.SSLContext) -> Tls:
    from .tls import Tls

    try:
        return Tls(link, context, host)
    except BaseException:
        link.close()
        raise


def _authorization(proxy: SplitResult) -> tuple[str, ...]:
    if proxy.username is None:
        return ()
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return (f"Proxy-Authorization: Basic {base64.b64encode(pair.encode()).decode()}",)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
