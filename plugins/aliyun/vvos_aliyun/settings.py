"""What a profile says of an OSS bucket, and the service's multipart rules."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from vvos_core import GIB, MIB, Rules, Secret

KIB = 1024
WEEK = 7 * 24 * 3600
"""Seconds that a presigned V4 request may be good for (OSS, "Add signatures to URLs")."""
MIN_PART = 100 * KIB
MAX_PART = 5 * GIB
MAX_PARTS = 10_000
MAX_KEY = 1023
"""Bytes of a key (OSS, "InvalidObjectName": 1 to 1,023)."""

Network = Literal["public", "internal", "accelerate"]
GrantKind = Literal["presigned", "sts"]

_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_ROLE = re.compile(r"acs:ram::\d+:role/[A-Za-z0-9.@/_-]+")


class Settings(Struct, frozen=True, kw_only=True):
    """A bucket, where it is, and who signs for it. Raises ``ValueError`` for what cannot be."""

    bucket: str
    access_key: Secret
    secret_key: Secret
    region: str
    """Without ``oss-``: ``cn-hangzhou``. It is part of every signature."""
    session_token: Secret | None = None
    """Of temporary credentials (STS) of the profile itself."""
    endpoint: str = ""
    """``https://host[:port]``; empty: the region's own. With ``cname`` the bucket's own domain."""
    network: Network = "public"
    """Which of the region's own endpoints: the internet's, the one inside Aliyun, or the accelerated one."""
    cname: bool = False
    """``endpoint`` is a custom domain that is bound to the bucket: no bucket in host or path."""
    path_style: bool | None = None
    """``host/bucket/key``, for emulators; OSS refuses it. None: where the host is an address or without a dot."""
    threshold: Annotated[int, Meta(ge=0, le=5 * GIB)] = 4 * MIB
    """Bytes of the largest object that is put in one piece."""
    part_size: Annotated[int, Meta(ge=MIN_PART, le=MAX_PART)] = 4 * MIB
    """Bytes of a part."""
    grant: GrantKind = "presigned"
    """What a client gets: presigned requests, or STS credentials for the one key, to sign with itself."""
    role_arn: str = ""
    """``acs:ram::ACCOUNT:role/NAME``, the role that STS credentials are of."""
    sts_endpoint: str = "https://sts.aliyuncs.com"
    public_url: str = ""
    """What the urls of objects begin with, a CDN say; empty: the bucket's own address."""
    url_ttl: Annotated[int, Meta(ge=0, le=WEEK)] = 0
    """Seconds that a presigned url of an object is good for; 0 answers the plain url."""

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError(
                f"bucket is {self.bucket!r}; a bucket's name has 3 to 63 of a-z, 0-9 and '-', no '-' first or last"
            )
        if self.region.startswith("oss-") or not _REGION.fullmatch(self.region):
            raise ValueError(f"region is {self.region!r}; write it as cn-hangzhou, without oss- and in lower case")
        if self.endpoint:
            self._check_endpoint(_http_url("endpoint", self.endpoint))
        if self.endpoint and self.network != "public":
            raise ValueError("endpoint and network exclude each other; endpoint says all")
        if self.cname and not self.endpoint:
            raise ValueError("cname needs the custom domain in endpoint: https://files.example.com")
        if self.cname and self.path_style:
            raise ValueError("cname and path_style exclude each other; a custom domain is of one bucket")
        if self.grant == "sts":
            if not _ROLE.fullmatch(self.role_arn):
                raise ValueError("grant = 'sts' needs role_arn, of the form acs:ram::ACCOUNT:role/NAME")
            if self.session_token is not None:
                raise ValueError(
                    "grant = 'sts' needs lasting keys; temporary ones (session_token) may not hand on rights"
                )
            _http_url("sts_endpoint", self.sts_endpoint)
        elif self.role_arn:
            raise ValueError("role_arn is only used with grant = 'sts'; leave it out, or write that")
        if self.public_url:
            _http_url("public_url", self.public_url)
            if self.url_ttl:
                raise ValueError(
                    "public_url and url_ttl exclude each other; a presigned url is one of the bucket's own"
                )

    def _check_endpoint(self, parts: SplitResult) -> None:
        host = parts.hostname or ""
        if parts.path.strip("/"):
            raise ValueError("endpoint has a path; write only https://host[:port], and the bucket in bucket")
        if ":" in host:
            raise ValueError("endpoint is an IPv6 address, which oss2 does not take; give it a name")
        if has_no_subdomains(host) and (self.cname or self.path_style is False):
            raise ValueError("endpoint is an address or a name without a dot, which can only be had with path_style")

    @property
    def rules(self) -> Rules:
        """The multipart rules that these sizes make."""
        return rules(self.threshold, self.part_size)


def rules(threshold: int, part_size: int) -> Rules:
    """The multipart rules of OSS ("Limits", "Multipart upload") with these two sizes, in bytes."""
    return Rules(
        threshold=threshold,
        part_size=part_size,
        min_part=MIN_PART,
        max_part=MAX_PART,
        max_parts=MAX_PARTS,
        max_key=MAX_KEY,
        align=20 * KIB,  # divides the smallest part and the largest
    )


def _http_url(name: str, value: str) -> SplitResult:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if usable and (parts.username or parts.password):
        raise ValueError(f"{name} has a user name in it; write it without, and the keys in access_key and secret_key")
    if not usable or parts.query or parts.fragment:
        raise ValueError(f"{name} is no address of the form https://host[:port]")
    return parts


def has_no_subdomains(host: str) -> bool:
    """Whether a bucket cannot stand before this host: an address, or a name without a dot."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return True
