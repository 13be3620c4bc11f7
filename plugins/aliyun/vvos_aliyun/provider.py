"""The provider's hooks: granting with the profile's keys, storing with a grant alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vvos_core import (
    MIB,
    Checksum,
    Chunk,
    DiagnoseRequest,
    Diagnosis,
    ExistsRequest,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    PluginError,
    Receipt,
    Rules,
    Stored,
    TokenRequest,
    Unfinished,
    VVOSError,
    hookimpl,
)

from .checksum import Crc64
from .putter import Putter
from .settings import Settings as Bucket, rules

if TYPE_CHECKING:
    from .granter import Granter


class Aliyun:
    """Aliyun OSS, with settings for the side that grants, without for the side that only puts."""

    Settings: type[Bucket] = Bucket
    rules: Rules = rules(threshold=4 * MIB, part_size=4 * MIB)
    checksum: Checksum = Crc64()

    def __init__(self, settings: Bucket | None) -> None:
        self._putter = Putter()
        self._granter: Granter | None = None
        if settings is not None:
            from .granter import Granter

            self.rules = settings.rules
            self._granter = Granter(settings)

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return self._granting().token(request)

    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        return self._granting().exists(request)

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return self._putter.put_chunk(grant, chunk)

    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        return self._putter.complete(grant, receipts, self.checksum.combine(receipts))

    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        return self._granting().notify(request)

    @hookimpl
    def abort(self, grant: Grant) -> None:
        if self._granter is not None:
            self._granter.abort(grant)
        else:
            self._putter.abort(grant)

    @hookimpl
    def unfinished(self, key: str) -> Sequence[Unfinished]:
        return self._granting().unfinished(key)

    @hookimpl
    def diagnose(self, request: DiagnoseRequest) -> Diagnosis:
        return self._granting().diagnose(request)

    def _granting(self) -> Granter:
        if self._granter is None:
            raise PluginError("the provider aliyun was made without settings, so it can only store; give it a profile.")
        return self._granter
