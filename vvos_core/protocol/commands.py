"""What an upload wants done, in the imperative. The engine does these and reports what happened."""

from __future__ import annotations

from msgspec import Struct

from ..model import Grant, Receipt


class Command(Struct, frozen=True):
    """The root of all commands."""


class RequestToken(Command, frozen=True):
    """Ask for a grant, or, when the upload has one, for its renewal (with the checksum, where it is known)."""


class CheckExists(Command, frozen=True):
    """Ask what is there. ``parts``: also list what is stored of the unfinished upload."""

    parts: bool = False


class ComputeChecksum(Command, frozen=True):
    """Read the whole source and compute its checksum: something of its size is there already."""


class PutChunk(Command, frozen=True):
    number: int


class Complete(Command, frozen=True):
    receipts: tuple[Receipt, ...]


class Notify(Command, frozen=True):
    pass


class Abort(Command, frozen=True):
    """Forget the unfinished multipart upload; nothing of it is on its way any more. ``grant``: that of one which was
    given up for another, else the upload's own."""

    grant: Grant | None = None
