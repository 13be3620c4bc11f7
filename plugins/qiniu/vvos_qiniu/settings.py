"""What a profile says of a Kodo bucket."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

from msgspec import Meta, Struct

from vvos_core import GIB, MIB, Rules, Secret

from .checksum import BLOCK

YEAR = 366 * 24 * 3600
"""Seconds."""
WEEK = 7 * 24 * 3600
"""Seconds that an unfinished upload is kept (Qiniu, "Initiate multipart upload")."""
ENDPOINT = "https://uc.qiniuapi.com"
"""The public service that knows the hosts of every bucket."""
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

Version = Literal["v1", "v2"]


class Settings(Struct, frozen=True, kw_only=True):
    """A bucket, who signs for it, and where its objects are read. Raises ``ValueError`` for what cannot be."""

    bucket: str
    access_key: Secret
    secret_key: Secret
    domain: str
    """What the urls of objects begin with: ``https://`` and a domain that is bound to the bucket."""
    endpoint: str = ENDPOINT
    """Who is asked for the hosts of the bucket's region; ``http://`` here makes all of them http."""
    up_hosts: tuple[str, ...] = ()
    """Where to upload, ``https://host[:port]``; empty: asked for. The next is taken when one cannot be reached."""
    rs_hosts: tuple[str, ...] = ()
    """Where objects are looked up; empty: asked for."""
    version: Version = "v2"
    """How large objects are put: in parts, or, for private deployments that know no other, in v1 blocks of 4 MiB."""
    threshold: Annotated[int, Meta(ge=0, le=GIB)] = BLOCK
    """Bytes of the largest object that is put in one piece."""
    part_size: Annotated[int, Meta(ge=MIB, le=GIB)] = BLOCK
    """Bytes of a part."""
    limit_type: bool = False
    """Have the service refuse an object of another media type than was granted."""
    url_ttl: Annotated[int, Meta(ge=0, le=YEAR)] = 0
    """Seconds that the signed url of an object is good for, in a private bucket; 0 answers the plain url."""

    def __post_init__(self) -> None:
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError(f"bucket is {self.bucket!r}; a bucket's name has letters, digits, '.', '-' and '_' only")
        _http_url("domain", self.domain)
        for name, urls in (("endpoint", (self.endpoint,)), ("up_hosts", self.up_hosts), ("rs_hosts", self.rs_hosts)):
            for url in urls:
                if _http_url(name, url).path.strip("/"):
                    raise ValueError(f"{name} has a path; write only https://host[:port]")
        if self.version == "v1" and self.part_size != BLOCK:
            raise ValueError('part_size is not to be set with version = "v1"; its blocks always have 4 MiB')
        schemes = {urlsplit(url).scheme for url in self.rs_hosts}
        if len(schemes) > 1:
            raise ValueError("rs_hosts has both http:// and https:// in it; write one of them")

    @property
    def rules(self) -> Rules:
        """The multipart rules that these settings make."""
        return rules(self.threshold, self.part_size, self.version)


def rules(threshold: int, part_size: int, version: Version = "v2") -> Rules:
    """The multipart rules of Kodo (Qiniu, "Upload part"), with these two sizes in bytes.

    Parts grow by whole blocks of 4 MiB. Blocks (v1) are 4 MiB always; that there are no more than 10,000 is ours.
    """
    blocks = version == "v1"
    return Rules(
        threshold=threshold,
        part_size=part_size,
        min_part=BLOCK if blocks else MIB,
        max_part=BLOCK if blocks else GIB,
        max_parts=10_000,
        max_key=750,
        equal_parts=blocks,
        align=BLOCK,
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
