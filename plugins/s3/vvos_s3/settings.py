"""What a profile says of an S3 bucket."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from vvos_core import GIB, MIB, Rules, Secret

Algorithm = Literal["crc64nvme", "md5"]

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
WEEK = 7 * 24 * 3600
"""Seconds that a presigned request may be good for (AWS, "Authenticating Requests: Using Query Parameters")."""


class Settings(Struct, frozen=True, kw_only=True):
    """A bucket, where it is, and who signs for it. Raises ``ValueError`` for what cannot be."""

    bucket: str
    access_key: Secret
    secret_key: Secret
    session_token: Secret | None = None
    """Of temporary credentials (STS)."""
    region: Annotated[str, Meta(min_length=1)] = "us-east-1"
    endpoint: str = ""
    """``https://host[:port]`` of a compatible service; empty for AWS."""
    path_style: bool | None = None
    """``host/bucket/key`` instead of ``bucket.host/key``. None: where the host is an address or a name without a dot,
    and where a dot in the bucket's name would not fit the certificate."""
    threshold: Annotated[int, Meta(ge=0, le=5 * GIB)] = 8 * MIB
    """Bytes of the largest object that is put in one piece; one that a single part would hold always is."""
    part_size: Annotated[int, Meta(ge=5 * MIB, le=5 * GIB)] = 8 * MIB
    """Bytes of a part."""
    checksum: Algorithm = "crc64nvme"
    """``md5`` for services that compute no CRC64NVME."""
    listing: bool = True
    """Look for many objects by listing them; false for services whose lists lag behind what is stored."""
    public_url: str = ""
    """What the urls of objects begin with, a CDN say; empty: the bucket's own address."""
    url_ttl: Annotated[int, Meta(ge=0, le=WEEK)] = 0
    """Seconds that a presigned url of an object is good for; 0 answers the plain url."""

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError(f"bucket is {self.bucket!r}; a bucket's name has letters, digits, '.', '-' and '_' only")
        if self.endpoint:
            parts = _http_url("endpoint", self.endpoint)
            if parts.path.strip("/"):
                raise ValueError("endpoint has a path; write only https://host[:port], and the bucket in bucket")
        if self.public_url:
            _http_url("public_url", self.public_url)
            if self.url_ttl:
                raise ValueError(
                    "public_url and url_ttl exclude each other; a presigned url is one of the bucket's own"
                )

    @property
    def rules(self) -> Rules:
        """The multipart rules that these sizes make."""
        return rules(self.threshold, self.part_size)


def rules(threshold: int, part_size: int) -> Rules:
    """The multipart rules of S3 (AWS, "Amazon S3 multipart upload limits") with these two sizes, in bytes.

    What one part would hold is put in one piece: in parts it would be three requests instead of one.
    """
    return Rules(
        threshold=max(threshold, part_size),
        part_size=part_size,
        min_part=5 * MIB,
        max_part=5 * GIB,
        max_parts=10_000,
        max_key=1024,
        equal_parts=True,
        align=MIB,
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
