"""The frozen values that travel between the layers. No behaviour but what a value knows of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct, field

MIB = 1024 * 1024
GIB = 1024 * MIB


class Secret:
    """A string that never shows itself: not in ``repr``, ``str``, logs or tracebacks. ``reveal()`` gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))


class Rules(Struct, frozen=True, kw_only=True):
    """A provider's multipart rules, as data. Sizes in bytes."""

    threshold: int
    """The largest object that is sent in one piece; one byte more goes in parts."""
    part_size: int
    """The usual part; it grows where the file would otherwise need more than ``max_parts``."""
    min_part: int
    """The smallest part that the service accepts; the last part is exempt."""
    max_part: int
    max_parts: int
    max_key: int
    """The longest key, in bytes of UTF-8."""
    equal_parts: bool = False
    """Every part but the last must be of one size. The core's plans always are; said for other planners."""
    align: int = 1
    """A grown part size is rounded up to a multiple of this."""

    @property
    def max_size(self) -> int:
        """The largest object, in bytes."""
        return max(self.threshold, self.max_part * self.max_parts)


class Call(Struct, frozen=True, kw_only=True):
    """What the business adds to a call of the web API: HTTP headers and JSON fields of its own."""

    header: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)


class Grant(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Leave to put one key, and nothing else, until it expires; what of it the broker seals, and what the client holds.

    ``data`` is the granting provider's message to its own client half (an upload token, presigned requests):
    opaque to the core, a capability, and therefore never shown.
    """

    provider: str
    key: str
    """The server key: the name that the broker chose, and the only one that can be put."""
    client_key: str
    size: int
    type: str = "application/octet-stream"
    cover: bool = False
    """Whether an object that is there may be replaced."""
    keep_existing: bool = False
    """Where it may not: the file is skipped, and has not failed."""
    expires_at: float = 0.0
    """Seconds since 1970, UTC."""
    lifetime: float = 0.0
    """Seconds from when it was answered until it expires; 0: unknown. The holder's clock may be wrong: it counts from
    its own now."""
    multipart: bool = False
    part_size: int = 0
    """Bytes of every part but the last; 0 when the object is put in one piece."""
    upload_id: str = ""
    """The provider's name of a multipart upload, so that a renewal stays with it."""
    checksum: str = ""
    """``algorithm:value`` of the whole object, once it is known."""
    seal: bool = False
    """``complete`` needs a grant that names the object's checksum: renew with it when all chunks are stored."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    profile: str = ""
    """The broker's profile that serves this key."""
    access_token: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Grant(provider={self.provider!r}, key={self.key!r}, size={self.size}, multipart={self.multipart})"


class Ask(Struct, frozen=True, kw_only=True):
    """One file for which a grant is asked, or, with ``renew``, renewed."""

    client_key: str
    key: str
    """The server key to grant. The client asks with its own key; the broker puts its choice here."""
    size: int
    type: str = "application/octet-stream"
    checksum: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    renew: Grant | None = None
    """The grant to renew: the same upload and key, never wider."""


class TokenRequest(Struct, frozen=True, kw_only=True):
    """A batch of files for which leave to upload is asked."""

    files: tuple[Ask, ...]
    request_token: str
    """The client's name for this call; asking again with it gets the same grants."""
    issued_at: float
    """Seconds since 1970, UTC: the broker's now. Providers sign with it and read no clock."""
    expires_at: float
    cover: bool = False
    client: str = ""
    call: Call = Call()


class ExistsRequest(Struct, frozen=True, kw_only=True):
    """A batch of grants of which is asked what is there already."""

    grants: tuple[Grant, ...]
    parts: bool = False
    """Also list the stored parts of each multipart upload (a call to the service for each)."""
    call: Call = Call()


class Receipt(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The provider's proof that it stored a chunk."""

    number: int
    """From 1."""
    size: int
    proof: str
    """What ``complete`` has to show: an ETag, a ctx."""
    checksum: str = ""
    """``algorithm:value`` of the chunk's bytes as read; empty where only the service saw them."""
    digest: str = ""
    """``md5:value`` of them, hexadecimal, where the chunk is the object and the service's listing tells its MD5."""


class Found(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is there under a key: an object or nothing; and, where it was asked, the stored parts of the grant's upload.

    An upload that may replace an object has both until it is complete.
    """

    key: str
    exists: bool
    size: int = -1
    checksum: str = ""
    """``algorithm:value`` as the service keeps it; empty where it keeps none."""
    parts: tuple[Receipt, ...] | None = None
    """In order of numbers, each with the proof that ``put_chunk`` answered. Empty: the service holds none, perhaps
    because the upload is gone. None: nobody asked, the service cannot say, or the grant is not multipart."""


class Stored(Struct, frozen=True, kw_only=True):
    """An object that ``complete`` made."""

    key: str
    size: int
    checksum: str = ""
    """``algorithm:value`` as the service computed it; empty where it said none."""


class Event(Struct, frozen=True, kw_only=True):
    """What a broker recorded of a finished upload, and tells one listener."""

    id: str
    """The idempotency key: the same whenever this listener is told of this upload, and no other's."""
    url: str
    """As ``notifier`` answered it."""
    who: str
    """To whom the upload was granted."""
    request_id: str
    """Names the batch of the upload."""
    at: float
    """When it was recorded: seconds since 1970, UTC."""


class Finished(Struct, frozen=True, kw_only=True):
    """A finished upload, as told to ``notify``: its grant, and what the client read."""

    grant: Grant
    size: int
    checksum: str = ""
    digest: str = ""
    """The receipt's, of an object in one piece: by it a provider may verify many objects at once."""
    event: Event | None = None
    """Where a broker tells a listener; the grant is then without what would let anybody put."""


class NotifyRequest(Struct, frozen=True, kw_only=True):
    """A batch of finished uploads."""

    objects: tuple[Finished, ...]
    call: Call = Call()


class Notified(Struct, frozen=True, kw_only=True):
    """The verdict on one finished object: it was verified, and can be had here."""

    key: str
    url: str
    checksum: str = ""
    """``algorithm:value`` by which it was verified; empty: by that of the ``Finished``."""


class Unfinished(Struct, frozen=True, kw_only=True):
    """A multipart upload that was begun under a key, and is neither completed nor aborted."""

    upload_id: str
    begun_at: float
    """Seconds since 1970, UTC, by the service's clock."""


Verdict = Literal["ok", "warn", "fail", "unknown"]


class Finding(Struct, frozen=True, kw_only=True):
    """What one check of a deployment found."""

    check: str
    """What was looked at, in a word that stays."""
    verdict: Verdict
    """``warn``: it works, and should be mended all the same. ``unknown``: it could not be found out."""
    message: str
    mend: str = ""
    """What to do about it; empty where there is nothing."""


class DiagnoseRequest(Struct, frozen=True, kw_only=True):
    """Look at the service and the bucket behind a profile."""

    key: str
    """What is tried is tried under this key, and keys that begin with it. An object may be there, and is to go."""
    issued_at: float
    """Seconds since 1970, UTC: what is signed is signed as of then."""
    origins: tuple[str, ...] = ()
    """Where the pages come from that upload from a browser: ``https://host``."""


class Diagnosis(Struct, frozen=True, kw_only=True):
    """What a provider found."""

    hosts: tuple[str, ...] = ()
    """Every ``scheme://host[:port]`` that its uploads need; whether they can be reached is not its to find out."""
    findings: tuple[Finding, ...] = ()


class Plan(Struct, frozen=True, kw_only=True):
    """How a file is cut. Chunks are numbered from 1; a single put is one chunk, also of an empty file."""

    size: int
    multipart: bool
    part_size: int

    @property
    def count(self) -> int:
        return max(1, -(-self.size // self.part_size)) if self.multipart else 1

    def span(self, number: int) -> tuple[int, int]:
        """Offset and length, in bytes, of chunk ``number``."""
        if not 1 <= number <= self.count:
            raise ValueError(f"chunk {number} of {self.count}")
        if not self.multipart:
            return 0, self.size
        offset = (number - 1) * self.part_size
        return offset, min(self.part_size, self.size - offset)


class Chunk(Protocol):
    """A byte range of a source. Iterating reads it in blocks, from its start each time, so a retry reads again.

    A block is only good until the next is asked for: its buffer is used again.
    Raises ``SourceChanged`` when the bytes are no longer those of the file that was added.
    """

    @property
    def number(self) -> int: ...

    @property
    def offset(self) -> int: ...

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[memoryview]: ...


class Hasher(Protocol):
    """A checksum on its way: fed block by block."""

    def update(self, block: memoryview, /) -> None: ...

    def value(self) -> str:
        """``algorithm:value`` of all that was fed."""
        ...


class Checksum(Protocol):
    """A provider's checksum algorithm: computed chunk by chunk, on the way, and combined into the object's."""

    @property
    def name(self) -> str:
        """The ``algorithm`` of ``algorithm:value``."""
        ...

    def new(self) -> Hasher: ...

    def combine(self, receipts: Sequence[Receipt], /) -> str:
        """``algorithm:value`` of the object whose chunks, in order, have these receipts; empty when one lacks its."""
        ...
