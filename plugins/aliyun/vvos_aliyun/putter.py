"""The half that stores: puts chunks, completes and aborts from a grant alone, without the bucket's keys or an SDK."""

from __future__ import annotations

from collections.abc import Sequence

from vvos_core import (
    HELD,
    Answer,
    BadAnswer,
    Chunk,
    Exists,
    Grant,
    Hashed,
    Http,
    Mismatch,
    NotFound,
    Receipt,
    Stored,
    held,
)

from . import xml
from .checksum import Crc64Hasher, md5, text
from .faults import fault, refused
from .grants import Requests, read


class Putter:
    """Sends the requests of grants. Shared by threads."""

    def __init__(self) -> None:
        self._http = Http()

    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        """Store one chunk; see ``vvos_core.hooks``."""
        requests = read(grant)
        what = f"storing {_shown(grant)}" + (f", part {chunk.number}" if grant.multipart else "")
        signed = requests.part(chunk.number) if grant.multipart else requests.put()
        if grant.checksum and not grant.multipart:
            # The service would store anything of this size, so what was granted is compared before it is sent.
            chunk = held(chunk)
            _agree(what, grant, Hashed(chunk, Crc64Hasher).read().value())
        digest = ""
        if not grant.multipart and len(chunk) <= HELD:
            chunk = held(chunk)
            digest = f"md5:{md5(chunk)}"
        hashed = Hashed(chunk, Crc64Hasher)
        answer = self._http.send("PUT", signed.url, headers=signed.headers, body=hashed, what=what)
        if answer.status != 200:
            raise refused(answer, what, key=grant.key)
        checksum = hashed.hasher.value()
        _compare(what, grant.key, checksum, _said(answer, what, grant.key))
        proof = answer.headers.get("ETag", "").strip().strip('"')
        if not proof:
            raise BadAnswer(f"{what}: the service answered no ETag; is it OSS?", key=grant.key)
        if digest != f"md5:{proof.lower()}":  # its encryption makes its ETag another value
            digest = ""
        return Receipt(number=chunk.number, size=len(chunk), proof=proof, checksum=checksum, digest=digest)

    def complete(self, grant: Grant, receipts: Sequence[Receipt], checksum: str) -> Stored:
        """Make the object whose bytes, by the receipts, have ``checksum``; see ``vvos_core.hooks``."""
        if not grant.multipart:
            return Stored(key=grant.key, size=receipts[0].size, checksum=receipts[0].checksum)
        requests = read(grant)
        what = f"completing {_shown(grant)}"
        _agree(what, grant, checksum)
        signed = requests.complete()
        answer = self._http.send("POST", signed.url, headers=signed.headers, body=xml.parts(receipts), what=what)
        if answer.status != 200:
            error = refused(answer, what, key=grant.key)
            if isinstance(error, NotFound | Exists) and checksum:
                # Completed before, and only the answer was lost? Then the object is there, and it is this one.
                # Which of the two refusals OSS comes to first is not documented.
                stored = self._look(requests, grant, what)
                if stored is not None and (stored.size, stored.checksum) == (grant.size, checksum):
                    self.abort(grant)  # where somebody else made it
                    return stored
            raise error
        root = xml.parse(answer.body)
        if root.tag == "Error":
            raise fault(root.findtext("Code") or "", root.findtext("Message") or "", 500, what, key=grant.key)
        if root.tag != "CompleteMultipartUploadResult":
            raise BadAnswer(f"{what}: the service answered <{root.tag[:40]}>; is it OSS?", key=grant.key)
        said = _said(answer, what, grant.key)
        _compare(what, grant.key, checksum, said)
        return Stored(key=grant.key, size=grant.size, checksum=said)

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished multipart upload and its parts."""
        if not grant.multipart:
            return
        what = f"aborting {_shown(grant)}"
        signed = read(grant).abort()
        answer = self._http.send("DELETE", signed.url, headers=signed.headers, what=what)
        if not 200 <= answer.status < 300:
            error = refused(answer, what, key=grant.key)
            if not isinstance(error, NotFound):
                raise error

    def _look(self, requests: Requests, grant: Grant, what: str) -> Stored | None:
        signed = requests.look()
        answer = self._http.send("HEAD", signed.url, headers=signed.headers, what=what)
        length = answer.headers.get("Content-Length", "")
        if answer.status != 200 or not length.isdigit():
            return None
        return Stored(key=grant.key, size=int(length), checksum=_said(answer, what, grant.key))


def _agree(what: str, grant: Grant, checksum: str) -> None:
    """Raises ``Mismatch`` where the grant names another checksum than that of the bytes."""
    if grant.checksum and checksum and grant.checksum != checksum:
        raise Mismatch(f"{what}: the grant is for other bytes than were read; ask for a new one.", key=grant.key)


def _said(answer: Answer, what: str, key: str) -> str:
    """The service's own checksum of what it got."""
    value = answer.headers.get("x-oss-hash-crc64ecma", "")
    if not (value.isascii() and value.isdigit()):
        raise BadAnswer(
            f"{what}: the service answered no CRC-64, so nothing proves that it got the bytes; is it OSS?", key=key
        )
    return text(value)


def _compare(what: str, key: str, ours: str, theirs: str) -> None:
    if ours and ours != theirs:
        raise Mismatch(f"{what}: the service received other bytes than were read; put it again.", key=key)


def _shown(grant: Grant) -> str:
    return repr(grant.key if len(grant.key) <= 80 else grant.key[:77] + "…")
