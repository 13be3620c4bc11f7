"""What can happen to an upload, in the past tense. The engine reports these and nothing else."""

from __future__ import annotations

from msgspec import Struct

from ..errors import VVOSError
from ..model import Checksum, Grant, Receipt, Stored


class Event(Struct, frozen=True):
    """The root of all events."""


class Started(Event, frozen=True):
    """Its turn has come."""


class SourceFailed(Event, frozen=True):
    """The file cannot be read, is not the file that was added, or another run is uploading it."""

    error: VVOSError


class TokenGranted(Event, frozen=True):
    """A grant, or a renewed one, and the checksum algorithm of its provider."""

    grant: Grant
    checksum: Checksum


class TokenRefused(Event, frozen=True):
    error: VVOSError


class TokenExpired(Event, frozen=True):
    """A command was refused because the grant is over. ``number`` and ``grant`` are the chunk's, where it was one."""

    number: int = 0
    grant: Grant | None = None


class RenewalDue(Event, frozen=True):
    """The grant will be over soon, by our own clock."""


class NothingFound(Event, frozen=True):
    """There is no object; of parts the service did not speak."""


class ObjectFound(Event, frozen=True):
    """``parts``: what is stored of the unfinished upload besides; None where the service did not say."""

    size: int
    checksum: str
    parts: tuple[Receipt, ...] | None = None


class PartsFound(Event, frozen=True):
    """There is no object, and these parts of the unfinished upload; none, where the service forgot it."""

    parts: tuple[Receipt, ...]


class ExistsFailed(Event, frozen=True):
    error: VVOSError


class ChecksumComputed(Event, frozen=True):
    """``algorithm:value`` of the whole source."""

    value: str


class ChunkStored(Event, frozen=True):
    receipt: Receipt


class ChunkFailed(Event, frozen=True):
    """A chunk failed for good: what may help was tried."""

    number: int
    error: VVOSError


class Completed(Event, frozen=True):
    stored: Stored


class CompleteUnanswered(Event, frozen=True):
    """Nobody knows whether the object was made: the answer was lost, or the upload is gone."""

    error: VVOSError


class CompleteFailed(Event, frozen=True):
    error: VVOSError


class NotifyStarted(Event, frozen=True):
    pass


class NotifySucceeded(Event, frozen=True):
    url: str


class NotifyFailed(Event, frozen=True):
    error: VVOSError


class PauseRequested(Event, frozen=True):
    pass


class ResumeRequested(Event, frozen=True):
    """``changed``: chunks of an earlier run whose bytes are not the source's any more; None where the source is surely
    the same, and was not looked at."""

    changed: frozenset[int] | None = None


class CancelRequested(Event, frozen=True):
    pass


EVENTS: tuple[type[Event], ...] = tuple(Event.__subclasses__())
