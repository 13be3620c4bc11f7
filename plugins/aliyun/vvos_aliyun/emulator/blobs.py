"""Where bytes rest: each run of bytes is a file in a temporary folder, named by a number and never by a key.

A file is open only while it is written or read, so neither memory nor open files grow with what is stored. A blob
lives as long as something refers to it.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from fastcrc import crc64

from ..crc64 import combine

PIECE = 1 << 20
"""Bytes that are read or written at once."""


class Blob:
    """Stored bytes, their CRC-64 and MD5."""

    def __init__(self, path: Path | None, size: int, crc: int, md5: bytes) -> None:
        self.size = size
        self.crc = crc
        self.md5 = md5
        self._path = path
        if path is not None:
            # Not at exit: the folder is removed as a whole then.
            weakref.finalize(self, _unlink, path).atexit = False

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop) in pieces."""
        if self._path is None or start >= stop:
            return
        with self._path.open("rb") as file:
            file.seek(start)
            while start < stop:
                piece = file.read(min(PIECE, stop - start))
                if not piece:
                    raise OSError("a stored file is shorter than it was")
                start += len(piece)
                yield piece


class BlobStore:
    """Makes blobs; ``close`` deletes the files."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="aliyun-emulator-")
        self._numbers = itertools.count()

    def write(self, pieces: Iterable[bytes]) -> Blob:
        """A blob of these bytes; what ``pieces`` raises comes out, and nothing stays."""
        path = Path(self._folder.name, str(next(self._numbers)))
        size, crc, md5 = 0, 0, hashlib.md5(usedforsecurity=False)
        try:
            with path.open("xb", buffering=0) as file:
                for piece in pieces:
                    file.write(piece)
                    size += len(piece)
                    crc = crc64.xz(piece, crc)
                    md5.update(piece)
        except BaseException:
            _unlink(path)
            raise
        if not size:
            _unlink(path)
        return Blob(path if size else None, size, crc, md5.digest())

    def close(self) -> None:
        """Delete what is stored."""
        self._folder.cleanup()


class Content:
    """The bytes of an object: one blob of a put, one of each part or append."""

    def __init__(self, blobs: tuple[Blob, ...]) -> None:
        self.blobs = blobs
        self.size = sum(blob.size for blob in blobs)
        self.crc = 0
        for blob in blobs:
            self.crc = combine(self.crc, blob.crc, blob.size)

    def read(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes [start, stop) in pieces."""
        offset = 0
        for blob in self.blobs:
            yield from blob.read(max(start - offset, 0), min(stop - offset, blob.size))
            offset += blob.size


def _unlink(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
