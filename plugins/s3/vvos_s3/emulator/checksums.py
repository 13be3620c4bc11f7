"""The checksums a client may declare for a body, how they are computed, and how they are compared.

Sources: AWS S3 User Guide, "Checking object integrity in Amazon S3"; API Reference, PutObject and UploadPart
(request headers Content-MD5 and x-amz-checksum-*).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from awscrt.checksums import (  # type: ignore[import-untyped,unused-ignore]  # ships no types
    combine_crc32,
    combine_crc32c,
    combine_crc64nvme,
    crc32c,
    crc64nvme,
)

from vvos_core.testing.server import Headers

from .errors import S3Error

DEFAULT = "crc64nvme"
PREFIX = "x-amz-checksum-"
SIZES = {"crc32": 4, "crc32c": 4, "crc64nvme": 8, "sha1": 20, "sha256": 32}
_NOT_ALGORITHMS = ("algorithm", "mode", "type")
_COMBINE: dict[str, Callable[[int, int, int], int]] = {
    "crc32": combine_crc32,
    "crc32c": combine_crc32c,
    "crc64nvme": combine_crc64nvme,
}
LINEAR = frozenset(_COMBINE)
_CRC: dict[str, Callable[[bytes, int], int]] = {"crc32": zlib.crc32, "crc32c": crc32c, "crc64nvme": crc64nvme}


class Digest(Protocol):
    """A running computation."""

    def update(self, data: bytes, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    def __init__(self, algorithm: str) -> None:
        self._function = _CRC[algorithm]
        self._size = SIZES[algorithm]
        self._value = 0

    def update(self, data: bytes, /) -> None:
        self._value = self._function(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


def new(algorithm: str) -> Digest:
    """A fresh computation of `md5` or one of SIZES."""
    return _Crc(algorithm) if algorithm in LINEAR else hashlib.new(algorithm, usedforsecurity=False)


def combine(algorithm: str, parts: list[tuple[bytes, int]]) -> bytes:
    """The CRC of the concatenation, from the CRC and the size of each part."""
    total = 0
    for digest, size in parts:
        total = _COMBINE[algorithm](total, int.from_bytes(digest, "big"), size)
    return total.to_bytes(SIZES[algorithm], "big")


def composite(algorithm: str, parts: list[bytes]) -> bytes:
    """The checksum of the parts' checksums, which S3 calls COMPOSITE."""
    digest = new(algorithm)
    digest.update(b"".join(parts))
    return digest.digest()


def encode(digest: bytes) -> str:
    """The form of a digest in headers and XML."""
    return base64.b64encode(digest).decode()


def decode(text: str, size: int) -> bytes | None:
    """The digest in `text`, or None if it is not base64 of `size` bytes."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if len(raw) == size else None


@dataclass(frozen=True)
class Declared:
    """What the client said about its body before sending it."""

    md5: bytes | None
    algorithm: str | None
    value: bytes | None
    trailing: bool


def named(headers: Headers, prefix: str = PREFIX) -> dict[str, str]:
    """The x-amz-checksum-* fields that carry a value: algorithm to text."""
    found = {}
    for name in headers.names():
        if name.startswith(prefix) and name[len(prefix) :] not in _NOT_ALGORITHMS:
            found[name[len(prefix) :]] = headers.get(name) or ""
    return found


def declared(headers: Headers) -> Declared:
    """Reads and validates Content-MD5, x-amz-checksum-* and x-amz-trailer; raises S3Error for what is malformed."""
    md5 = None
    text = headers.get("content-md5")
    if text is not None:
        md5 = decode(text, 16)
        if md5 is None:
            raise S3Error("InvalidDigest", Content_MD5=text)
    values = named(headers)
    trailing = {
        name.strip().lower()[len(PREFIX) :]
        for name in (headers.get("x-amz-trailer") or "").split(",")
        if name.strip().lower().startswith(PREFIX)
    }
    if len(values) + len(trailing) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )
    algorithm = next(iter(values.keys() | trailing), None)
    sdk = headers.get("x-amz-sdk-checksum-algorithm")
    if sdk is not None and sdk.lower() != algorithm and not (sdk.upper() == "MD5" and md5):
        raise S3Error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer "
            "headers were found.",
        )
    if algorithm is None:
        return Declared(md5, None, None, False)
    if algorithm not in SIZES:
        raise S3Error("InvalidRequest", f"The algorithm {algorithm} is not supported.")
    value = parse(algorithm, values[algorithm]) if values else None
    return Declared(md5, algorithm, value, not values)


def parse(algorithm: str, text: str) -> bytes:
    """The digest in a header or trailer; raises S3Error for what is not one."""
    raw = decode(text, SIZES[algorithm])
    if raw is None:
        raise S3Error("InvalidRequest", f"Value for {PREFIX}{algorithm} header is invalid.")
    return raw


def compare(algorithm: str, expected: bytes, actual: bytes) -> None:
    """Raises BadDigest unless both are the same."""
    if expected != actual:
        name = "Content-MD5" if algorithm == "md5" else algorithm.upper()
        raise S3Error(
            "BadDigest",
            f"The {name} you specified did not match the calculated checksum.",
            ExpectedDigest=encode(expected),
            CalculatedDigest=encode(actual),
        )
