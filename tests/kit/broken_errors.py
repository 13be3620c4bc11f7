"""Providers whose errors, verdicts or packaging are wrong; each has one mistake."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NoReturn

from msgspec.structs import replace

from vvos_core import (
    Chunk,
    Exists,
    Grant,
    Mismatch,
    Notified,
    NotifyRequest,
    Receipt,
    TokenExpired,
    Unavailable,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import DirectorySettings
from vvos_core.builtin.folder import Folder
from vvos_core.model import Finished

from .mistakes import Bytes, Named, caught_by

_FOUR = threading.Barrier(4)


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


@caught_by("test_an_object_of_another_size_is_a_mismatch", "a byte shorter than was granted")
class IgnoresTheGrantedSize(Named):
    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        told = tuple(replace(done, grant=replace(done.grant, size=done.size)) for done in request.objects)
        return super().notify(replace(request, objects=told))


@caught_by("test_an_object_of_another_size_is_a_mismatch", "a byte shorter than the client read")
class ComparesOnlyChecksums(Named):
    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        folder = Folder(self._granting().root)
        verdicts: list[Notified | VVOSError] = []
        for done in request.objects:
            found = folder.look(done.grant.key)
            right = found is not None and {done.checksum, done.grant.checksum} <= {"", found.checksum}
            verdicts.append(Notified(key=done.grant.key, url="file:///a") if right else Mismatch("it is another."))
        return verdicts


@caught_by("test_an_altered_grant_is_denied_and_not_shown", "none was Denied")
class ChecksNoSignature(Named):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        return super().put_chunk(self.resigned(grant), chunk)


@caught_by("test_an_unknown_setting_is_refused", "or a dataclass, not <class 'dict'>")
class HasSettingsOfNoForm(Named):
    Settings = dict  # type: ignore[assignment]  # the mistake


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
