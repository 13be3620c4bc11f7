"""Request bodies made around a chunk: the form of an upload; and what of a chunk is compared."""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Iterator, Mapping

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
