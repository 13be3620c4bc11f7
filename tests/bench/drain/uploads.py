"""What the drain remembers: objects that are there, and the parts of those that are not yet."""

from __future__ import annotations

import itertools

from msgspec import Struct, field

from ..content import Stretch, stretch_of
from .names import Names


class Upload(Struct):
    """An upload in parts."""

    key: str
    parts: dict[int, Stretch] = field(default_factory=dict)


class Uploads:
    """Objects and uploads of one drain. Keys include the bucket where the dialect has it in the path."""

    def __init__(self) -> None:
        self.objects: dict[str, Stretch] = {}
        self.unfinished: dict[str, Upload] = {}
        self.forms: dict[str, str] = {}
        """Of objects whose hash depends on how they were cut: that hash."""
        self.names = Names()
        """Of the objects."""
        self.cut: dict[str, int] = {}
        """In how many parts objects came; not of those that came in one piece."""
        self._unseen: set[str] = set()
        self._ids = itertools.count(1)

    def begin(self, key: str) -> str:
        """The id of a new upload."""
        upload_id = f"upload{next(self._ids):08d}"
        self.unfinished[upload_id] = Upload(key)
        return upload_id

    def candidates(self, key: str, size: int, number: int | None = None) -> tuple[Stretch, ...]:
        """What ``size`` bytes for this key may be: all of it, or a part; all parts but the last have one length."""
        whole = stretch_of(key)
        if whole is None:
            return ()
        if number is None:
            return (Stretch(whole.offset, size),)
        starts = dict.fromkeys(((number - 1) * size, whole.size - size))
        return tuple(whole.part(start, size) for start in starts if 0 <= start <= whole.size - size)

    def put(self, key: str, stretch: Stretch | None) -> bool:
        """Keep an object that came in one piece; whether it is whole."""
        whole = stretch_of(key)
        if whole is None or stretch != whole:
            return False
        self.cut.pop(key, None)
        self._keep(key, whole)
        return True

    def complete(self, upload_id: str, numbers: list[int]) -> Stretch | None:
        """Make an object of parts; None unless they are, in this order, the whole of it."""
        upload = self.unfinished.get(upload_id)
        whole = stretch_of(upload.key) if upload else None
        if upload is None or whole is None or not set(numbers) <= set(upload.parts):
            return None
        at = 0
        for number in numbers:
            part = upload.parts[number]
            if whole.offset >= 0 and part.offset != whole.offset + at:
                return None
            at += part.size
        if at != whole.size:
            return None
        del self.unfinished[upload_id]
        self.cut[upload.key] = len(numbers)
        self._keep(upload.key, whole)
        return whole

    def look(self, key: str) -> tuple[Stretch | None, bool]:
        """The object under a key, and whether nobody has looked at it since it was stored."""
        new = key in self._unseen
        self._unseen.discard(key)
        return self.objects.get(key), new

    def _keep(self, key: str, whole: Stretch) -> None:
        self.objects[key] = whole
        self.names.add(key)
        self._unseen.add(key)
