"""Decoding of `aws-chunked` bodies: chunk signatures, the trailing checksum, and the declared length.

Sources: AWS S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in Multiple
Chunks" and "... Including Trailing Headers (Chunked Upload)"; botocore/httpchecksum.py (AwsChunkedWrapper) for the
unsigned form as boto3 sends it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator

from vvos_core.testing.server import Body

from .errors import S3Error
from .sigv4 import EMPTY_SHA256, Verified

UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING = frozenset((UNSIGNED_TRAILER, SIGNED, SIGNED_TRAILER))

_READ = 1 << 20
_MAX_LINE = 4096
_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}")
_SIGNATURE = b"chunk-signature="


class ChunkedBody:
    """The data inside an aws-chunked body; `trailers` is complete once `data()` is exhausted."""

    def __init__(self, body: Body, verified: Verified, decoded_length: str | None, announced: str | None) -> None:
        if decoded_length is None or not re.fullmatch(r"\d{1,15}", decoded_length, re.ASCII):
            raise S3Error("MissingContentLength", "You must provide the x-amz-decoded-content-length HTTP header.")
        self.length = int(decoded_length)
        self.trailers: dict[str, str] = {}
        self._body = body
        self._buffer = b""
        self._verified = verified
        self._signed = verified.payload != UNSIGNED_TRAILER
        self._trailing = verified.payload != SIGNED
        self._announced = {name.strip().lower() for name in (announced or "").split(",") if name.strip()}
        self._previous = verified.signature

    def data(self) -> Iterator[bytes]:
        """The decoded bytes in pieces. A piece may precede the proof of its chunk: discard all if this raises."""
        total = 0
        while size := self._chunk_size():
            digest = hashlib.sha256()
            while size:
                piece = self._take(min(size, _READ))
                digest.update(piece)
                size -= len(piece)
                total += len(piece)
                if total > self.length:
                    raise S3Error("IncompleteBody", "The chunks hold more than x-amz-decoded-content-length says.")
                yield piece
            if self._exactly(2) != b"\r\n":
                raise S3Error("IncompleteBody", "A chunk does not end where it says.")
            self._check_signature(digest.hexdigest())
        self._check_signature(EMPTY_SHA256)
        if total != self.length:
            raise S3Error("IncompleteBody", "The chunks hold less than x-amz-decoded-content-length says.")
        self._read_trailers()

    def _chunk_size(self) -> int:
        line = self._line()
        size, _, extension = line.partition(b";")
        if not _SIZE.fullmatch(size) or (self._signed and not extension.startswith(_SIGNATURE)):
            raise S3Error("IncompleteBody", "The request body is not well-formed aws-chunked data.")
        self._given = extension[len(_SIGNATURE) :]
        return int(size, 16)

    def _check_signature(self, data_sha256: str) -> None:
        if self._signed:
            self._chain("AWS4-HMAC-SHA256-PAYLOAD", f"{EMPTY_SHA256}\n{data_sha256}", self._given)

    def _chain(self, kind: str, tail: str, given: bytes) -> None:
        """Each signature covers the one before, so that chunks cannot be dropped, added or reordered."""
        verified = self._verified
        text = "\n".join((kind, verified.amz_date, verified.scope, self._previous, tail))
        expected = hmac.new(verified.signing_key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), given):
            raise S3Error("SignatureDoesNotMatch")
        self._previous = expected

    def _read_trailers(self) -> None:
        covered = b""
        signature = b""
        while line := self._line():
            name, colon, value = line.partition(b":")
            key = name.decode("latin-1").strip().lower()
            if not colon or key in self.trailers:
                raise S3Error("MalformedTrailerError")
            if key == "x-amz-trailer-signature":
                signature = value.strip()
            else:
                self.trailers[key] = value.decode("latin-1").strip()
                covered += name.strip() + b":" + value.strip() + b"\n"
        if set(self.trailers) != (self._announced if self._trailing else set()):
            raise S3Error("MalformedTrailerError")
        if self._signed and self._trailing:
            self._chain("AWS4-HMAC-SHA256-TRAILER", hashlib.sha256(covered).hexdigest(), signature)
        if self._buffer or self._body.read(1):
            raise S3Error("IncompleteBody", "There are bytes after the last chunk.")

    def _line(self) -> bytes:
        while b"\n" not in self._buffer:
            more = self._body.read(_MAX_LINE)
            if not more or len(self._buffer) > _MAX_LINE:
                raise S3Error("IncompleteBody", "The request body ends within the aws-chunked framing.")
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.removesuffix(b"\r")

    def _take(self, limit: int) -> bytes:
        """Between 1 and `limit` bytes."""
        if self._buffer:
            piece, self._buffer = self._buffer[:limit], self._buffer[limit:]
            return piece
        piece = self._body.read(limit)
        if not piece:
            raise S3Error("IncompleteBody", "The request body ends within a chunk.")
        return piece

    def _exactly(self, size: int) -> bytes:
        result = b""
        while len(result) < size:
            result += self._take(size - len(result))
        return result
