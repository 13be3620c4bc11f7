"""Providers with one realistic mistake each, to show that the kit catches it. Made from the reference provider."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, TypeVar

from msgspec.structs import replace

from vvos_core import (
    Ask,
    BadInput,
    Chunk,
    Exists,
    ExistsRequest,
    Found,
    Grant,
    NotFound,
    Notified,
    NotifyRequest,
    Receipt,
    Rules,
    Stored,
    TokenExpired,
    TokenRequest,
    Unavailable,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import Directory, DirectorySettings
from vvos_core.builtin.folder import Folder
from vvos_core.model import Finished

_FOUR = threading.Barrier(4)


class Mistake(NamedTuple):
    """A broken provider, the case of the kit that is meant for it, and what of its message tells the author."""

    provider: type[Any]
    case: str
    words: str


MISTAKES: dict[str, Mistake] = {}
T = TypeVar("T", bound=type[Any])


def caught_by(case: str, words: str) -> Callable[[T], T]:
    def note(cls: T) -> T:
        MISTAKES[cls.__name__] = Mistake(cls, case, words)
        return cls

    return note


class Named(Directory):
    """The reference provider under the name of its class: what all of these are but for their mistake."""

    @classmethod
    def word(cls) -> str:
        return cls.__name__.lower()

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        renamed = [
            replace(ask, renew=replace(ask.renew, provider="directory")) if ask.renew else ask for ask in request.files
        ]
        answers = super().token(replace(request, files=tuple(renamed)))
        return [replace(item, provider=self.word()) if isinstance(item, Grant) else item for item in answers]

    def resigned(self, grant: Grant, **changes: Any) -> Grant:
        """The grant as if it had been given so: what a service that does not check would take it for."""
        changed = replace(grant, **changes)
        root = changed.data["root"]
        return replace(changed, data={"root": root, "signature": Folder(root).sign(changed)})


class Right(Named):
    """No mistake. That it passes shows that the others fail for theirs."""


# ── bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Bytes:
    """A chunk of these bytes."""

    def __init__(self, number: int, offset: int, data: bytes) -> None:
        self.number, self.offset, self.data = number, offset, data

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Any:
        yield memoryview(self.data)


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


# ── forms ────────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── grants ───────────────────────────────────────────────────────────────────────────────────────────────────────────


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


# ── again, in between, too late ──────────────────────────────────────────────────────────────────────────────────────


@caught_by("test_receipts_carry_the_checksum_of_what_was_read", "have no checksum to combine")
class ForgetsTheChecksum(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return replace(super().put_chunk(grant, chunk), checksum="")


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
            replace(item, parts=tuple(replace(part, proof="?", checksum="") for part in item.parts))
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


# ── errors, notify, packaging ────────────────────────────────────────────────────────────────────────────────────────


@caught_by("test_an_expired_grant_puts_nothing[single]", "what a grant carries (grant.data) can be read in an error")
class LeaksInAnError(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except TokenExpired as error:
            raise TokenExpired(f"{error} It was {dict(grant.data)}.") from error


@caught_by("test_an_expired_grant_puts_nothing[single]", "can be read in an error")
class LeaksInTheCause(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except TokenExpired as error:
            raise TokenExpired("it has expired.") from OSError(f"PUT …?signature={grant.data['signature']}: {error}")


@caught_by("test_an_expired_grant_puts_nothing[single]", "and TokenExpired was expected")
class CallsExpiryAnOutage(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except TokenExpired as error:
            raise Unavailable("the service did not do it.") from error


@caught_by("test_a_cancelled_chunk_is_cancelled", "and Cancelled was expected")
class SwallowsTheChunksErrors(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except VVOSError as error:
            raise Unavailable("storing failed.") from error


@caught_by("test_every_size_arrives[one byte]", "put_chunk with OSError, which is no VVOS error")
class LetsForeignErrorsOut(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> NoReturn:
        raise OSError("connection reset")


@caught_by("test_an_object_that_is_not_there_is_not_found", "for an object that nobody put")
class BelievesTheClient(Named):
    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        return [Notified(key=done.grant.key, url=f"file:///{done.grant.key}") for done in request.objects]


@caught_by("test_an_object_of_other_bytes_is_a_mismatch", "with another checksum than the client read")
class ComparesOnlySizes(Named):
    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        return super().notify(replace(request, objects=tuple(map(_unsummed, request.objects))))


def _unsummed(done: Finished) -> Finished:
    return replace(done, checksum="", grant=replace(done.grant, checksum=""))


@caught_by("test_importing_the_plugin_does_not_import_its_sdk", "making it without settings, imports kit_sdk")
class ImportsItsSdk(Named):
    def __init__(self, settings: DirectorySettings | None) -> None:
        import kit_sdk  # type: ignore[import-not-found]  # noqa: F401  # beside this module when it is run

        super().__init__(settings)


@caught_by("test_storing_needs_no_sdk", "No module named 'kit_sdk'")
class StoresWithItsSdk(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        import kit_sdk  # noqa: F401  # as above

        return super().put_chunk(grant, chunk)


@caught_by("test_without_settings_it_says_that_it_can_only_store", "failed with AttributeError")
class CrashesWithoutSettings(Named):
    def _granting(self) -> DirectorySettings:
        return self._settings  # type: ignore[return-value]  # the mistake


@caught_by("test_one_entry_point_has_the_name", "2 packages offer the provider")
class IsOfferedTwice(Named):
    pass


@caught_by("test_of_two_at_once_one_wins", "succeeded")
class LooksBeforeItWrites(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        data = b"".join(chunk)
        taken = Folder(grant.data["root"]).look(grant.key) is not None
        _FOUR.wait(timeout=10)
        if taken and not grant.cover:
            raise Exists("it is taken.")
        return super().put_chunk(self.resigned(grant, cover=True), Bytes(chunk.number, chunk.offset, data))
