"""A provider, both halves, with its service: what a test needs to grant, put, look, and count calls to the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from vvos_core.calls import Calls, Store
from vvos_core.errors import VVOSError
from vvos_core.loader import load, storing
from vvos_core.model import MIB, Ask, ExistsRequest, Found, Grant, Plan, Receipt, Stored, TokenRequest
from vvos_core.profile import Profile
from vvos_core.testing.doubles import Piece

CLOUDS = ("aliyun", "qiniu", "s3")
SMALL = 5
BIG = 5 * MIB + 10
"""Bytes: two parts wherever there are parts; S3 takes no smaller one before the last."""
SIZES: dict[str, dict[str, int]] = {
    name: {"threshold": 5 * MIB, "part_size": 5 * MIB} for name in (*CLOUDS, "directory")
}


class Place(msgspec.Struct):
    """One provider and its service."""

    name: str
    profile: Profile
    calls: Calls
    store: Store
    now: Callable[[], float]
    """Seconds since 1970, UTC, as the service has it."""
    asked: Callable[[], int]
    """How many requests the service has answered."""
    emulator: Any = None
    root: Path = Path()

    def ask(
        self, key: str, size: int = SMALL, *, cover: bool = False, seconds: float = 600, **more: Any
    ) -> Grant | VVOSError:
        """A new grant, or a renewed one (``renew``), or why there is none."""
        ask = Ask(**{"client_key": key, "key": key, "size": size, **more})
        now = self.now()
        (answer,) = self.calls.token(
            TokenRequest(files=(ask,), request_token="e30.e30.x", issued_at=now, expires_at=now + seconds, cover=cover)
        )
        return answer

    def grant(self, key: str, size: int = SMALL, *, cover: bool = False, **more: Any) -> Grant:
        answer = self.ask(key, size, cover=cover, **more)
        assert isinstance(answer, Grant), answer
        return answer

    def sealed(self, grant: Grant, receipts: Sequence[Receipt]) -> Grant:
        """The grant that completes: renewed with the object's checksum where the provider wants that."""
        if not grant.seal:
            return grant
        known = self.store.checksum.combine(receipts)
        return self.grant(
            grant.key,
            grant.size,
            cover=grant.cover,
            client_key=grant.client_key,
            type=grant.type,
            checksum=known,
            renew=replace(grant, data={}),
        )

    def pieces(self, grant: Grant, data: bytes) -> list[Piece]:
        plan = Plan(size=len(data), multipart=grant.multipart, part_size=grant.part_size)
        spans = [(number, *plan.span(number)) for number in range(1, plan.count + 1)]
        return [Piece(data[offset : offset + length], number, offset) for number, offset, length in spans]

    def put(self, grant: Grant, data: bytes) -> list[Receipt]:
        return [self.store.put_chunk(grant, piece) for piece in self.pieces(grant, data)]

    def upload(self, key: str, data: bytes, **more: Any) -> tuple[Grant, Stored]:
        """A whole upload, as the engine does it."""
        grant = self.grant(key, len(data), **more)
        receipts = self.put(grant, data)
        grant = self.sealed(grant, receipts)
        return grant, self.store.complete(grant, receipts)

    def found(self, grant: Grant, *, parts: bool = False) -> Found:
        (answer,) = self.calls.exists(ExistsRequest(grants=(replace(grant, data={}),), parts=parts))
        assert isinstance(answer, Found), answer
        return answer

    def read(self, key: str) -> bytes:
        if self.emulator is None:
            return (self.root / key).read_bytes()
        return b"".join(self.emulator.read(key))


def cloud_place(name: str, emulator: Any, **changes: Any) -> Place:
    """A cloud's provider over its emulator; ``changes`` are settings."""
    settings = {**emulator.profile(), **SIZES[name], **changes}
    profile = Profile(name=name, provider=settings.pop("provider"), settings=settings)
    return Place(
        name=name,
        profile=profile,
        calls=load(profile),
        store=storing(name),
        now=lambda: float(emulator.clock()),
        asked=lambda: len(emulator.requests),
        emulator=emulator,
    )


def directory_place(folder: Path) -> Place:
    """The plain directory in a folder."""
    from vvos_core.builtin.folder import Folder

    root = folder / "根"
    root.mkdir()
    profile = Profile(name="directory", provider="directory", settings={"root": str(root), **SIZES["directory"]})
    return Place(
        name="directory",
        profile=profile,
        calls=load(profile),
        store=storing("directory"),
        now=lambda: Folder.clock(),
        asked=lambda: sum(1 for _ in root.rglob("*")),
        root=root,
    )
