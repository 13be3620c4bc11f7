"""What a file is known by from one run to the next, and whether it may have changed meanwhile."""

from __future__ import annotations

import os
from enum import Enum

from msgspec import Struct

_TICK = 2.0
"""Seconds: the coarsest clock of a file system in use (FAT). Two edits within one tick leave one time."""


class Fingerprint(Struct, frozen=True, gc=False):
    """A file as the system describes it. Times are nanoseconds since 1970, by the clock of the file system."""

    device: int
    inode: int
    size: int
    """Bytes."""
    changed: int
    """``st_mtime_ns``: the last change of the content, which programs may set back."""
    status: int
    """``st_ctime_ns``: the last change of content, name or mode, which nobody sets (on Windows: of creation)."""

    @classmethod
    def of(cls, info: os.stat_result) -> Fingerprint:
        return cls(info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)


class Likeness(Enum):
    """What two fingerprints of one path say about its content."""

    SAME = "same"
    PERHAPS = "perhaps"
    """They cannot tell: compare the checksums of what was sent."""
    OTHER = "other"


def compare(before: Fingerprint, now: Fingerprint, at: float) -> Likeness:
    """Whether the file of ``now`` is still that of ``before``, which was taken at ``at`` (seconds since 1970, UTC).

    A file that was changed less than two seconds before ``at`` may have been changed once more within the same tick
    of the clock, and look as before: git calls such a file racy, and reads it.
    """
    if before.size != now.size:
        return Likeness.OTHER
    settled = max(before.changed, before.status) <= (at - _TICK) * 1e9
    return Likeness.SAME if settled and before == now else Likeness.PERHAPS
