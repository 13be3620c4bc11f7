"""Providers that get the bytes, or the form of an answer, wrong; each has one mistake."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from vvos_core import (
    BadInput,
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
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import DirectorySettings

from .mistakes import Bytes, Named, caught_by


@caught_by("test_every_size_arrives[one byte]", "has 0 bytes, expected were 1")
class DropsTheLastByte(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        receipt = super().put_chunk(grant, chunk)
        if not grant.multipart and len(chunk):
            os.truncate(Path(grant.data["root"], grant.key), len(chunk) - 1)
        return receipt


@caught_by("test_every_size_arrives[parts with a short last one]", "they differ from byte 0 on")
class ReordersTheParts(Named):
    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        stored = super().complete(grant, receipts)
        if grant.multipart:
            path, step = Path(grant.data["root"], grant.key), grant.part_size
            data = path.read_bytes()
            path.write_bytes(data[step : 2 * step] + data[:step] + data[2 * step :])
        return stored


@caught_by("test_every_size_arrives[nothing]", "put_chunk failed where it should not")
class RefusesTheEmptyFile(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        if not len(chunk):
            raise BadInput("an empty body.")
        return super().put_chunk(grant, chunk)


@caught_by("test_a_chinese_key_with_spaces_and_signs_arrives", "read(")
class QuotesTheKeyTwice(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant, key=grant.key.replace("%", "%25")), chunk)


@caught_by("test_every_size_arrives[threshold - 1]", "they differ from byte 0 on")
class KeepsTheBuffer(Named):
    """Collects the blocks before it joins them, and the source has filled the one buffer again meanwhile."""

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(grant, Bytes(chunk.number, chunk.offset, b"".join(list(chunk))))


@caught_by("test_a_source_that_changes_makes_no_object[cut short-single]", "it was not refused")
class PadsAShortSource(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        data = b"".join(chunk)[: len(chunk)].ljust(len(chunk), b"\0")
        return super().put_chunk(grant, Bytes(chunk.number, chunk.offset, data))


@caught_by("test_every_size_arrives[one byte]", "complete answered NoneType, the contract asks for Stored")
class ReturnsNone(Named):
    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        super().complete(grant, receipts)
        return None  # type: ignore[return-value]  # the mistake


@caught_by("test_every_size_arrives[one byte]", "exists answered bool, the contract asks for Found")
class AnswersABool(Named):
    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        return [True for _ in super().exists(request)]  # type: ignore[misc]  # the mistake


@caught_by("test_each_of_a_batch_gets_its_own_verdict", "notify answered 2 items for 3 asked")
class AnswersTooFew(Named):
    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        return [item for item in super().notify(request) if isinstance(item, Notified)]


@caught_by("test_a_batch_is_answered_in_order_and_one_bad_file_spoils_no_other", "token failed where it should not")
class RaisesForOneOfABatch(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        answers = super().token(request)
        for answer in answers:
            if isinstance(answer, VVOSError):
                raise answer
        return answers


@caught_by("test_every_size_arrives[one byte]", "receipt for chunk 0 of 1 bytes, asked for chunk 1 of 1")
class CountsFromZero(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return replace(super().put_chunk(grant, chunk), number=chunk.number - 1)


@caught_by("test_every_size_arrives[one byte]", "a grant that went through JSON is not the same")
class PutsBytesInAGrant(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return [
            replace(item, data={**item.data, "raw": b"\1\2"}) if isinstance(item, Grant) else item
            for item in super().token(request)
        ]


@caught_by("test_the_rules_fit_together", "part_size is less than min_part")
class HasRulesThatContradictThemselves(Named):
    def __init__(self, settings: DirectorySettings | None) -> None:
        super().__init__(settings)
        self.rules: Rules = replace(self.rules, min_part=self.rules.part_size + 1)


@caught_by("test_a_grant_is_cut_as_the_rules_say", "part_size=150")
class CutsByItsOwnRules(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return [
            self.resigned(item, part_size=item.part_size // 2) if isinstance(item, Grant) and item.multipart else item
            for item in super().token(request)
        ]
