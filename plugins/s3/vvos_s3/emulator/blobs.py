"""Where bytes rest: immutable blobs in memory or in files, and objects as sequences of blobs.

A blob larger than IN_MEMORY is a file of its own, named in a temporary directory and opened only while it is read:
neither memory nor the number of open files grows with what is stored. A blob lives as long as something refers to it.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

IN_MEMORY = 256 * 1024
_READ = 1 << 20


class Blob:
    """Stored bytes and the digests that were computed while they came in (algorithm to raw digest)."""

    def __init__(self, data: bytes | Path, size: int, digests: Mapping[str, bytes]) -> None:
        self.size = size
        self.digests = dict(digests)
        self._data = data
        if isinstance(data, Path):
            # Not at exit: the directory is removed as a whole then.
            weakref.finalize(self, _unlink, data).atexit = False

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop) in pieces of at most 1 MiB."""
        if isinstance(self._data, bytes):
            if start < stop:
                yield self._data[start:stop]
            return
        with self._data.open("rb") as file:
            file.seek(start)
            while start < stop:
                piece = file.read(min(_READ, stop - start))
                if not piece:
                    raise OSError(f"{self._data} is shorter than it was")
                start += len(piece)
                yield piece


class BlobStore:
    """Makes blobs; `close` deletes the files."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="s3-emulator-")
        self._numbers = itertools.count()

    def writer(self) -> BlobWriter:
        """A place to write one blob to."""
        return BlobWriter(Path(self._directory.name, str(next(self._numbers))))

    def close(self) -> None:
        """Deletes what is stored; a read under way fails or ends, as the system has it."""
        self._directory.cleanup()


class BlobWriter:
    """Collects one blob, in memory until it is too large for that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._memory = bytearray()
        self._file: BinaryIO | None = None
        self.size = 0

    def write(self, data: bytes) -> None:
        """Appends."""
        self.size += len(data)
        if self._file is None and self.size > IN_MEMORY:
            self._file = self._path.open("xb", buffering=0)
            self._file.write(self._memory)
            self._memory.clear()
        if self._file is None:
            self._memory += data
        else:
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]

    def finish(self, digests: Mapping[str, bytes]) -> Blob:
        """The blob; nothing may be written afterwards."""
        if self._file is None:
            return Blob(bytes(self._memory), self.size, digests)
        self._file.close()
        return Blob(self._path, self.size, digests)

    def discard(self) -> None:
        """Gives up what was written."""
        if self._file is not None:
            self._file.close()
            _unlink(self._path)


@dataclass(frozen=True)
class Checksum:
    """An object's checksum as S3 reports it; `text` is the header's value."""

    algorithm: str
    text: str
    kind: str


@dataclass(frozen=True)
class Content:
    """The bytes of an object: one blob for a simple put, one per part for a multipart upload."""

    blobs: tuple[Blob, ...]
    etag: str
    checksum: Checksum
    multipart: bool = False

    @property
    def size(self) -> int:
        """The number of bytes."""
        return sum(blob.size for blob in self.blobs)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop) in pieces."""
        offset = 0
        for blob in self.blobs:
            first, last = max(start - offset, 0), min(stop - offset, blob.size)
            if first < last:
                yield from blob.read(first, last)
            offset += blob.size

    def part(self, number: int) -> tuple[int, int] | None:
        """The range [start, stop) of one part, or None."""
        if not 1 <= number <= len(self.blobs):
            return None
        start = sum(blob.size for blob in self.blobs[: number - 1])
        return start, start + self.blobs[number - 1].size


class ContentFile(io.RawIOBase):
    """A Content in the shape of a read-only file, for moto, which keeps each object's bytes in a file object."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.content.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readall(self) -> bytes:
        data = b"".join(self.content.read(self._position, self.content.size))
        self._position += len(data)
        return data

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # as io.RawIOBase has it
        data = b"".join(self.content.read(self._position, min(self._position + len(buffer), self.content.size)))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        # moto closes the file of an object that was deleted or overwritten, but keeps the object in a list of
        # everything it ever made: without this the bytes would stay.
        if not self.closed:
            self.content = Content((), self.content.etag, self.content.checksum)
        super().close()


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
