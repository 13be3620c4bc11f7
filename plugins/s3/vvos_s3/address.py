"""Where a bucket and its objects are: hosts, paths and URLs, virtual-host and path style."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from msgspec import Struct

from .settings import Settings


class Address(Struct, frozen=True, kw_only=True):
    """A bucket's address."""

    endpoint: str
    """The service, without the bucket."""
    path_style: bool
    origin: str
    """``scheme://host[:port]`` that a request for the bucket goes to."""
    host: str
    """What the ``Host`` header says."""
    root: str
    """What the path begins with: the bucket in path style, else nothing."""
    public: str
    """What the plain url of an object begins with."""

    def path(self, key: str) -> str:
        """The path of an object, quoted as SigV4 wants it: all but unreserved characters and ``/``."""
        return f"{self.root}/{quoted(key)}"

    def paths(self, keys: Sequence[str]) -> list[str]:
        """The path of each."""
        root = f"{self.root}/"
        return [root + name for name in (keys if _PLAIN.fullmatch("".join(keys)) else map(quoted, keys))]

    def url(self, key: str) -> str:
        """The plain url of an object."""
        return f"{self.public}/{quoted(key)}"


_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")


def quoted(key: str) -> str:
    """``key`` as signatures want it: all quoted but unreserved characters (RFC 3986, 2.3) and ``/``."""
    return key if _PLAIN.fullmatch(key) else quote(key, safe="/")


def locate(settings: Settings) -> Address:
    """The address of the bucket that ``settings`` name."""
    endpoint = settings.endpoint.rstrip("/") or _aws(settings.region)
    parts = urlsplit(endpoint)
    netloc = _without_default_port(parts.scheme, parts.netloc)
    path_style = settings.path_style
    if path_style is None:
        path_style = _has_no_subdomains(parts.hostname or "") or (parts.scheme == "https" and "." in settings.bucket)
    host = netloc if path_style else f"{settings.bucket}.{netloc}"
    root = f"/{quote(settings.bucket, safe='')}" if path_style else ""
    origin = f"{parts.scheme}://{host}"
    return Address(
        endpoint=f"{parts.scheme}://{netloc}",
        path_style=path_style,
        origin=origin,
        host=host,
        root=root,
        public=settings.public_url.rstrip("/") or origin + root,
    )


def _aws(region: str) -> str:
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://s3.{region}.{suffix}"


def _without_default_port(scheme: str, netloc: str) -> str:
    # HTTP clients leave the default port out of the Host header, which is signed.
    default = {"http": ":80", "https": ":443"}[scheme]
    return netloc.lower().removesuffix(default)


def _has_no_subdomains(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return True
