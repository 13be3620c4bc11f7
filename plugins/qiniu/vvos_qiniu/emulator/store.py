"""The buckets and their objects. One lock guards all of them; nothing is read or sent while it is held."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import errors
from .blobs import Blob, read


@dataclass(frozen=True, kw_only=True)
class Object:
    """An object. ``put_time`` is in units of 100 ns since 1970."""

    key: str
    blobs: tuple[Blob, ...]
    hash: str
    mime: str
    put_time: int
    metadata: dict[str, str] = field(default_factory=dict)
    end_user: str = ""
    md5: str = ""
    """Hexadecimal; of what came in one piece only."""
    type: int = 0
    status: int = 0
    expiration: int = 0

    @property
    def size(self) -> int:
        return sum(blob.size for blob in self.blobs)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop) in pieces."""
        return read(self.blobs, start, stop)


@dataclass
class Bucket:
    """A bucket; a private one is only read with a signed url."""

    name: str
    region: str
    private: bool = False
    objects: dict[str, Object] = field(default_factory=dict)


class Store:
    """All buckets of the one account."""

    def __init__(self, region: str, clock: Callable[[], float]) -> None:
        self.lock = threading.RLock()
        self.region = region
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def now(self) -> int:
        """In units of 100 ns since 1970."""
        return int(self._clock() * 10_000_000)

    def create(self, name: str) -> Bucket:
        with self.lock:
            return self._buckets.setdefault(name, Bucket(name, self.region))

    def bucket(self, name: str) -> Bucket:
        """Raises ``KodoError`` (631)."""
        with self.lock:
            if name not in self._buckets:
                raise errors.no_such_bucket()
            return self._buckets[name]

    def names(self) -> list[str]:
        with self.lock:
            return sorted(self._buckets)

    def find(self, bucket: str, key: str) -> Object:
        """Raises ``KodoError`` (612, 631)."""
        with self.lock:
            found = self.bucket(bucket).objects.get(key)
            if found is not None and found.expiration and found.expiration <= self._clock():
                del self.bucket(bucket).objects[key]
                found = None
            if found is None:
                raise errors.no_such_file()
            return found

    def put(self, bucket: str, item: Object, *, replace: bool) -> Object:
        """Store ``item``, and answer what is there now: without ``replace`` another object with its hash may stay.

        Raises ``KodoError`` (614, 631).
        """
        with self.lock:
            objects = self.bucket(bucket).objects
            there = objects.get(item.key)
            if there is not None and not replace:
                if there.hash != item.hash:
                    raise errors.file_exists()
                return there
            objects[item.key] = item
            return item

    def delete(self, bucket: str, key: str) -> None:
        """Raises ``KodoError`` (612, 631)."""
        with self.lock:
            self.find(bucket, key)
            del self.bucket(bucket).objects[key]

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._buckets.clear()
