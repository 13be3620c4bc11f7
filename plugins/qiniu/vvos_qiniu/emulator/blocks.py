"""Resumable upload v1: blocks of 4 MiB, made of chunks (``mkblk``, ``bput``) and joined by ``mkfile``."""

from __future__ import annotations

import base64
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ..checksum import BLOCK, QetagHasher, combined, digest_of
from . import errors
from .blobs import Blob, BlobStore, read
from .coding import decoded
from .finish import Arrived, Finish
from .messages import Request, Response, answer
from .policy import Policy

LIFE = 7 * 24 * 3600
"""Seconds that a ctx is good for."""


@dataclass(frozen=True)
class _Block:
    """A block, as far as it came: its promised size, and its chunks."""

    number: str
    size: int
    chunks: tuple[Blob, ...]
    expires_at: int

    @property
    def offset(self) -> int:
        return sum(chunk.size for chunk in self.chunks)


class Blocks:
    """Answers v1 calls; one per emulator."""

    def __init__(self, blobs: BlobStore, finish: Finish, clock: Callable[[], float]) -> None:
        self.host = ""
        """What a ctx says that later calls should go to; empty: where it was asked for."""
        self._blobs = blobs
        self._finish = finish
        self._clock = clock
        self._lock = threading.Lock()
        self._by_ctx: dict[str, _Block] = {}

    def reset(self) -> None:
        with self._lock:
            self._by_ctx.clear()

    def mkblk(self, request: Request, size: str) -> Response:
        total = _number(size)
        if not 0 < total <= BLOCK:
            raise errors.invalid("invalid block size")  # [?] the text
        chunk = self._blobs.take(
            request.body.read, total, lambda: errors.invalid("content length is larger than block")
        )
        number = secrets.token_hex(8)
        return self._keep(request, _Block(number, total, (chunk,), int(self._clock()) + LIFE))

    def bput(self, request: Request, ctx: str, offset: str) -> Response:
        block = self._find(ctx)
        if _number(offset) != block.offset:
            raise errors.bad_ctx()
        room = block.size - block.offset
        chunk = self._blobs.take(request.body.read, room, lambda: errors.invalid("content length is larger than block"))
        with self._lock:
            if self._by_ctx.pop(ctx, None) is None:  # another bput was faster
                raise errors.bad_ctx()
        return self._keep(request, _Block(block.number, block.size, (*block.chunks, chunk), block.expires_at))

    def mkfile(self, request: Request, policy: Policy, size: str, rest: list[str]) -> tuple[str, Response]:
        if len(rest) % 2:
            raise errors.invalid("invalid mkfile arguments")  # [?] the text
        said = {name: decoded(value) for name, value in zip(rest[::2], rest[1::2], strict=True)}
        total = _number(size)
        text = request.whole_body().decode("latin-1")
        blocks = [self._find(ctx) for ctx in text.split(",")] if text else []
        for block in blocks:
            if block.offset != block.size:
                raise errors.bad_ctx()
        if any(block.size != BLOCK for block in blocks[:-1]) or sum(block.size for block in blocks) != total:
            raise errors.invalid("file size doesn't match with blocks")  # [?] the text
        key, response = self._finish(
            policy,
            Arrived(
                key=said.get("key"),
                blobs=tuple(chunk for block in blocks for chunk in block.chunks),
                etag=self._etag(blocks),
                mime=said.get("mimeType", ""),
                fname=said.get("fname", ""),
                variables={name: value for name, value in said.items() if name.startswith(("x:", "x-qn-meta-"))},
                by_blocks=True,
            ),
        )
        return key, response

    def _etag(self, blocks: list[_Block]) -> str:
        if not blocks:
            return QetagHasher().etag()
        return combined([block.size for block in blocks], [digest_of(_hash(block)) for block in blocks])

    def _keep(self, request: Request, block: _Block) -> Response:
        ctx = secrets.token_urlsafe(48)
        with self._lock:
            now = self._clock()
            self._by_ctx = {name: kept for name, kept in self._by_ctx.items() if kept.expires_at > now}
            self._by_ctx[ctx] = block
        return answer(
            {
                "ctx": ctx,
                "checksum": base64.urlsafe_b64encode(digest_of(_hash(block))).decode(),
                "crc32": block.chunks[-1].crc32,
                "offset": block.offset,
                "host": self.host or request.origin,
                "expired_at": block.expires_at,
            }
        )

    def _find(self, ctx: str) -> _Block:
        with self._lock:
            block = self._by_ctx.get(ctx)
        if block is None or block.expires_at <= self._clock():
            raise errors.bad_ctx()
        return block


def _hash(block: _Block) -> str:
    if len(block.chunks) == 1:
        return block.chunks[0].etag
    hasher = QetagHasher()
    for piece in read(block.chunks, 0, block.offset):
        hasher.update(memoryview(piece))
    return hasher.etag()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise errors.invalid("invalid number")
    return int(text)
