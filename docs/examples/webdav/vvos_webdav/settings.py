"""What a profile says of a WebDAV server, and the rules by which files are cut for it."""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct

from vvos_core import GIB, Rules, Secret

RULES = Rules(threshold=4 * GIB, part_size=4 * GIB, min_part=1, max_part=4 * GIB, max_parts=1, max_key=1024)
"""WebDAV cannot join parts. So everything goes in one piece: the threshold is the largest object."""


class WebdavSettings(Struct, frozen=True, kw_only=True):
    """``[profiles.NAME]`` of a profile of this provider. Raises ``ValueError`` for what cannot be."""

    url: str
    """The folder that the keys are in: ``https://host[:port][/path]``."""
    secret: Secret
    """What grants are signed with; the gate in front of the server has the same."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("url is no address of the form https://host[:port][/path]")
        if len(self.secret.reveal()) < 32:
            raise ValueError("secret is shorter than 32 characters; make one with: openssl rand -hex 32")
