"""Providers that fail when a hook is called again, in between or too late; each has one mistake."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from vvos_core import (
    BadInput,
    Chunk,
    Denied,
    Exists,
    ExistsRequest,
    Found,
    Grant,
    NotFound,
    Receipt,
    Rules,
    Stored,
    TokenRequest,
    Unfinished,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import DirectorySettings
from vvos_core.builtin.folder import OWN, Folder

from .mistakes import Bytes, Named, caught_by

_FIVE = threading.Barrier(5)


@caught_by("test_receipts_carry_the_checksum_of_what_was_read", "have no checksum to combine")
class ForgetsTheChecksum(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return replace(super().put_chunk(grant, chunk), checksum="")


@caught_by("test_unfinished_uploads_are_listed_by_their_key", "a prefix is not enough")
class ListsEveryUpload(Named):
    @hookimpl
    def unfinished(self, key: str) -> Sequence[Unfinished]:
        uploads = Path(self._granting().root, OWN, "uploads")
        return [Unfinished(upload_id=name, begun_at=0.0) for name in os.listdir(uploads)]


@caught_by("test_complete_twice_is_harmless", "called again because its answer was lost, failed with BadInput")
class CompletesOnlyOnce(Named):
    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        if grant.multipart and not Folder(grant.data["root"]).parts(grant):
            raise BadInput("this upload is unknown.")
        return super().complete(grant, receipts)


@caught_by("test_nothing_is_made_of_parts_that_are_missing", "it was not refused")
class MakesUpMissingParts(Named):
    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        try:
            return super().complete(grant, receipts)
        except NotFound:
            return Stored(key=grant.key, size=grant.size)


@caught_by("test_chunks_in_any_order_and_twice", "put_chunk failed where it should not: Exists")
class StoresAPartOnlyOnce(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        if any(part.number == chunk.number for part in Folder(grant.data["root"]).parts(grant)):
            raise Exists("this part is there.")
        return super().put_chunk(grant, chunk)


@caught_by("test_exists_before_during_and_after", "exists finds an object while its parts are being put")
class TakesAnUploadForAnObject(Named):
    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        return [
            replace(item, exists=True, size=0) if isinstance(item, Found) and item.parts else item
            for item in super().exists(request)
        ]


@caught_by("test_an_upload_goes_on_from_what_exists_lists", "complete failed where it should not: Mismatch")
class ListsPartsWithoutProof(Named):
    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        return [
            replace(item, parts=tuple(replace(part, proof="?", checksum="") for part in item.parts or ()))
            if isinstance(item, Found)
            else item
            for item in super().exists(request)
        ]


@caught_by("test_nothing_of_an_upload_is_left_after_abort[the client]", "exists still finds")
class AbortsNothing(Named):
    @hookimpl
    def abort(self, grant: Grant) -> None:
        return None


@caught_by("test_nothing_of_an_upload_is_left_after_abort[the broker]", "put_chunk after abort: it was not refused")
class StoresAfterAbort(Named):
    """Swallows the error of a service that does not know the upload any more."""

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except NotFound:
            return Receipt(number=chunk.number, size=len(chunk), proof="?")


@caught_by("test_a_grant_is_worth_nothing_after_completion[single]", "when it was completed: the object under")
class TakesItsOwnGrantForLeave(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        there = Folder(grant.data["root"]).look(grant.key)
        mine = there is not None and there.size == grant.size
        return super().put_chunk(self.resigned(grant, cover=True) if mine else grant, chunk)


@caught_by("test_an_object_is_replaced_where_that_was_granted[single]", "put_chunk failed where it should not: Exists")
class NeverReplaces(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant, cover=False), chunk)


@caught_by("test_the_same_single_put_twice_is_harmless", "called again because its answer was lost, failed with Denied")
class DeniesTheSecondPut(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except Exists:
            raise Denied("this grant was used.") from None


@caught_by("test_token_may_be_asked_again", "asked the same for time 2, answered Denied")
class GrantsOnlyOnce(Named):
    def __init__(self, settings: DirectorySettings | None) -> None:
        super().__init__(settings)
        self.known: set[str] = set()

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        if request.request_token in self.known:
            return [Denied("this request was answered.") for _ in request.files]
        self.known.add(request.request_token)
        return super().token(request)


@caught_by("test_the_last_that_was_put_counts", "complete failed where it should not: Mismatch")
class KeepsTheFirst(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        parts = Folder(grant.data["root"]).parts(grant)
        stored = next((part for part in parts if part.number == chunk.number), None)
        hasher = self.checksum.new()
        hasher.update(memoryview(b"".join(bytes(block) for block in chunk)))
        return replace(stored, checksum=hasher.value()) if stored else super().put_chunk(grant, chunk)


@caught_by("test_chunks_from_many_threads", "complete failed where it should not: Mismatch")
class KeepsStateBetweenItsCalls(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        hasher = self.checksum.new()
        self.data = b"".join(bytes(block) for block in chunk)
        hasher.update(memoryview(self.data))
        _FIVE.wait(timeout=10)
        data = self.data[: len(chunk)].ljust(len(chunk))
        return replace(super().put_chunk(grant, Bytes(chunk.number, chunk.offset, data)), checksum=hasher.value())


@caught_by("test_the_largest_number_of_parts_arrives", "put_chunk failed where it should not: BadInput")
class TakesOnePartLess(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        if chunk.number >= self.rules.max_parts:
            raise BadInput("the part's number is too large.")
        return super().put_chunk(grant, chunk)


@caught_by("test_the_largest_object_is_granted_and_none_above", "one more than the rules can hold")
class GrantsWhatIsTooLarge(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        most = self.rules.max_size
        fitting = replace(request, files=tuple(replace(ask, size=min(ask.size, most)) for ask in request.files))
        return super().token(fitting)


@caught_by("test_a_negative_size_is_refused", "token granted a size of -1")
class GrantsLessThanNothing(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return super().token(replace(request, files=tuple(replace(ask, size=abs(ask.size)) for ask in request.files)))


@caught_by("test_a_key_that_is_too_long_is_refused", "token answered a grant for the key")
class SignsLongKeys(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return super().token(replace(request, files=tuple(replace(ask, key=ask.key[:1024]) for ask in request.files)))


@caught_by("test_a_key_of_the_greatest_length_arrives", "token refused 10 bytes")
class CountsCharactersTwice(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return [
            BadInput("the key is too long.") if len(ask.key.encode()) > self.rules.max_key // 2 else answer
            for ask, answer in zip(request.files, super().token(request), strict=True)
        ]


@caught_by("test_every_plan_obeys_the_rules", "correct the rules: they contradict each other at this size")
class HasPartsThatCannotBe(Named):
    def __init__(self, settings: DirectorySettings | None) -> None:
        super().__init__(settings)
        self.rules: Rules = replace(self.rules, min_part=600, max_part=500)


@caught_by("test_the_client_uploads_and_uploads_again", "the client's upload failed")
class FindsWithoutItsChecksum(Named):
    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        return [replace(item, checksum="") if isinstance(item, Found) else item for item in super().exists(request)]
