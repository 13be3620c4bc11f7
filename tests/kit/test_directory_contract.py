"""The reference provider passes the kit."""

from __future__ import annotations

from .directory_author import DirectoryAuthor


class TestDirectory(DirectoryAuthor):
    """The kit, with nothing declared away but metadata."""
