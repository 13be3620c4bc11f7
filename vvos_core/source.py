"""What is uploaded: a file, bytes or a stream, as chunks that can be read again, and a fingerprint to tell a change."""

from __future__ import annotations

import mimetypes
import mmap
import os
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from .errors import Cancelled, SourceChanged, SourceError, SourceMissing, VVOSError
from .fingerprint import Fingerprint as Fingerprint, Likeness as Likeness, compare as compare

BLOCK = 512 * 1024
"""Bytes that are read, checksummed and sent at a time, to begin with."""
_MOST = 4 * BLOCK
"""As many at a time where they leave at once: Python's part is small then, and they still fit into the caches."""
_LEAST = BLOCK // 4
_QUICK, _SLOW = 0.02, 0.2
"""Seconds that a block is on its way: quicker, and the next may be larger; slower, and it is to be smaller, so that
what moves is seen to move, and stops soon when it is stopped."""
_SMALL = 64 * 1024
_SPARE = 8
_spare: list[memoryview] = []
"""Buffers of ``_MOST`` bytes that nobody reads into just now: new ones would have to be cleared by the kernel first.
They begin with a page, as what is copied into them does: at a few bytes from one the copy takes five times as long."""
_PRIVATE = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}

OnBytes = Callable[[int], None]


class Source(Protocol):
    """Something to upload. ``size`` in bytes; ``label`` names it to a person; ``type`` is its media type."""

    @property
    def size(self) -> int: ...

    @property
    def label(self) -> str: ...

    def chunk(self, number: int, offset: int, length: int, on_bytes: OnBytes | None = None) -> SourceChunk: ...

    def check(self) -> None:
        """Raises ``SourceChanged`` when it is no longer what was added."""

    def touched(self) -> int | None:
        """When its status changed since it was added, in ns: its mode or name, or its content with a time that was put
        back. None where it did not."""

    def close(self) -> None: ...


class SourceChunk:
    """A byte range of a source: iterate to read it, again to read it again. See ``model.Chunk``.

    ``on_bytes`` is told after each block how many bytes of this pass have been handed out; 0 when a pass begins.
    """

    __slots__ = ("_length", "_on_bytes", "_read", "number", "offset")

    def __init__(
        self,
        number: int,
        offset: int,
        length: int,
        read: Callable[[int, int], Iterator[memoryview]],
        on_bytes: OnBytes | None,
    ) -> None:
        self.number = number
        self.offset = offset
        self._length = length
        self._read = read
        self._on_bytes = on_bytes

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[memoryview]:
        passed = 0
        if self._on_bytes:
            self._on_bytes(0)
        for block in self._read(self.offset, self._length):
            yield block
            passed += len(block)
            if self._on_bytes:
                self._on_bytes(passed)


class FileSource:
    """A regular file, known by its device, inode, size and time of change.

    It is opened for each pass over a chunk, so that any number of files costs no descriptors while they wait, and
    compared with its fingerprint before the first and after the last block. Blocks are read into memory, not mapped:
    a mapped file that shrinks kills the process.
    """

    __slots__ = ("_inodes", "_step", "fingerprint", "path", "size")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises ``SourceMissing`` when there is no such file, ``SourceError`` when it cannot be read."""
        self.path = os.fspath(path)
        try:
            info = os.stat(self.path)
            if not stat.S_ISREG(info.st_mode):
                raise SourceError(f"{self.label} is not a regular file; give a file or a folder of files.")
            if not os.access(self.path, os.R_OK):
                raise SourceError(
                    f"{self.label} cannot be read: permission denied; change its mode or run as its owner."
                )
        except (OSError, ValueError) as error:  # ValueError: a path with U+0000 in it
            raise _unreadable(self.label, error) from error
        self.size = info.st_size
        self.fingerprint = Fingerprint.of(info)
        """As it was when it was added."""
        self._inodes = True
        self._step = BLOCK

    @property
    def label(self) -> str:
        return shown(self.path)

    def chunk(self, number: int, offset: int, length: int, on_bytes: OnBytes | None = None) -> SourceChunk:
        return SourceChunk(number, offset, length, self._read, on_bytes)

    def check(self) -> None:
        try:
            self._compare(os.stat(self.path))
        except OSError as error:
            raise SourceChanged(f"{self.label} vanished while it was uploaded: {error.strerror}.") from error

    def touched(self) -> int | None:
        try:
            status = Fingerprint.of(os.stat(self.path)).status
        except OSError as error:
            raise SourceChanged(f"{self.label} vanished while it was uploaded: {error.strerror}.") from error
        return None if status == self.fingerprint.status else status

    def close(self) -> None:
        """Nothing is kept open."""

    def _compare(self, info: os.stat_result) -> None:
        # Not the time of the status: a name or a mode that changes meanwhile does not change what is sent.
        now, known = Fingerprint.of(info), self.fingerprint
        same = (now.device, now.size, now.changed) == (known.device, known.size, known.changed)
        if not same or (now.inode != known.inode and self._stable_inodes(now)):
            raise SourceChanged(
                f"{self.label} changed while it was uploaded; upload it again when nobody writes to it."
            )

    def _stable_inodes(self, now: Fingerprint) -> bool:
        """Whether the file system keeps its numbers. Some (FUSE, network) make up a new one for each look."""
        if self._inodes:
            try:
                looks = [now, *(Fingerprint.of(os.stat(self.path)) for _ in range(2))]
            except OSError:  # it vanished after it was opened
                return True
            alike = len({(look.device, look.size, look.changed) for look in looks}) == 1
            self._inodes = not alike or len({look.inode for look in looks}) == 1
        return self._inodes

    def _adapt(self, seconds: float) -> None:
        """Choose the size of the next block; ``seconds`` that the last took to be sent. All chunks' reading tells."""
        if seconds < _QUICK:
            self._step = min(_MOST, self._step * 2)
        elif seconds > _SLOW:
            self._step = max(_LEAST, self._step // 2)

    def _read(self, offset: int, length: int) -> Iterator[memoryview]:
        try:
            file = open(self.path, "rb", buffering=0, opener=_open)  # noqa: SIM115  # closed below; errors of open differ from those of read
        except OSError as error:
            self.check()
            raise _unreadable(self.label, error) from error
        with file:
            self._compare(os.fstat(file.fileno()))
            view = _buffer(length)
            try:
                if offset:
                    file.seek(offset)
                left = length
                while left:
                    got = file.readinto(view[: min(left, self._step)])
                    if not got:
                        raise SourceChanged(f"{self.label} became shorter while it was uploaded; upload it again.")
                    left -= got
                    if not left:
                        # Before the last block leaves: a request that lacks its end makes no object.
                        self._compare(os.fstat(file.fileno()))
                    began = time.monotonic()
                    yield view[:got]
                    self._adapt(time.monotonic() - began)
            except OSError as error:
                raise _unreadable(self.label, error) from error
            finally:
                if len(view) == _MOST and len(_spare) < _SPARE:
                    _spare.append(view)


class BytesSource:
    """Bytes in memory."""

    __slots__ = ("_data", "label", "size")

    def __init__(self, data: bytes | bytearray | memoryview, label: str) -> None:
        # Copied unless they are bytes already: whatever else there is may be changed, or be a view of what may.
        self._data = memoryview(bytes(data))
        self.size = len(self._data)
        self.label = label

    def chunk(self, number: int, offset: int, length: int, on_bytes: OnBytes | None = None) -> SourceChunk:
        return SourceChunk(number, offset, length, self._read, on_bytes)

    def check(self) -> None:
        """Bytes do not change."""

    def touched(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is kept open."""

    def _read(self, offset: int, length: int) -> Iterator[memoryview]:
        for start in range(offset, offset + length, BLOCK):
            yield self._data[start : min(start + BLOCK, offset + length)]


class StreamSource:
    """A binary stream. Its bytes are put by in an unnamed file of the temporary folder: the protocol has to know their
    number before it asks for leave, and a chunk that fails has to be read again."""

    __slots__ = ("_file", "_lock", "label", "size")

    def __init__(self, stream: BinaryIO, label: str) -> None:
        """Reads ``stream`` to its end. Raises ``SourceError`` when it cannot be read, or the folder cannot hold it."""
        self.label = label
        self._lock = threading.Lock()
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the source; see close()
        except OSError as error:
            raise _unreadable(label, error) from error
        try:
            self.size = self._fill(stream)
        except VVOSError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise _unreadable(label, error) from error
        except BaseException:
            self.close()
            raise

    def _fill(self, stream: BinaryIO) -> int:
        while True:
            block: object = stream.read(BLOCK)
            if block is None:
                raise SourceError(f"{self.label} has nothing to read just now; make the stream blocking.")
            if isinstance(block, str):
                raise SourceError(f"{self.label} gives text; open it in binary mode.")
            if not isinstance(block, bytes | bytearray | memoryview):
                raise SourceError(f"{self.label} gives {type(block).__name__}; give a binary stream.")
            if not block:
                break
            self._file.write(block)
        self._file.flush()
        return self._file.tell()

    def chunk(self, number: int, offset: int, length: int, on_bytes: OnBytes | None = None) -> SourceChunk:
        return SourceChunk(number, offset, length, self._read, on_bytes)

    def check(self) -> None:
        """The file has no name, so nobody else can change it."""

    def touched(self) -> int | None:
        return None

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _read(self, offset: int, length: int) -> Iterator[memoryview]:
        end = offset + length
        while offset < end:
            with self._lock:
                if self._file.closed:
                    raise Cancelled(f"the upload of {self.label} has ended.")
                self._file.seek(offset)
                block = self._file.read(min(BLOCK, end - offset))
            if not block:
                raise SourceChanged(f"{self.label} lost its end in the temporary folder.")
            offset += len(block)
            yield memoryview(block)


def walk(
    folder: str | os.PathLike[str], on_error: Callable[[str, SourceError], None] | None = None
) -> Iterator[tuple[str, str]]:
    """The files below ``folder``, in order of their names, as (path, path relative to it with ``/``).

    Links to files are followed, links to folders are not (they may lead in circles). ``on_error`` is told of a folder
    that cannot be read, by its relative path, and the rest is walked; without it ``SourceError`` is raised.
    """
    root = Path(folder)

    def failed(error: OSError) -> None:
        path = error.filename or str(root)
        told = _unreadable(shown(path), error)
        if on_error is None:
            raise told from error
        on_error(Path(path).relative_to(root).as_posix(), told)

    for parent, folders, names in os.walk(root, onerror=failed):
        folders.sort()
        inner = Path(parent).relative_to(root).as_posix()
        inner = "" if inner == "." else f"{inner}/"
        for name in sorted(names):
            yield os.path.join(parent, name), inner + name


def guess_type(key: str) -> str:
    """The media type that the name suggests; ``application/octet-stream`` when it suggests none."""
    # With "./" before it a key that looks like a URL is still taken for a name; "data:" would name its own type.
    guessed, encoding = mimetypes.guess_type(f"./{key}", strict=False)
    # "a.tar.gz" is guessed as a tar with an encoding; stored as such, browsers would unpack it unasked.
    return guessed if guessed and not encoding else "application/octet-stream"


def _buffer(length: int) -> memoryview:
    """Where ``length`` bytes, or up to ``_MOST`` of them at a time, can be read into."""
    if length <= _SMALL:
        return memoryview(bytearray(length))
    try:
        return _spare.pop()
    except IndexError:
        return memoryview(mmap.mmap(-1, _MOST, **_PRIVATE))


def shown(path: str) -> str:
    """``path`` for a message: bytes that are not text are escaped."""
    return path.encode("utf-8", "backslashreplace").decode()


def _open(path: str, flags: int) -> int:
    """Opens for reading without waiting: a pipe that took the file's place would wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _unreadable(label: str, error: Exception) -> SourceError:
    if isinstance(error, FileNotFoundError):
        return SourceMissing(f"{label} is not there; check the path.")
    why = error.strerror.lower() if isinstance(error, OSError) and error.strerror else f"{type(error).__name__} {error}"
    return SourceError(f"{label} cannot be read: {' '.join(why.split()).rstrip('.')}.")
