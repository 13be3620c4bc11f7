"""What an upload token allows (Qiniu, "Put policy"): the key, the size, the type, and whether to replace."""

from __future__ import annotations

import mimetypes
from typing import Any

from msgspec import Struct

from . import errors
from .errors import KodoError

MAX_KEY = 750
_OCTETS = "application/octet-stream"
_TYPES = mimetypes.MimeTypes()
"""The standard library's own table: not that of the machine, which differs from one to the next."""
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
)


class Policy(Struct, frozen=True, rename="camel"):
    """The fields that are enforced or obeyed here; unknown ones are ignored, as the service does."""

    scope: str
    deadline: int
    is_prefixal_scope: int = 0
    insert_only: int = 0
    end_user: str = ""
    return_url: str = ""
    return_body: str = ""
    callback_url: str = ""
    callback_host: str = ""
    callback_body: str = ""
    callback_body_type: str = ""
    save_key: str = ""
    force_save_key: bool = False
    fsize_limit: int = 0
    fsize_min: int = 0
    detect_mime: int = 0
    mime_limit: str = ""
    file_type: int = 0
    delete_after_days: int = 0
    keylimit: Any = None

    @property
    def bucket(self) -> str:
        return self.scope.partition(":")[0]

    @property
    def scoped_key(self) -> str | None:
        """The key, or with ``isPrefixalScope`` the prefix, that the token is for; None: any."""
        _, colon, key = self.scope.partition(":")
        return key if colon else None

    def check_key(self, key: str | None) -> None:
        """Raises ``KodoError`` (400, 403) unless ``key`` may be put; None is the key that the service will choose."""
        if key is not None and len(key.encode()) > MAX_KEY:
            raise errors.invalid("key is too long")  # [?] the text
        scoped = self.scoped_key
        if scoped is not None:
            fits = key is not None and (key.startswith(scoped) if self.is_prefixal_scope else key == scoped)
            if not fits:
                raise errors.out_of_scope()
        if self.keylimit is not None:
            if not isinstance(self.keylimit, list) or len(self.keylimit) > 20:
                raise errors.invalid("invalid keylimit")  # [?] the text
            if self.keylimit and key not in self.keylimit:
                raise errors.out_of_scope()

    def may_replace(self, *, by_blocks: bool) -> bool:
        """Whether an object may take the place of another; ``by_blocks``: made by mkfile, which replaces more."""
        if self.insert_only or self.is_prefixal_scope:
            return False
        return self.scoped_key is not None or by_blocks

    def check_size(self, size: int) -> None:
        """Raises ``KodoError`` (413, 403)."""
        if self.fsize_limit and size > self.fsize_limit:
            raise errors.too_large()
        if size < self.fsize_min:
            raise KodoError(403, "less than FsizeMin")  # [?] status and text

    def check_mime(self, mime: str) -> None:
        """Raises ``KodoError`` (403)."""
        if not self.mime_limit:
            return
        denies = self.mime_limit.startswith("!")
        patterns = self.mime_limit.removeprefix("!").split(";")
        bare = mime.partition(";")[0].strip()
        matches = any(
            bare.startswith(pattern[:-1]) if pattern.endswith("/*") else bare == pattern
            for pattern in patterns
            if pattern
        )
        if matches == denies:
            raise KodoError(403, f"limited mimeType: this file type ({mime}) is forbidden to upload")

    def mime(self, said: str, fname: str, key: str, head: bytes) -> str:
        """The media type that the object gets ("detectMime"): as said, by its name, or by its content."""
        by_name = [_TYPES.guess_type(name.rpartition("/")[2])[0] or "" for name in (fname, key)]
        if self.detect_mime == -1:
            return said or _OCTETS
        if self.detect_mime == 0:
            order = ["" if said == _OCTETS else said, *by_name, _sniffed(head)]
        else:
            order = [_sniffed(head), *by_name]
        return next(filter(None, order), _OCTETS)


def _sniffed(head: bytes) -> str:
    return next((mime for magic, mime in _MAGIC if head.startswith(magic)), "")
