"""Resumable upload v2: begin, put parts, list them, complete, abort; with nothing but an upload token."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct, field

from vvos_core import Chunk, Hashed, NotFound, Receipt, Stored

from .checksum import QETAG, QetagHasher, digest_of
from .hosts import Sender, decode
from .metadata import encode
from .target import Target, file_name

_LIST_MOST = 1000


class _Begun(Struct, rename="camel"):
    upload_id: str


class _Put(Struct):
    etag: str


class _Part(Struct, rename="camel"):
    size: int
    etag: str
    part_number: int


class _List(Struct, rename="camel"):
    parts: list[_Part] = field(default_factory=list)
    part_number_marker: int = 0


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
for _type in (_Begun, _Put, _List):
    msgspec.json.Decoder(_type)


def begin(sender: Sender, target: Target, what: str) -> str:
    """Begin an upload; answers its id."""
    _, answer = sender.send("POST", target.hosts, _path(target), headers=target.headers, body=b"", what=what)
    if answer.status != 200:
        raise target.refused(answer, what)
    begun: _Begun = decode(answer.body, _Begun, what, target.grant.key)
    return begun.upload_id


def put(sender: Sender, target: Target, upload_id: str, chunk: Chunk, what: str) -> Receipt:
    """Store a part. The service answers the hash of what it got, which is compared; an MD5 for it to compare would have
    to be known before the first byte, at three times the cost."""
    hashed = Hashed(chunk, QetagHasher)
    headers = {**target.headers, "Content-Type": "application/octet-stream"}
    path = f"{_path(target, upload_id)}/{chunk.number}"
    _, answer = sender.send("PUT", target.hosts, path, headers=headers, body=hashed, what=what)
    if answer.status != 200:
        raise target.refused(answer, what)
    part: _Put = decode(answer.body, _Put, what, target.grant.key)
    etag = hashed.hasher.etag()
    # Where it is no hash, the object's is compared when it is made.
    if digest_of(part.etag) and part.etag != etag:
        raise target.mismatch(what)
    proof = part.etag if target.grant.upload_id else f"{upload_id}:{part.etag}"
    return Receipt(number=chunk.number, size=len(chunk), proof=proof, checksum=f"{QETAG}:{etag}")


def complete(sender: Sender, target: Target, receipts: Sequence[Receipt], checksum: str, what: str) -> Stored:
    """Make the object; see ``vvos_core.hooks``."""
    grant = target.grant
    proofs = [receipt.proof.rpartition(":") for receipt in receipts]
    ids = {upload_id or grant.upload_id for upload_id, _, _ in proofs}
    if len(ids) != 1 or not all(ids):
        # Stored by two processes, which cannot know each other's upload where the grant names none.
        raise NotFound(f"{what}: its parts belong to different uploads; put them again.", key=grant.key)
    body: dict[str, Any] = {
        "parts": [
            {"partNumber": receipt.number, "etag": etag} for receipt, (_, _, etag) in zip(receipts, proofs, strict=True)
        ],
        "fname": file_name(grant),
        "mimeType": grant.type,
    }
    if grant.metadata:
        body["metadata"] = encode(grant.metadata)
    _, answer = sender.send(
        "POST",
        target.hosts,
        _path(target, ids.pop()),
        headers={**target.headers, "Content-Type": "application/json"},
        body=msgspec.json.encode(body),
        what=what,
    )
    if answer.status != 200:
        raise target.refused(answer, what)
    return Stored(key=grant.key, size=grant.size, checksum=target.made(answer, what, checksum))


def stored(sender: Sender, target: Target, what: str) -> tuple[Receipt, ...]:
    """The parts that are there; none when the upload is gone."""
    found: list[Receipt] = []
    marker = 0
    while True:
        path = f"{_path(target, target.grant.upload_id)}?max-parts={_LIST_MOST}&part-number-marker={marker}"
        _, answer = sender.send("GET", target.hosts, path, headers=target.headers, what=what)
        if answer.status != 200:
            error = target.refused(answer, what)
            if isinstance(error, NotFound):
                return ()
            raise error
        told: _List = decode(answer.body, _List, what, target.grant.key)
        found += [_receipt(part) for part in told.parts]
        if told.part_number_marker <= marker:
            return tuple(found)
        marker = told.part_number_marker


def abort(sender: Sender, target: Target, upload_id: str, what: str) -> None:
    """Forget an upload; harmless when it is gone."""
    _, answer = sender.send("DELETE", target.hosts, _path(target, upload_id), headers=target.headers, what=what)
    if not 200 <= answer.status < 300:
        error = target.refused(answer, what)
        if not isinstance(error, NotFound):
            raise error


def _receipt(part: _Part) -> Receipt:
    # A part's etag is the hash of its bytes; the object's is made of these.
    known = f"{QETAG}:{part.etag}" if digest_of(part.etag) else ""
    return Receipt(number=part.part_number, size=part.size, proof=part.etag, checksum=known)


def _path(target: Target, upload_id: str = "") -> str:
    key = base64.urlsafe_b64encode(target.grant.key.encode()).decode()
    path = f"/buckets/{quote(target.token.bucket, safe='')}/objects/{key}/uploads"
    return f"{path}/{quote(upload_id, safe='')}" if upload_id else path
