"""CRC64NVME, computed block by block and combined from parts; and the MD5 of services that know no other."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

from vvos_core import BadInput, Chunk, Hasher, Receipt

CRC64NVME = "crc64nvme"
MD5 = "md5"
_MD5 = re.compile(r"[0-9a-f]{32}")
_MD5_OF_PARTS = re.compile(r"[0-9a-f]{32}-[0-9]{1,5}")


class Crc64Nvme:
    """The checksum of S3: CRC-64/NVME, base64 of its big-endian value as in ``x-amz-checksum-crc64nvme``.

    ``combine`` also knows receipts that carry the MD5 of their bytes: then it is the object's ETag.
    """

    @property
    def name(self) -> str:
        return CRC64NVME

    def new(self) -> Hasher:
        return Crc64NvmeHasher()

    def combine(self, receipts: Sequence[Receipt], /) -> str:
        algorithms = {receipt.checksum.partition(":")[0] for receipt in receipts}
        if len(receipts) == 1:
            return receipts[0].checksum
        if algorithms == {CRC64NVME}:
            return _combined_crc(receipts)
        if algorithms == {MD5}:
            return _combined_md5(receipts)
        return ""


class Crc64NvmeHasher:
    """CRC-64/NVME on its way, by AWS's own library; it lets other threads run meanwhile."""

    def __init__(self) -> None:
        from awscrt.checksums import crc64nvme  # type: ignore[import-untyped,unused-ignore]  # ships no types

        self._function = crc64nvme
        self._crc = 0

    def update(self, block: memoryview, /) -> None:
        self._crc = self._function(block, self._crc)

    def value(self) -> str:
        return _crc_text(self._crc)


def md5(chunk: Chunk) -> bytes:
    """The MD5 of a chunk's bytes; reads it once. A checksum here, not a signature."""
    digest = hashlib.md5(usedforsecurity=False)
    for block in chunk:
        digest.update(block)
    return digest.digest()


def check(checksum: str, algorithm: str, *, multipart: bool) -> str:
    """``checksum`` itself, if it is a well-formed value of ``algorithm``; it goes into a signed header.

    Raises ``BadInput``.
    """
    name, _, value = checksum.partition(":")
    if name != algorithm:
        raise BadInput(f"the checksum is {name or 'nameless'}; this profile's service verifies {algorithm}.")
    if name == CRC64NVME and not _is_crc(value):
        raise BadInput("the checksum is no CRC64NVME: base64 of 8 bytes.")
    if name == MD5 and not (_MD5_OF_PARTS if multipart else _MD5).fullmatch(value):
        raise BadInput("the checksum is no MD5: 32 hexadecimal digits, for an object of parts with -number behind.")
    return checksum


def _is_crc(value: str) -> bool:
    try:
        return len(value) == 12 and len(base64.b64decode(value, validate=True)) == 8
    except (binascii.Error, ValueError):
        return False


def _crc_text(crc: int) -> str:
    return f"{CRC64NVME}:{base64.b64encode(crc.to_bytes(8, 'big')).decode()}"


def _combined_crc(receipts: Sequence[Receipt]) -> str:
    from awscrt.checksums import combine_crc64nvme

    crc = 0
    for receipt in receipts:
        part = int.from_bytes(base64.b64decode(receipt.checksum.partition(":")[2]), "big")
        crc = combine_crc64nvme(crc, part, receipt.size)
    return _crc_text(crc)


def _combined_md5(receipts: Sequence[Receipt]) -> str:
    digests = b"".join(bytes.fromhex(receipt.checksum.partition(":")[2]) for receipt in receipts)
    return f"{MD5}:{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(receipts)}"
