"""Where bytes rest: each blob a file in a temporary folder, named by a counter, never by a key."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import tempfile
import weakref
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..checksum import QetagHasher

_READ = 1024 * 1024


@dataclass(frozen=True, eq=False)
class Blob:
    """Stored bytes, and what was computed while they came in. Its file goes when nothing refers to it any more."""

    path: Path
    size: int
    etag: str
    md5: str
    crc32: int
    head: bytes
    """The first bytes, by which a media type can be guessed."""

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop) in pieces of at most 1 MiB."""
        with self.path.open("rb") as file:
            file.seek(start)
            while start < stop and (piece := file.read(min(_READ, stop - start))):
                start += len(piece)
                yield piece


def read(blobs: tuple[Blob, ...], start: int, stop: int) -> Iterator[bytes]:
    """The bytes [start, stop) of what these blobs make, one after the other."""
    offset = 0
    for blob in blobs:
        first, last = max(start - offset, 0), min(stop - offset, blob.size)
        if first < last:
            yield from blob.read(first, last)
        offset += blob.size


class BlobStore:
    """Makes blobs; ``close`` deletes the files."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="qiniu-emulator-")
        self._numbers = itertools.count()

    def writer(self) -> BlobWriter:
        """A place to write one blob to."""
        return BlobWriter(Path(self._directory.name, str(next(self._numbers))))

    def take(self, source: Callable[[int], bytes], limit: int, refuse: Callable[[], Exception]) -> Blob:
        """Store all that ``source`` gives. Raises what ``refuse`` makes once it is more than ``limit`` bytes."""
        with self.writer() as writer:
            while piece := source(_READ):
                writer.write(piece)
                if writer.size > limit:
                    raise refuse()
            return writer.finish()

    def close(self) -> None:
        self._directory.cleanup()


class BlobWriter:
    """Collects one blob. What was not finished when its ``with`` ends is deleted."""

    def __init__(self, path: Path) -> None:
        self.size = 0
        self._path = path
        self._file = path.open("xb")
        self._qetag = QetagHasher()
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32 = 0
        self._head = b""
        self._finished = False

    def write(self, data: bytes) -> None:
        if len(self._head) < 64:
            self._head += data[: 64 - len(self._head)]
        self._file.write(data)
        self._qetag.update(memoryview(data))
        self._md5.update(data)
        self._crc32 = zlib.crc32(data, self._crc32)
        self.size += len(data)

    def finish(self) -> Blob:
        self._file.close()
        self._finished = True
        blob = Blob(self._path, self.size, self._qetag.etag(), self._md5.hexdigest(), self._crc32, self._head)
        # Not at exit: the folder is removed as a whole then.
        weakref.finalize(blob, _unlink, self._path).atexit = False
        return blob

    def __enter__(self) -> BlobWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._finished:
            self._file.close()
            _unlink(self._path)


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()
