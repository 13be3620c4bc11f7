"""The service behind the directory provider: a folder that acts only on grants it has signed.

A real provider talks to its service over a network. This one's service is here, in the same process, and does what a
service has to: it checks every grant and trusts no client. It needs POSIX (``openat`` and hard links).

    root/a/b.txt                an object: the key is the path
    root/.vvos/secret           what grants are signed with; only its owner reads it
    root/.vvos/uploads/ID/N     part N of an unfinished upload
    root/.vvos/temp/            what is being written; it becomes an object by one link or rename, or never
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import os
import re
import secrets
import shutil
import stat
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress

import msgspec
from msgspec import Struct

from ..errors import (
    BadInput,
    BadKey,
    ConfigError,
    Denied,
    Exists,
    Mismatch,
    NotFound,
    ServiceFailed,
    SourceChanged,
    TokenExpired,
    VVOSError,
)
from ..model import Chunk, Grant, Plan, Receipt, Unfinished
from . import crc32

OWN = ".vvos"
"""The folder below the root that is the service's own; no key may lead into it."""
_BLOCK = 256 * 1024
_ID = re.compile(r"[0-9a-f]{32}-[0-9a-f]{32}")
"""Random, and of which key."""
_PART = re.compile(r"[1-9][0-9]*")

_FAULTS: dict[int, tuple[type[VVOSError], str]] = {
    errno.ENOTDIR: (BadKey, "a part of its path is a file or a link, not a folder; choose another key"),
    errno.EISDIR: (BadKey, "there is a folder of this name; choose another key"),
    errno.ELOOP: (BadKey, "there is a link of this name, and links are not followed; choose another key"),
    errno.ENAMETOOLONG: (BadKey, "a name in it is too long for the file system; shorten it"),
    errno.EACCES: (Denied, "the folder may not be written or read; correct its owner or mode"),
    errno.EPERM: (Denied, "the file system does not allow it; it has to know hard links"),
    errno.EROFS: (Denied, "the file system is read-only"),
}
"""What the system's errors mean; any other is ``ServiceFailed``: a full disk may have room again."""


class Object(Struct, frozen=True):
    """What lies under a key."""

    size: int
    checksum: str


class Folder:
    """One root. Shared by threads and processes. ``clock`` gives seconds since 1970, UTC."""

    clock: Callable[[], float] = staticmethod(time.time)

    def __init__(self, root: str) -> None:
        self._root = root

    def sign(self, grant: Grant) -> str:
        """The signature that makes ``grant`` one of this folder's: over all that it allows."""
        g = grant
        allows = [g.key, g.size, g.type, g.cover, g.expires_at, g.multipart, g.part_size, g.upload_id, g.checksum]
        return hmac.new(self._secret(), msgspec.json.encode(allows), "sha256").hexdigest()

    def verify(self, grant: Grant) -> None:
        """Raises ``Denied`` when this folder did not sign ``grant`` as it is."""
        if not hmac.compare_digest(self.sign(grant), str(grant.data.get("signature"))):
            raise Denied(f"the grant of {grant.key!r} was not signed for this folder, or was altered; ask for another.")

    def begin(self, key: str) -> str:
        """Begin an upload in parts; answers its id."""
        upload_id = f"{secrets.token_hex(16)}-{_short(key)}"
        with _translated(key), self._inside(OWN, "uploads", upload_id, make=True):
            return upload_id

    def unfinished(self, key: str) -> list[Unfinished]:
        """The uploads of ``key`` that are neither completed nor aborted."""
        found = []
        with suppress(NotFound), _translated(key), self._inside(OWN, "uploads") as uploads:
            for name in os.listdir(uploads):
                if _ID.fullmatch(name) and name.endswith(_short(key)):
                    with suppress(FileNotFoundError):
                        begun_at = os.stat(name, dir_fd=uploads, follow_symlinks=False).st_mtime
                        found.append(Unfinished(upload_id=name, begun_at=begun_at))
        return found

    def put(self, grant: Grant, chunk: Chunk) -> str:
        """Store a chunk, a part or all of the object; answers the checksum of what was stored."""
        self._check(grant)
        length = _granted(grant, chunk.number)
        if len(chunk) != length:
            raise Denied(f"chunk {chunk.number} of {grant.key!r} has {len(chunk)} bytes; {length} were granted.")
        with _translated(grant.key):
            if grant.multipart:
                with self._upload(grant) as parts, _written(parts, chunk, length) as (name, checksum):
                    os.rename(name, str(chunk.number), src_dir_fd=parts, dst_dir_fd=parts)
            else:
                with self._temp() as temp, _written(temp, chunk, length) as (name, checksum):
                    self._place(grant, temp, name, checksum)
        return checksum

    def complete(self, grant: Grant, receipts: Sequence[Receipt], checksum: str) -> Object:
        """Make the object of the parts that ``receipts`` name, if its bytes have ``checksum``. Again is harmless."""
        self._check(grant)
        count = Plan(size=grant.size, multipart=True, part_size=grant.part_size).count
        if [receipt.number for receipt in receipts] != list(range(1, count + 1)):
            raise BadInput(f"{grant.key!r} has {count} parts; complete it with the receipt of each, in order.")
        try:
            with (
                _translated(grant.key),
                self._upload(grant) as parts,
                self._temp() as temp,
                _written(temp, _joined(parts, receipts), grant.size) as (name, made),
            ):
                if checksum not in ("", made):
                    raise Mismatch(f"the parts of {grant.key!r} are not what was read; put it again.")
                self._place(grant, temp, name, made)
        except (NotFound, Exists):
            # An earlier call may have made it, and been cut short before it answered or forgot the parts.
            made = checksum
            if self.look(grant.key) != Object(grant.size, made):
                raise
        self.abort(grant)
        return Object(grant.size, made)

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished upload; harmless when it is gone."""
        if _ID.fullmatch(grant.upload_id):
            shutil.rmtree(os.path.join(self._root, OWN, "uploads", grant.upload_id), ignore_errors=True)

    def look(self, key: str) -> Object | None:
        """The object under ``key``; None when there is none. Reads all of it, for its checksum."""
        *parents, name = key.split("/")
        try:
            with _translated(key), self._inside(*parents) as folder:
                return _object(folder, name)
        except NotFound:
            return None

    def parts(self, grant: Grant) -> list[Receipt]:
        """The stored parts of an unfinished upload; none when it is gone."""
        found = []
        with suppress(NotFound), _translated(grant.key), self._upload(grant) as parts:
            for number in sorted(int(name) for name in os.listdir(parts) if _PART.fullmatch(name)):
                part = _object(parts, str(number))
                found.append(Receipt(number=number, size=part.size, proof=part.checksum, checksum=part.checksum))
        return found

    def _check(self, grant: Grant) -> None:
        self.verify(grant)
        if self.clock() >= grant.expires_at:
            raise TokenExpired(f"the grant of {grant.key!r} has expired; renew it.", key=grant.key)

    def _place(self, grant: Grant, temp: int, name: str, checksum: str) -> None:
        """Make what was written an object, all at once. A link fails where a name is taken, whoever else is at it."""
        if grant.checksum not in ("", checksum):
            raise Mismatch(f"{grant.key!r} has other bytes than were granted; put it again.", key=grant.key)
        *parents, last = grant.key.split("/")
        with self._inside(*parents, make=True) as folder:
            try:
                if grant.cover:
                    os.rename(name, last, src_dir_fd=temp, dst_dir_fd=folder)
                else:
                    os.link(name, last, src_dir_fd=temp, dst_dir_fd=folder, follow_symlinks=False)
            except FileExistsError:
                raise Exists(f"there is an object {grant.key!r} and it may not be replaced.", key=grant.key) from None
            os.fsync(folder)

    def _secret(self) -> bytes:
        """The root's secret, made on first use; of two who make it at once the first one's counts for both."""
        with _translated(OWN), self._inside(OWN, make=True) as own:
            with suppress(FileNotFoundError):
                return b"".join(_blocks(own, "secret"))
            fresh = [secrets.token_bytes(32)]
            with _written(own, fresh, 32, mode=0o600) as (name, _), suppress(FileExistsError):
                os.link(name, "secret", src_dir_fd=own, dst_dir_fd=own)
            return b"".join(_blocks(own, "secret"))

    def _temp(self) -> AbstractContextManager[int]:
        return self._inside(OWN, "temp", make=True)

    def _upload(self, grant: Grant) -> AbstractContextManager[int]:
        if not _ID.fullmatch(grant.upload_id):
            raise NotFound(f"there is no upload {grant.upload_id[:40]!r}; begin a new one.", key=grant.key)
        return self._inside(OWN, "uploads", grant.upload_id)

    @contextmanager
    def _inside(self, *names: str, make: bool = False) -> Iterator[int]:
        """A descriptor of the folder ``root/names…``, reached step by step: a link below the root leads nowhere."""
        try:
            folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(
                f"there is no folder {self._root}; make it, or correct root in the profile. The client and the broker "
                "have to share the file system."
            ) from None
        try:
            for name in names:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, dir_fd=folder)
                below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(folder)
                folder = below
            yield folder
        finally:
            os.close(folder)


def _short(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def _granted(grant: Grant, number: int) -> int:
    """The bytes that chunk ``number`` of a grant has."""
    plan = Plan(size=grant.size, multipart=grant.multipart, part_size=grant.part_size)
    if not 1 <= number <= plan.count:
        raise Denied(f"{grant.key!r} was granted with {plan.count} chunks, and this is number {number}.")
    return plan.span(number)[1]


@contextmanager
def _written(
    folder: int, blocks: Iterable[memoryview | bytes], length: int, mode: int = 0o666
) -> Iterator[tuple[str, str]]:
    """A new file with just ``length`` bytes, safe on the disk: its name and checksum. It goes, but for its new name."""
    name, written, crc = f"new-{secrets.token_hex(16)}", 0, 0
    try:
        with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode, dir_fd=folder), "wb") as file:
            for block in blocks:
                written += len(block)
                if written > length:
                    break
                file.write(block)
                crc = zlib.crc32(block, crc)
            if written != length:
                raise SourceChanged(f"it gives {written} bytes where {length} were announced; upload it again.")
            file.flush()
            os.fsync(file.fileno())
        yield name, crc32.text(crc)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _joined(parts: int, receipts: Sequence[Receipt]) -> Iterator[bytes]:
    """The bytes of the parts. ``Mismatch`` where one is not, any more, what its receipt proves."""
    for receipt in receipts:
        crc = 0
        for block in _blocks(parts, str(receipt.number)):
            crc = zlib.crc32(block, crc)
            yield block
        if crc32.text(crc) != receipt.proof:
            raise Mismatch(f"part {receipt.number} was stored again with other bytes; put it again.")


def _object(folder: int, name: str) -> Object:
    size = crc = 0
    for block in _blocks(folder, name):
        size += len(block)
        crc = zlib.crc32(block, crc)
    return Object(size, crc32.text(crc))


def _blocks(folder: int, name: str) -> Iterator[bytes]:
    # Without O_NONBLOCK, opening a named pipe would wait for its other end.
    with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise IsADirectoryError(errno.EISDIR, "not a file")
        while block := file.read(_BLOCK):
            yield block


@contextmanager
def _translated(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NotFound(f"{key!r}: the object or the unfinished upload is not there.", key=key) from None
    except OSError as error:
        cls, text = _FAULTS.get(error.errno or 0, (ServiceFailed, f"the file system failed: {error.strerror}"))
        raise cls(f"{key!r}: {text}.", key=key) from None
