"""Request bodies made around a chunk: the form of an upload, and a chunk that is hashed on its way."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from vvos_core import Chunk

from .checksum import QetagHasher


class Crc32:
    """What v1 and forms compare of a chunk, of one reading: its CRC-32, and its hash."""

    def __init__(self) -> None:
        self._qetag = QetagHasher()
        self.crc32 = 0

    def update(self, block: memoryview) -> None:
        self._qetag.update(block)
        self.crc32 = zlib.crc32(block, self.crc32)

    @property
    def checksum(self) -> str:
        return self._qetag.value()


class Md5:
    """What v2 compares of a chunk, of one reading: its MD5, and its hash."""

    def __init__(self) -> None:
        self._qetag = QetagHasher()
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, block: memoryview) -> None:
        self._qetag.update(block)
        self._md5.update(block)

    @property
    def md5(self) -> str:
        """Hexadecimal, as ``Content-MD5`` is here (everywhere else it is base64)."""
        return self._md5.hexdigest()

    @property
    def checksum(self) -> str:
        return self._qetag.value()


Digests = TypeVar("Digests", Crc32, Md5)


def digested(chunk: Chunk, digests: Digests) -> Digests:
    """``digests`` of a chunk; reads it once."""
    for block in chunk:
        digests.update(block)
    return digests


class Watched:
    """A chunk whose blocks somebody sees as they are sent. ``begin`` is called before each reading."""

    def __init__(self, chunk: Chunk, begin: Callable[[], Callable[[memoryview], None]]) -> None:
        self.number = chunk.number
        self.offset = chunk.offset
        self._chunk = chunk
        self._begin = begin

    def __len__(self) -> int:
        return len(self._chunk)

    def __iter__(self) -> Iterator[memoryview]:
        see = self._begin()
        for block in self._chunk:
            see(block)
            yield block


class Form:
    """multipart/form-data with a chunk as its file; ``content_type`` names the boundary."""

    def __init__(self, fields: Mapping[str, str], name: str, kind: str, chunk: Chunk) -> None:
        from urllib3 import encode_multipart_formdata

        # The library frames a stand-in, and the chunk takes its place.
        stand_in = secrets.token_bytes(24)
        body, self.content_type = encode_multipart_formdata({**fields, "file": (name, stand_in, kind)})
        before, _, after = body.partition(stand_in)
        self.number = chunk.number
        self.offset = chunk.offset
        self._before = memoryview(before)
        self._after = memoryview(after)
        self._chunk = chunk

    def __len__(self) -> int:
        return len(self._before) + len(self._chunk) + len(self._after)

    def __iter__(self) -> Iterator[memoryview]:
        yield self._before
        yield from self._chunk
        yield self._after
