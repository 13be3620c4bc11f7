"""Takes in a request body: decodes it, stores it, and refuses it unless every declared digest is right.

Sources: AWS S3 API Reference, "Common Request Headers" (x-amz-content-sha256), PutObject (Content-MD5).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from vvos_core.testing.server import Headers, Request

from . import checksums
from .blobs import Blob, BlobStore
from .chunked import STREAMING, ChunkedBody
from .errors import S3Error
from .sigv4 import UNSIGNED_PAYLOAD, Verified

_READ = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def receive(
    request: Request, headers: Headers, verified: Verified, store: BlobStore, *, limit: int, also: Iterable[str] = ()
) -> tuple[Blob, checksums.Declared]:
    """Stores the body as a blob that knows its MD5, its CRC64NVME, what the client declared, and `also`.

    `headers` are the effective ones (a presigned query may stand for some). Nothing is left behind on refusal.
    """
    payload = verified.payload
    streaming = payload in STREAMING
    if not streaming and payload != UNSIGNED_PAYLOAD and not _SHA256.fullmatch(payload):
        raise S3Error(
            "InvalidArgument",
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=payload,
        )
    declared = checksums.declared(headers)
    chunked = None
    length = request.body.length
    if streaming:
        chunked = ChunkedBody(
            request.body, verified, headers.get("x-amz-decoded-content-length"), headers.get("x-amz-trailer")
        )
        length = chunked.length
    if length is not None and length > limit:
        raise S3Error("EntityTooLarge", ProposedSize=str(length), MaxSizeAllowed=str(limit))
    names = {"md5", checksums.DEFAULT, *also} | ({declared.algorithm} if declared.algorithm else set())
    digests = {name: checksums.new(name) for name in names}
    sha256 = hashlib.sha256() if _SHA256.fullmatch(payload) else None
    writer = store.writer()
    try:
        for piece in _plain(request) if chunked is None else chunked.data():
            for digest in digests.values():
                digest.update(piece)
            if sha256 is not None:
                sha256.update(piece)
            writer.write(piece)
            if writer.size > limit:
                raise S3Error("EntityTooLarge", MaxSizeAllowed=str(limit))
        results = {name: digest.digest() for name, digest in digests.items()}
        if sha256 is not None and sha256.hexdigest() != payload:
            raise S3Error(
                "XAmzContentSHA256Mismatch",
                ClientComputedContentSHA256=payload,
                S3ComputedContentSHA256=sha256.hexdigest(),
            )
        if declared.md5 is not None:
            checksums.compare("md5", declared.md5, results["md5"])
        if declared.algorithm is not None:
            expected = declared.value
            if expected is None:
                expected = _trailing(declared.algorithm, chunked)
            checksums.compare(declared.algorithm, expected, results[declared.algorithm])
    except BaseException:
        writer.discard()
        raise
    return writer.finish(results), declared


def _plain(request: Request) -> Iterator[bytes]:
    while piece := request.body.read(_READ):
        yield piece


def _trailing(algorithm: str, chunked: ChunkedBody | None) -> bytes:
    text = None if chunked is None else chunked.trailers.get(checksums.PREFIX + algorithm)
    if text is None:
        raise S3Error("MalformedTrailerError")
    return checksums.parse(algorithm, text)
