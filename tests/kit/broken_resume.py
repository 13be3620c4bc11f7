"""Providers with which an upload that was broken off does not go on; each has one mistake."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from vvos_core import (
    BadAnswer,
    Chunk,
    Denied,
    ExistsRequest,
    Found,
    Grant,
    NotFound,
    Plan,
    Receipt,
    Stored,
    TokenRequest,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import DirectorySettings
from vvos_core.builtin.folder import Folder

from .mistakes import Named, caught_by

RECEIPTS = "test_the_parts_that_are_listed_are_the_receipts"
FORGOTTEN = "test_an_upload_that_was_forgotten_is_begun_again"
Parts = tuple[Receipt, ...]


class Lister(Named):
    """Lists what ``told`` makes of the stored parts; None where they were not asked for."""

    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        return parts

    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        answers = zip(request.grants, super().exists(request), strict=True)
        return [
            replace(item, parts=self.told(grant, item.parts, item.exists)) if isinstance(item, Found) else item
            for grant, item in answers
        ]


def _each(parts: Parts | None, change: Callable[[Receipt], Receipt]) -> Parts | None:
    return parts if parts is None else tuple(change(part) for part in parts)


@caught_by(RECEIPTS, "stored are [(1,")
class QuotesWhatItLists(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        return _each(parts, lambda part: replace(part, proof=f'"{part.proof}"'))


@caught_by(RECEIPTS, "read were bytes of crc32:")
class ListsChecksumsOfAnotherForm(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        return _each(parts, lambda part: replace(part, checksum=part.checksum + "="))


@caught_by(RECEIPTS, "exists says nothing of the parts of")
class SaysNothingOfParts(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> None:
        return None


@caught_by("test_parts_are_listed_also_over_an_object", "exists lists the parts [] of an upload that may replace")
class SeesOnlyTheObject(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        return () if parts and exists else parts


@caught_by("test_the_parts_of_another_upload_are_never_listed", "only begun, beside another one of the same key")
class ListsByTheKey(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        folder = Folder(self._granting().root)
        uploads = os.listdir(os.path.join(self._granting().root, ".vvos", "uploads"))
        found = [part for name in uploads for part in folder.parts(replace(grant, upload_id=name))]
        return None if parts is None else tuple(sorted(found, key=lambda part: part.number))


@caught_by(
    "test_nothing_is_said_of_parts_where_there_is_nothing_to_say",
    "exists answers parts=() for an upload, its parts not",
)
class TakesSilenceForNone(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        return parts or () if grant.multipart else None


@caught_by("test_nothing_is_said_of_parts_where_there_is_nothing_to_say", "parts=() for a grant that is not multipart")
class ListsPartsOfAWhole(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        return parts or () if not grant.multipart else parts


@caught_by("test_a_part_beyond_the_plan_is_listed_and_harms_nothing", "failed in exists with ValueError")
class KnowsOnlyItsPlan(Lister):
    def told(self, grant: Grant, parts: Parts | None, exists: bool) -> Parts | None:
        plan = Plan(size=grant.size, multipart=grant.multipart, part_size=grant.part_size)
        return _each(parts, lambda part: replace(part, size=plan.span(part.number)[1]))


@caught_by("test_a_renewed_grant_goes_on_with_the_same_parts", "exists lists the parts [] by a renewed grant")
class EmptiesWhatItRenews(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        for ask in request.files:
            if ask.renew and ask.renew.upload_id:
                folder = os.path.join(self._granting().root, ".vvos", "uploads", ask.renew.upload_id)
                for name in os.listdir(folder):
                    os.remove(os.path.join(folder, name))
        return super().token(request)


@caught_by("test_an_upload_is_completed_after_a_restart", "complete failed where it should not: NotFound")
class RemembersItsPartsInMemory(Named):
    def __init__(self, settings: DirectorySettings | None) -> None:
        super().__init__(settings)
        self.put: set[str] = set()

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        receipt = super().put_chunk(grant, chunk)
        self.put.add(receipt.proof)
        return receipt

    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        if any(receipt.proof not in self.put for receipt in receipts):
            raise NotFound("this part was never put.")
        return super().complete(grant, receipts)


@caught_by("test_nothing_of_an_upload_is_left_after_abort[the broker]", "failed in abort with KeyError")
class AbortsFromData(Named):
    @hookimpl
    def abort(self, grant: Grant) -> None:
        Folder(grant.data["root"]).abort(grant)


@caught_by("test_nothing_of_an_upload_is_left_after_abort[a sweep]", "exists still finds")
class AbortsOnlyWholeGrants(Named):
    @hookimpl
    def abort(self, grant: Grant) -> None:
        if grant.multipart:
            super().abort(grant)


@caught_by("test_nothing_of_an_upload_is_left_after_abort[the client, renewed]", "exists still finds")
class AbortsOnlyWithTheFirstGrant(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        answers = zip(request.files, super().token(request), strict=True)
        return [
            replace(item, data={**item.data, "first": ask.renew is None}) if isinstance(item, Grant) else item
            for ask, item in answers
        ]

    @hookimpl
    def abort(self, grant: Grant) -> None:
        if grant.data.get("first", True):
            super().abort(grant)


@caught_by(FORGOTTEN, "put_chunk: it failed with Denied")
class DeniesWhatIsGone(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except NotFound:
            raise Denied("this upload is not known.") from None


@caught_by(FORGOTTEN, "complete: it failed with BadAnswer")
class DoesNotUnderstandWhatIsGone(Named):
    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        try:
            return super().complete(grant, receipts)
        except NotFound:
            raise BadAnswer("the service answered HTTP 404.") from None


@caught_by(FORGOTTEN, "token answered Denied")
class RenewsOnlyWhatIsThere(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        uploads = os.path.join(self._granting().root, ".vvos", "uploads")
        gone = [
            bool(ask.renew and ask.renew.multipart and not os.path.exists(os.path.join(uploads, ask.renew.upload_id)))
            for ask in request.files
        ]
        answers = zip(gone, super().token(request), strict=True)
        return [Denied("there is nothing to renew.") if lost else item for lost, item in answers]
