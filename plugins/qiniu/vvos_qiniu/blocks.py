"""Resumable upload v1: each chunk is a block, and the blocks' contexts make the file. There is nothing to begin."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from vvos_core import Chunk, Hashed, Receipt, Stored

from .bodies import Crc32
from .hosts import Sender, decode
from .metadata import encode
from .target import Target, file_name


class _Block(Struct):
    ctx: str
    crc32: int = -1
    host: str = ""


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
msgspec.json.Decoder(_Block)


def put(sender: Sender, target: Target, chunk: Chunk, what: str) -> Receipt:
    """Store a block; its proof is the context, and the host that later calls should go to."""
    hashed = Hashed(chunk, Crc32)
    headers = {**target.headers, "Content-Type": "application/octet-stream"}
    host, answer = sender.send("POST", target.hosts, f"/mkblk/{len(chunk)}", headers=headers, body=hashed, what=what)
    if answer.status != 200:
        raise target.refused(answer, what)
    seen = hashed.hasher
    block: _Block = decode(answer.body, _Block, what, target.grant.key)
    if block.crc32 not in (-1, seen.crc32):
        raise target.mismatch(what)
    return Receipt(
        number=chunk.number,
        size=len(chunk),
        proof=f"{block.ctx} {_as_safe(block.host, host)}".strip(),
        checksum=seen.checksum,
    )


def complete(sender: Sender, target: Target, receipts: Sequence[Receipt], checksum: str, what: str) -> Stored:
    """Join the blocks; see ``vvos_core.hooks``."""
    grant = target.grant
    proofs = [receipt.proof.partition(" ") for receipt in receipts]
    said = {"key": grant.key, "mimeType": grant.type, "fname": file_name(grant), **encode(grant.metadata)}
    path = f"/mkfile/{grant.size}" + "".join(f"/{name}/{_encoded(value)}" for name, value in said.items())
    hosts = [host for _, _, host in proofs[-1:] if host]
    _, answer = sender.send(
        "POST",
        [*hosts, *target.hosts],
        path,
        headers={**target.headers, "Content-Type": "text/plain"},
        body=",".join(ctx for ctx, _, _ in proofs).encode(),
        what=what,
    )
    if answer.status != 200:
        raise target.refused(answer, what)
    return Stored(key=grant.key, size=grant.size, checksum=target.made(answer, what, checksum))


def _as_safe(answered: str, used: str) -> str:
    """The answered host, but never over http where https was used: the service names http in either case."""
    parts = urlsplit(answered if "://" in answered else f"//{answered}")
    if not parts.hostname or parts.scheme not in ("", "http", "https"):
        return ""
    return f"{urlsplit(used).scheme}://{parts.netloc}"


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()
