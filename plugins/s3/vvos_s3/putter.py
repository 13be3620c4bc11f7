"""The half that stores: puts chunks, completes and aborts from a grant alone, without keys or an SDK."""

from __future__ import annotations

import base64
from collections.abc import Sequence

from vvos_core import (
    Answer,
    BadAnswer,
    Chunk,
    Grant,
    Hashed,
    Http,
    Mismatch,
    NotFound,
    Receipt,
    Stored,
    TokenExpired,
    held,
)

from . import xml
from .checksum import CRC64NVME, MD5, Crc64NvmeHasher, md5
from .faults import fault, refused
from .grants import Requests, Signed, read


class Putter:
    """Sends the presigned requests of grants. Shared by threads."""

    def __init__(self) -> None:
        self._http = Http()

    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        """Store one chunk; see ``vvos_core.hooks``."""
        requests = read(grant)
        what = f"storing {_shown(grant)}" + (f", part {chunk.number}" if grant.multipart else "")
        signed = _request_for(requests, grant, chunk)
        headers = dict(signed.headers)
        checksum = own_md5 = ""
        if requests.checksum == MD5 or (not grant.multipart and not grant.checksum):
            # Where nothing signed says what the bytes are: Content-MD5 needs no signature, and the service verifies it.
            chunk = held(chunk)
            hashed_once = md5(chunk)
            headers.setdefault("content-md5", base64.b64encode(hashed_once).decode())
            own_md5 = hashed_once.hex()
            checksum = f"{MD5}:{own_md5}"
        hashed = Hashed(chunk, Crc64NvmeHasher) if requests.checksum == CRC64NVME else None
        answer = self._http.send(
            "PUT", signed.url, headers=headers, body=chunk if hashed is None else hashed, what=what
        )
        if answer.status != 200:
            raise refused(answer, what, key=grant.key)
        if hashed is not None:
            checksum = hashed.hasher.value()
        proof = _proof(answer, what, grant.key)
        _compare(what, grant.key, checksum, _said(answer, requests.checksum, proof))
        # Encrypted with some keys, its ETag is another value.
        digest = f"{MD5}:{proof}" if not grant.multipart and proof == own_md5 else ""
        return Receipt(number=chunk.number, size=len(chunk), proof=proof, checksum=checksum, digest=digest)

    def complete(self, grant: Grant, receipts: Sequence[Receipt], checksum: str) -> Stored:
        """Make the object whose bytes, by the receipts, have ``checksum``; see ``vvos_core.hooks``."""
        if not grant.multipart:
            return Stored(key=grant.key, size=receipts[0].size, checksum=receipts[0].checksum)
        requests = read(grant)
        what = f"completing {_shown(grant)}"
        if requests.complete is None:
            raise TokenExpired(f"{what}: the grant does not name the object's checksum yet; renew it.", key=grant.key)
        answer = self._http.send(
            "POST", requests.complete.url, headers=requests.complete.headers, body=xml.parts(receipts), what=what
        )
        if answer.status != 200:
            raise refused(answer, what, key=grant.key)
        name, fields = xml.read(answer.body)
        if name == "Error":
            raise fault(fields.get("Code", ""), fields.get("Message", ""), 500, what, key=grant.key)
        if name != "CompleteMultipartUploadResult":
            raise BadAnswer(f"{what}: the service answered <{name[:40]}>; is it S3?", key=grant.key)
        stored = f"{MD5}:{_bare(fields.get('ETag', ''))}"
        if requests.checksum == CRC64NVME:
            said = fields.get("ChecksumCRC64NVME", "")
            stored = f"{CRC64NVME}:{said}" if said else ""
        _compare(what, grant.key, checksum, stored)
        return Stored(key=grant.key, size=grant.size, checksum=stored)

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished multipart upload and its parts."""
        signed = read(grant).abort
        if signed is None:
            return
        what = f"aborting {_shown(grant)}"
        answer = self._http.send("DELETE", signed.url, headers=signed.headers, what=what)
        if not 200 <= answer.status < 300:
            error = refused(answer, what, key=grant.key)
            if not isinstance(error, NotFound):
                raise error


def _request_for(requests: Requests, grant: Grant, chunk: Chunk) -> Signed:
    if grant.multipart and requests.parts:
        return Signed(requests.parts.url_of(chunk.number))
    if requests.put and not grant.multipart:
        return requests.put
    raise BadAnswer(f"the grant of {_shown(grant)} has no request to put it; ask for another.", key=grant.key)


def _proof(answer: Answer, what: str, key: str) -> str:
    proof = _bare(answer.headers.get("ETag", ""))
    if not proof:
        raise BadAnswer(f"{what}: the service answered no ETag; is it S3?", key=key)
    return proof


def _said(answer: Answer, algorithm: str, etag: str) -> str:
    """The service's own checksum of what it got; empty where it says none."""
    if algorithm == MD5:
        return f"{MD5}:{etag}"
    value = answer.headers.get("x-amz-checksum-crc64nvme", "")
    return f"{CRC64NVME}:{value}" if value else ""


def _compare(what: str, key: str, ours: str, theirs: str) -> None:
    if ours and theirs and ours != theirs:
        raise Mismatch(f"{what}: the service received other bytes than were read; put it again.", key=key)


def _bare(etag: str) -> str:
    return etag.strip().strip('"')


def _shown(grant: Grant) -> str:
    return repr(grant.key if len(grant.key) <= 80 else grant.key[:77] + "…")
