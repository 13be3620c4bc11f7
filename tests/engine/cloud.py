"""A provider in memory whose every call can be made to fail, before or after it acted."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pluggy

from vvos_core import errors, hookimpl
from vvos_core.builtin.crc32 import Crc32, text
from vvos_core.calls import Calls, Store
from vvos_core.hooks import PROJECT, Spec
from vvos_core.model import (
    Chunk,
    ExistsRequest,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Receipt,
    Rules,
    Stored,
    TokenRequest,
)
from vvos_core.plan import plan_chunks

Fault = Callable[[str, int], str]
"""Given the hook and its call's number, from 1: "" for no fault, "before" or "after" it acts, or an error's code."""


def no_fault(hook: str, count: int) -> str:
    return ""


class Nothing(msgspec.Struct):
    """No settings."""


class Cloud:
    """Objects and unfinished uploads, and the five hooks over them."""

    Settings: Any = Nothing
    rules = Rules(threshold=10, part_size=4, min_part=1, max_part=1000, max_parts=100, max_key=100)
    checksum = Crc32()

    def __init__(self, fault: Fault = no_fault, seal: bool = False, lifetime: float = 0.0) -> None:
        """``lifetime``: seconds of ``now`` that a grant is good for; 0 for ever."""
        self.lifetime = lifetime
        self.now = 0.0
        self.refused = 0
        """Calls with a grant that was over."""
        self.fault = fault
        self.seal = seal
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.counts: Counter[str] = Counter()
        self.notified: Counter[str] = Counter()
        self.generation = 0
        """Grants of an earlier generation are expired."""
        self._lock = threading.Lock()

    def _fails(self, hook: str, when: str) -> None:
        with self._lock:
            if when == "before":
                self.counts[hook] += 1
            fate = self.fault(hook, self.counts[hook])
        if fate == when:
            raise errors.Unavailable(f"the answer of {hook} was lost.")
        if when == "before" and fate not in ("", "before", "after"):
            raise errors.from_code(fate, f"{hook} said {fate}.")

    def _check(self, grant: Grant) -> None:
        late = self.lifetime and self.now >= grant.expires_at
        if late or grant.data["generation"] != self.generation:
            self.refused += 1
            raise errors.TokenExpired("expired.")

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | errors.VVOSError]:
        self._fails("token", "before")
        out: list[Grant | errors.VVOSError] = []
        for ask in request.files:
            if ask.key.startswith("forbidden"):
                out.append(errors.Denied("forbidden."))
                continue
            old = ask.renew
            if old is not None and (old.size, old.type) != (ask.size, ask.type):
                out.append(errors.Denied("the grant is for another size or type."))
                continue
            if old is not None and old.checksum and ask.checksum not in ("", old.checksum):
                out.append(errors.Denied("the grant is for another checksum."))
                continue
            cut = plan_chunks(ask.size, self.rules)
            upload_id = old.upload_id if old else f"{request.request_token}/{ask.key}"
            if cut.multipart and not old:
                self.uploads.setdefault(upload_id, {})
            out.append(
                Grant(
                    provider="cloud",
                    key=ask.key,
                    client_key=ask.client_key,
                    size=ask.size,
                    type=ask.type,
                    cover=request.cover,
                    expires_at=self.now + self.lifetime if self.lifetime else 0.0,
                    lifetime=self.lifetime,
                    multipart=cut.multipart,
                    part_size=cut.part_size,
                    upload_id=upload_id if cut.multipart else "",
                    checksum=ask.checksum or (old.checksum if old else ""),
                    seal=self.seal and cut.multipart,
                    data={"generation": self.generation},
                )
            )
        self._fails("token", "after")
        return out

    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | errors.VVOSError]:
        self._fails("exists", "before")
        return [self._found(grant, request.parts) for grant in request.grants]

    def _found(self, grant: Grant, parts: bool) -> Found:
        listed = None
        if parts and grant.multipart:
            listed = tuple(_receipt(number, data) for number, data in self.uploads.get(grant.upload_id, {}).items())
        data = self.objects.get(grant.key)
        if data is None:
            return Found(key=grant.key, exists=False, parts=listed)
        return Found(key=grant.key, exists=True, size=len(data), checksum=_sum(data), parts=listed)

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        self._fails("put_chunk", "before")
        self._check(grant)
        data = b"".join(bytes(block) for block in chunk)
        with self._lock:
            if not grant.multipart:
                if grant.key in self.objects and not grant.cover:
                    raise errors.Exists("taken.", key=grant.key)
                self.objects[grant.key] = data
            elif grant.upload_id not in self.uploads:
                raise errors.NotFound("no such upload.")
            else:
                self.uploads[grant.upload_id][chunk.number] = data
        self._fails("put_chunk", "after")
        return _receipt(chunk.number, data)

    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        self._fails("complete", "before")
        self._check(grant)
        if grant.multipart:
            with self._lock:
                if grant.upload_id not in self.uploads:
                    raise errors.NotFound("no such upload.")
                if grant.key in self.objects and not grant.cover:
                    raise errors.Exists("taken.", key=grant.key)
                stored = self.uploads[grant.upload_id]
                if any(_proof(receipt.number, stored.get(receipt.number)) != receipt.proof for receipt in receipts):
                    raise errors.NotFound("a part is not as it was stored.")
                parts = self.uploads.pop(grant.upload_id)
                self.objects[grant.key] = b"".join(parts[receipt.number] for receipt in receipts)
            if self.seal:
                assert grant.checksum == _sum(self.objects[grant.key])
        self._fails("complete", "after")
        data = self.objects[grant.key]
        return Stored(key=grant.key, size=len(data), checksum=_sum(data))

    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | errors.VVOSError]:
        self._fails("notify", "before")
        out: list[Notified | errors.VVOSError] = []
        for done in request.objects:
            data = self.objects.get(done.grant.key)
            if data is None or _sum(data) != done.checksum:
                out.append(errors.Mismatch("not what was read."))
            else:
                self.notified[done.grant.key] += 1
                out.append(Notified(key=done.grant.key, url=f"mem://{done.grant.key}"))
        self._fails("notify", "after")
        return out

    @hookimpl
    def abort(self, grant: Grant) -> None:
        self.counts["abort"] += 1
        if not grant.data:
            raise errors.Denied("nothing in it to abort with.")
        self.uploads.pop(grant.upload_id, None)


def _sum(data: bytes) -> str:
    return text(zlib.crc32(data))


def _proof(number: int, data: bytes | None) -> str:
    return "" if data is None else f"p{number}-{zlib.crc32(data):08x}"


def _receipt(number: int, data: bytes) -> Receipt:
    return Receipt(number=number, size=len(data), proof=_proof(number, data), checksum=_sum(data))


def calls_of(cloud: Cloud, *listeners: object, keep_existing: bool = False) -> Calls:
    """The typed face over a cloud, as the loader would build it."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    manager.register(cloud)
    for listener in listeners:
        manager.register(listener)
    manager.check_pending()
    return Calls("cloud", manager, cloud, lambda name: Store(name, manager, cloud), keep_existing)
