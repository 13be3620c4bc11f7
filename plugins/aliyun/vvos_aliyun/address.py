"""Where a bucket and its objects are: hosts, paths and URLs; virtual host, custom domain and path style."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, urlsplit

from msgspec import Struct

from .settings import Network, Settings, has_no_subdomains


class Address(Struct, frozen=True, kw_only=True):
    """A bucket's address."""

    bucket: str
    endpoint: str
    """The service without the bucket; with a custom domain, that domain."""
    cname: bool = False
    path_style: bool = False
    origin: str
    """``scheme://host[:port]`` that a request for the bucket goes to."""
    host: str
    """What the ``Host`` header says."""
    public: str
    """What the plain url of an object begins with."""

    def path(self, key: str) -> str:
        """The path of an object on the wire, quoted but for unreserved characters and ``/``."""
        return self.both(key)[0]

    def resource(self, key: str) -> str:
        """The path that V4 signs: always with the bucket, wherever that is on the wire."""
        return self.both(key)[1]

    def both(self, key: str) -> tuple[str, str]:
        """``path`` and ``resource``, at the cost of one."""
        name = f"/{quoted(key)}"
        resource = f"/{self.bucket}{name}"
        return (resource if self.path_style else name), resource

    def paths(self, keys: Sequence[str]) -> tuple[list[str], list[str]]:
        """``path`` of each, and ``resource`` of each."""
        paths = [f"/{name}" for name in (keys if _PLAIN.fullmatch("".join(keys)) else map(quoted, keys))]
        resources = [f"/{self.bucket}{path}" for path in paths]
        return (resources if self.path_style else paths), resources

    def url(self, key: str) -> str:
        """The plain url of an object."""
        return f"{self.public}/{quoted(key)}"


_PLAIN = re.compile(r"[A-Za-z0-9_.~/-]*")


def quoted(key: str) -> str:
    """``key`` as signatures want it: all quoted but unreserved characters (RFC 3986, 2.3) and ``/``."""
    return key if _PLAIN.fullmatch(key) else quote(key, safe="/")


def locate(settings: Settings) -> Address:
    """The address of the bucket that ``settings`` name."""
    endpoint = settings.endpoint.rstrip("/") or _aliyun(settings.region, settings.network)
    parts = urlsplit(endpoint)
    netloc = _without_default_port(parts.scheme, parts.netloc)
    path_style = settings.path_style
    if settings.cname:
        path_style = False
    elif path_style is None:
        path_style = has_no_subdomains(parts.hostname or "")
    host = netloc if settings.cname or path_style else f"{settings.bucket}.{netloc}"
    origin = f"{parts.scheme}://{host}"
    return Address(
        bucket=settings.bucket,
        endpoint=f"{parts.scheme}://{netloc}",
        cname=settings.cname,
        path_style=path_style,
        origin=origin,
        host=host,
        public=settings.public_url.rstrip("/") or origin + (f"/{settings.bucket}" if path_style else ""),
    )


def _aliyun(region: str, network: Network) -> str:
    """The region's endpoints (OSS, "Regions and endpoints", "Transfer acceleration")."""
    if network == "accelerate":
        # Outside the mainland, requests to oss-accelerate would be taken into it and out again.
        mainland = region.startswith("cn-") and region != "cn-hongkong"
        return "https://oss-accelerate.aliyuncs.com" if mainland else "https://oss-accelerate-overseas.aliyuncs.com"
    return f"https://oss-{region}{'-internal' if network == 'internal' else ''}.aliyuncs.com"


def _without_default_port(scheme: str, netloc: str) -> str:
    # HTTP clients leave the default port out of the Host header, which is signed.
    return netloc.lower().removesuffix({"http": ":80", "https": ":443"}[scheme])
