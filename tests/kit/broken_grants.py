"""Providers whose grants allow what was not granted; each has one mistake."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from vvos_core import (
    Ask,
    Chunk,
    Exists,
    Grant,
    Receipt,
    Stored,
    TokenRequest,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.folder import Folder

from .mistakes import Named, caught_by


@caught_by("test_an_expired_grant_puts_nothing[single]", "a minute after the grant expired: it was not refused")
class IgnoresExpiry(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant, expires_at=1e12), chunk)


@caught_by("test_an_expired_grant_completes_nothing", "complete a minute after the grant expired: it was not refused")
class CompletesAfterExpiry(Named):
    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        return super().complete(self.resigned(grant, expires_at=1e12), receipts)


@caught_by("test_a_grant_holds_until_it_expires", "put_chunk failed where it should not: TokenExpired")
class ExpiresTooEarly(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return [
            self.resigned(item, expires_at=request.issued_at + 60) if isinstance(item, Grant) else item
            for item in super().token(request)
        ]


@caught_by("test_a_grant_is_not_renewed_wider[size-single]", "answered a grant when a renewal asked for another size")
class RenewsWider(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        asks = tuple(replace(ask, renew=_widened(ask)) for ask in request.files)
        return super().token(replace(request, files=asks))


def _widened(ask: Ask) -> Grant | None:
    return ask.renew and replace(ask.renew, size=ask.size)


@caught_by("test_an_upload_goes_on_with_a_renewed_grant", "a renewed grant has upload_id")
class BeginsAnewWhenRenewing(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return super().token(replace(request, files=tuple(replace(ask, renew=None) for ask in request.files)))


@caught_by("test_a_grant_says_what_was_asked", "the grant has key")
class GrantsAnotherKey(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return [
            self.resigned(item, key=f"upload-{item.key}") if isinstance(item, Grant) else item
            for item in super().token(request)
        ]


@caught_by("test_a_grant_cannot_be_used_for_another_key[single]", "was used for another key: the object under")
class SignsNoKey(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant), chunk)


@caught_by("test_a_grant_cannot_be_used_for_a_larger_object[single]", "put an object of")
class AcceptsALargerSize(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant, size=max(grant.size, len(chunk))), chunk)


@caught_by("test_nothing_is_replaced_without_leave[single]", "of a key that is taken: it was not refused")
class ReplacesWithoutLeave(Named):
    """Has looked before it granted, and thinks that this is enough."""

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        answers: list[Grant | VVOSError] = []
        for item in super().token(request):
            taken = isinstance(item, Grant) and not item.cover and Folder(item.data["root"]).look(item.key)
            answers.append(Exists("it is taken.") if taken else item)
        return answers

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant, cover=True), chunk)


@caught_by("test_nothing_is_replaced_by_leaving_out_what_was_signed[single]", "was sent incomplete: the object under")
class TrustsTheClientsCover(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant) if grant.cover else grant, chunk)


@caught_by("test_a_grant_that_names_a_checksum_takes_no_other_bytes[single]", "a grant that names another checksum")
class IgnoresTheGrantedChecksum(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant, checksum=""), chunk)


@caught_by("test_a_bad_key_is_refused[two dots within]", "token answered a grant for the key 'a/../b.txt'")
class SignsTwoDots(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        answers = list(super().token(request))
        for place, ask in enumerate(request.files):
            if ".." in ask.key:
                (grant,) = super().token(replace(request, files=(replace(ask, key="a"),)))
                answers[place] = self.resigned(grant, key=ask.key) if isinstance(grant, Grant) else grant
        return answers


@caught_by("test_metadata_are_kept_or_refused[single]", "which the provider declares that it cannot keep")
class LosesMetadata(Named):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        return super().token(replace(request, files=tuple(replace(ask, metadata={}) for ask in request.files)))
