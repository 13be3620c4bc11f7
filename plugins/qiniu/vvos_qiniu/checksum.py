"""The hash that Kodo keeps of every object ("qetag"), computed block by block and combined from parts.

Three forms, each the url-safe base64 of a prefix byte and a SHA-1; the published algorithm is github.com/qiniu/qetag,
its third form is that of the official SDKs' ``EtagV2``:

- 0x16: at most 4 MiB, the SHA-1 of the bytes
- 0x96: more, in blocks of 4 MiB: the SHA-1 of the blocks' SHA-1s
- 0x9e: put in parts that are not exactly 4 MiB: the SHA-1 of the parts' own hashes, each without its prefix byte
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

from vvos_core import BadInput, Hasher, Receipt

QETAG = "qetag"
BLOCK = 4 * 1024 * 1024
"""Bytes of a block."""
SMALL, BLOCKS, PARTS = 0x16, 0x96, 0x9E


class Qetag:
    """The checksum of Kodo. A receipt's is the hash of its part; ``combine`` needs those, and the parts' sizes."""

    @property
    def name(self) -> str:
        return QETAG

    def new(self) -> Hasher:
        return QetagHasher()

    def combine(self, receipts: Sequence[Receipt], /) -> str:
        digests = [_digest(receipt.checksum) for receipt in receipts]
        if not digests or not all(digests):
            return ""
        return f"{QETAG}:{combined([receipt.size for receipt in receipts], digests)}"


class QetagHasher:
    """The hash of a stream, as Kodo has it for what came in one piece or in 4 MiB parts."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._block = _sha1()
        self._filled = 0

    def update(self, block: memoryview, /) -> None:
        while block:
            if self._filled == BLOCK:
                self._done.append(self._block.digest())
                self._block = _sha1()
                self._filled = 0
            taken = block[: BLOCK - self._filled]
            self._block.update(taken)
            self._filled += len(taken)
            block = block[len(taken) :]

    def etag(self) -> str:
        """The hash alone."""
        return of_blocks([*self._done, self._block.digest()])

    def value(self) -> str:
        return f"{QETAG}:{self.etag()}"


def of_blocks(digests: Sequence[bytes]) -> str:
    """The hash of what has these SHA-1s of its 4 MiB blocks."""
    if len(digests) == 1:
        return _encode(SMALL, digests[0])
    return _encode(BLOCKS, _sha1(b"".join(digests)).digest())


def combined(sizes: Sequence[int], digests: Sequence[bytes]) -> str:
    """The hash of an object whose parts have these sizes, and these hashes without their prefix byte."""
    if all(size == BLOCK for size in sizes[:-1]) and sizes[-1] <= BLOCK:
        return of_blocks(digests)
    return _encode(PARTS, _sha1(b"".join(digests)).digest())


def digest_of(etag: str) -> bytes:
    """A hash without its prefix byte; empty when it is none."""
    try:
        raw = base64.b64decode(etag, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    return raw[1:] if len(raw) == 21 and raw[0] in (SMALL, BLOCKS, PARTS) else b""


def check(checksum: str, size: int, part_size: int) -> str:
    """``checksum`` itself, if an object of ``size`` bytes, in parts of ``part_size`` (0: in one piece), can have it.

    Raises ``BadInput``.
    """
    name, _, value = checksum.partition(":")
    if name != QETAG:
        raise BadInput(f"the checksum is {name or 'nameless'}; this profile's service keeps {QETAG}.")
    if not digest_of(value):
        raise BadInput("the checksum is no qetag: url-safe base64 of 21 bytes, the first of them 0x16, 0x96 or 0x9e.")
    form = PARTS if part_size not in (0, BLOCK) and not size <= part_size <= BLOCK else BLOCKS
    if form == BLOCKS and size <= BLOCK:
        form = SMALL
    if base64.urlsafe_b64decode(value)[0] != form:
        raise BadInput(
            f"the checksum has another form than an object of {size} bytes gets in this profile (0x{form:02x}); "
            "leave it out."
        )
    return checksum


def _digest(checksum: str) -> bytes:
    name, _, value = checksum.partition(":")
    return digest_of(value) if name == QETAG else b""


def _encode(prefix: int, digest: bytes) -> str:
    return base64.urlsafe_b64encode(bytes([prefix]) + digest).decode()


def _sha1(data: bytes = b"") -> hashlib._Hash:
    return hashlib.sha1(data, usedforsecurity=False)
