"""A plain directory as a provider: it obeys the whole contract, and is the one to read before writing another.

It serves where the broker and its clients share a file system: a NAS, a shared volume, one machine, a test. The grant
names the folder and is signed by it (`folder.py`, which plays the storage service); the storing half, made without
settings, hands the grant on, and the service half acts on it or refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import quote

from msgspec import Meta, Struct
from msgspec.structs import replace

from ..errors import BadAnswer, BadInput, BadKey, PluginError, VVOSError
from ..grants import check_object, new_grant, renewed_grant
from ..hooks import hookimpl
from ..model import (
    GIB,
    MIB,
    Ask,
    Checksum,
    Chunk,
    DiagnoseRequest,
    Diagnosis,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Receipt,
    Rules,
    Stored,
    TokenRequest,
    Unfinished,
)
from .crc32 import Crc32
from .diagnosis import diagnose
from .folder import OWN, Folder

NAME = "directory"
"""The name of the entry point: what ``provider = …`` says, and what every grant carries."""
Item = TypeVar("Item")
Answer = TypeVar("Answer")


class DirectorySettings(Struct, frozen=True, kw_only=True):
    """``[profiles.NAME]`` of a profile whose provider is ``directory``. Raises ``ValueError`` for what cannot be."""

    root: Annotated[str, Meta(min_length=1)]
    """The folder, as a full path. It has to be there."""
    public_url: str = ""
    """What the urls of objects begin with, where a web server serves the folder; empty: ``file://`` urls."""
    threshold: Annotated[int, Meta(ge=0, le=GIB)] = 4 * MIB
    """Bytes of the largest object that is put in one piece."""
    part_size: Annotated[int, Meta(ge=1, le=GIB)] = 4 * MIB
    """Bytes of a part."""

    def __post_init__(self) -> None:
        if not Path(self.root).is_absolute():
            raise ValueError(f"root is {self.root!r}; write the folder's full path")
        if self.public_url and not self.public_url.startswith(("http://", "https://")):
            raise ValueError("public_url is no address of the form https://host[:port]/path")


def rules(threshold: int = 4 * MIB, part_size: int = 4 * MIB) -> Rules:
    """The multipart rules with these two sizes, in bytes. A folder of more files than that would be slow to list."""
    return Rules(threshold=threshold, part_size=part_size, min_part=1, max_part=4 * GIB, max_parts=1000, max_key=1024)


class Directory:
    """The hooks. Made with settings it grants, looks and verifies; made with ``None`` it stores what was granted."""

    Settings: type[DirectorySettings] = DirectorySettings
    rules: Rules = rules()
    checksum: Checksum = Crc32()

    def __init__(self, settings: DirectorySettings | None) -> None:
        self._settings = settings
        if settings is not None:
            self.rules = rules(settings.threshold, settings.part_size)

    # ── the side that grants: the broker, or a client with a profile of its own ──────────────────────────────────────

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        granting = self._granting()
        folder = Folder(granting.root)

        def grant(ask: Ask) -> Grant:
            if ask.renew is None:
                granted = self._new(ask, request, folder)
            else:
                end = request.expires_at
                granted = renewed_grant(ask, ask.renew, provider=NAME, cover=request.cover, expires_at=end)
            return replace(granted, data={"root": granting.root, "signature": folder.sign(granted)})

        return _each(grant, request.files)

    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        folder = Folder(self._granting().root)

        def look(grant: Grant) -> Found:
            found = _found(folder, grant.key)
            if request.parts and grant.multipart:
                return replace(found, parts=tuple(folder.parts(grant)))
            return found

        return _each(look, request.grants)

    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        granting = self._granting()
        folder = Folder(granting.root)

        def verify(done: Finished) -> Notified:
            key = done.grant.key
            check_object(done, _found(folder, key))
            if granting.public_url:
                return Notified(key=key, url=f"{granting.public_url.rstrip('/')}/{quote(key)}")
            return Notified(key=key, url=Path(granting.root, key).as_uri())

        return _each(verify, request.objects)

    @hookimpl
    def diagnose(self, request: DiagnoseRequest) -> Diagnosis:
        return diagnose(self._granting().root, request)

    # ── the side that stores: any client, from the grant alone ───────────────────────────────────────────────────────

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        checksum = _named(grant).put(grant, chunk)
        return Receipt(number=chunk.number, size=len(chunk), proof=checksum, checksum=checksum)

    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        if not grant.multipart:
            return Stored(key=grant.key, size=receipts[0].size, checksum=receipts[0].checksum)
        made = _named(grant).complete(grant, receipts, self.checksum.combine(receipts))
        return Stored(key=grant.key, size=made.size, checksum=made.checksum)

    @hookimpl
    def abort(self, grant: Grant) -> None:
        if self._settings is not None:
            Folder(self._settings.root).abort(grant)  # the broker's own: also when the grant's data are gone
        else:
            folder = _named(grant)
            folder.verify(grant)
            folder.abort(grant)

    @hookimpl
    def unfinished(self, key: str) -> Sequence[Unfinished]:
        return Folder(self._granting().root).unfinished(key)

    # ── what they share ──────────────────────────────────────────────────────────────────────────────────────────────

    def _granting(self) -> DirectorySettings:
        if self._settings is None:
            raise PluginError("the provider directory was made without settings, so it can only store.")
        return self._settings

    def _new(self, ask: Ask, request: TokenRequest, folder: Folder) -> Grant:
        if ask.key.split("/")[0].casefold() == OWN:
            raise BadKey(f"key {ask.key!r} leads into the folder's own {OWN}; choose another.", key=ask.key)
        if ask.metadata:
            raise BadInput(f"a plain folder keeps no metadata, and {ask.key!r} comes with some; leave them out.")
        grant = new_grant(
            ask,
            provider=NAME,
            rules=self.rules,
            cover=request.cover,
            expires_at=request.expires_at,
            checksum=ask.checksum,
        )
        return replace(grant, upload_id=folder.begin(ask.key)) if grant.multipart else grant


def _found(folder: Folder, key: str) -> Found:
    """What lies under ``key``."""
    there = folder.look(key)
    if there is None:
        return Found(key=key, exists=False)
    return Found(key=key, exists=True, size=there.size, checksum=there.checksum)


def _each(do: Callable[[Item], Answer], items: Sequence[Item]) -> list[Answer | VVOSError]:
    """``do`` for each item: its answer, or the error that it raised. One bad file spoils no batch."""
    answers: list[Answer | VVOSError] = []
    for item in items:
        try:
            answers.append(do(item))
        except VVOSError as error:
            answers.append(error)
    return answers


def _named(grant: Grant) -> Folder:
    """The folder that a grant names."""
    root = grant.data.get("root")
    if not isinstance(root, str):
        raise BadAnswer(f"the grant of {grant.key!r} is not one of this provider's; ask for another.", key=grant.key)
    return Folder(root)
