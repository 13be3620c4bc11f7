"""The bytes that are uploaded: known in advance to both ends by a file's name, so that the drain need not compute.

``t<offset>-<size>.bin`` is a stretch of the tape, a file of pseudo-random bytes; ``z<size>.bin`` is zeros. What stands
before the last ``/`` of a key does not matter. Sizes and offsets are bytes.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import mmap
import re
from collections.abc import Sequence
from pathlib import Path

from awscrt.checksums import combine_crc64nvme, crc64nvme  # type: ignore[import-untyped,unused-ignore]  # ships no types
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from fastcrc import crc64
from msgspec import Struct

MIB = 1024 * 1024
GIB = 1024 * MIB
BLOCK = 4 * MIB
_NAME = re.compile(r"(?:t(\d+)-|z)(\d+)\.bin")
_ZEROS = bytes(MIB)


def tape_name(offset: int, size: int) -> str:
    """The name of a stretch of the tape."""
    return f"t{offset}-{size}.bin"


def zeros_name(size: int) -> str:
    return f"z{size}.bin"


def write_tape(path: Path, size: int) -> None:
    """Write the tape: the same bytes each time."""
    stream = Cipher(algorithms.AES(bytes(16)), modes.CTR(bytes(16))).encryptor()
    with path.open("wb") as file:
        for start in range(0, size, MIB):
            file.write(stream.update(_ZEROS[: size - start]))


class Stretch(Struct, frozen=True):
    """``size`` bytes of the tape from ``offset`` on; of zeros where ``offset`` is negative."""

    offset: int
    size: int

    def part(self, start: int, size: int) -> Stretch:
        """A stretch of this one."""
        return Stretch(-1 if self.offset < 0 else self.offset + start, size)


def stretch_of(key: str) -> Stretch | None:
    """What an object of this name holds; None where the name says nothing."""
    match = _NAME.fullmatch(key.rpartition("/")[2])
    if match is None:
        return None
    return Stretch(int(match[1]) if match[1] else -1, int(match[2]))


class Tape:
    """The tape as the drain has it: bytes to compare with, and checksums, each computed once."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._known: dict[Stretch, Sums] = {}

    def same(self, stretch: Stretch, start: int, piece: bytes | memoryview) -> bool:
        """Whether ``piece`` is what the stretch has at ``start``."""
        if start + len(piece) > stretch.size:
            return False
        if stretch.offset < 0:
            return not any(bytes(piece).strip(b"\0"))
        begin = stretch.offset + start
        return self._map[begin : begin + len(piece)] == piece

    def sums(self, stretch: Stretch) -> Sums:
        known = self._known.get(stretch)
        if known is None:
            known = self._known.setdefault(stretch, Sums(self, stretch))
        return known

    def blocks(self, stretch: Stretch, size: int) -> Sequence[bytes | memoryview]:
        """A stretch that is not zeros in blocks of ``size``, not copied."""
        found = []
        view = memoryview(self._map)
        for start in range(0, stretch.size, size):
            length = min(size, stretch.size - start)
            found.append(view[stretch.offset + start :][:length])
        return found


class Sums:
    """The checksums of a stretch, in the forms in which the services say them."""

    def __init__(self, tape: Tape, stretch: Stretch) -> None:
        self._tape = tape
        self._stretch = stretch

    @functools.cached_property
    def md5(self) -> bytes:
        digest = hashlib.md5(usedforsecurity=False)
        for block in self._blocks():
            digest.update(block)
        return digest.digest()

    @functools.cached_property
    def crc64nvme(self) -> str:
        """Base64, as in ``x-amz-checksum-crc64nvme``."""
        crc = 0
        if self._stretch.offset < 0:
            block, count, rest = crc64nvme(_ZEROS), *divmod(self._stretch.size, MIB)
            for _ in range(count):
                crc = combine_crc64nvme(crc, block, MIB)
            crc = crc64nvme(_ZEROS[:rest], crc)
        else:
            for piece in self._blocks():
                crc = crc64nvme(piece, crc)
        return base64.b64encode(crc.to_bytes(8, "big")).decode()

    @functools.cached_property
    def crc64xz(self) -> int:
        """As in ``x-oss-hash-crc64ecma``."""
        crc = 0
        for block in self._blocks():
            crc = crc64.xz(block, crc)
        return crc

    @functools.cached_property
    def sha1s(self) -> list[bytes]:
        """Of each block of 4 MiB."""
        blocks = self._blocks(BLOCK) or [b""]
        if self._stretch.offset < 0:
            whole = hashlib.sha1(bytes(BLOCK), usedforsecurity=False).digest()
            return [whole if len(b) == BLOCK else hashlib.sha1(b, usedforsecurity=False).digest() for b in blocks]
        return [hashlib.sha1(block, usedforsecurity=False).digest() for block in blocks]

    @functools.cached_property
    def qetag(self) -> str:
        """Qiniu's hash of what came in one piece, or in parts of 4 MiB."""
        if len(self.sha1s) == 1:
            return qetag(0x16, self.sha1s[0])
        return qetag(0x96, hashlib.sha1(b"".join(self.sha1s), usedforsecurity=False).digest())

    def _blocks(self, size: int = MIB) -> Sequence[bytes | memoryview]:
        if self._stretch.offset < 0:
            count, rest = divmod(self._stretch.size, size)
            zeros = bytes(size)
            return [zeros] * count + ([zeros[:rest]] if rest else [])
        return self._tape.blocks(self._stretch, size)


def qetag(prefix: int, digest: bytes) -> str:
    """A hash as Qiniu writes it."""
    return base64.urlsafe_b64encode(bytes([prefix]) + digest).decode()
