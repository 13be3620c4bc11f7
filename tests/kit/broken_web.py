"""Providers and services with one mistake on the wire each; see `mistakes`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from msgspec.structs import replace

from vvos_core import (
    BadAnswer,
    Chunk,
    Denied,
    ExistsRequest,
    Found,
    Grant,
    Receipt,
    Secret,
    Stored,
    TokenRequest,
    Unavailable,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import DirectorySettings
from vvos_core.http import Answer

from .mistakes import caught_by
from .web import SECRET, Web, WebSettings, mac

FLAWS = {
    "CopiesOnAnyHeader": ["copies"],
    "StoresHalfABody": ["half bodies"],
    "ChecksNoSecret": ["any secret"],
    "LeavesTheTypeToTheClient": ["any type"],
}
"""What is wrong with the service of a provider that is right itself."""


@caught_by("test_an_added_header_does_not_make_a_copy", "that asks for a copy: the object under")
class CopiesOnAnyHeader(Web):
    pass


@caught_by("test_a_connection_that_breaks_half_way_leaves_nothing[single]", "half a chunk was stored")
class StoresHalfABody(Web):
    pass


@caught_by("test_wrong_secrets_are_refused_and_not_shown", "with other secrets than the service's own")
class ChecksNoSecret(Web):
    pass


@caught_by("test_a_grant_cannot_be_used_for_another_type[single]", "put an object of type text/html")
class LeavesTheTypeToTheClient(Web):
    """Its signature leaves the type out."""

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        signed = {"endpoint": grant.data["endpoint"], "mac": mac(SECRET, grant)}
        return super().put_chunk(replace(grant, data=signed), chunk)


@caught_by("test_the_type_is_kept[single]", "the object has the type 'application/octet-stream'")
class ForgetsTheType(Web):
    def signed(self, grant: Grant) -> Grant:
        plain = replace(grant, type="application/octet-stream")
        return replace(plain, data={**super().signed(plain).data, "type": grant.type})


@caught_by("test_metadata_are_kept_or_refused[multipart]", "the object has the metadata {}")
class LosesMetadataOfParts(Web):
    def signed(self, grant: Grant) -> Grant:
        return super().signed(replace(grant, metadata={}) if grant.multipart else grant)


@caught_by("test_a_service_that_fails_is_asked_again[503]", "and Unavailable was expected")
class CallsA503Final(Web):
    def translated(self, answer: Answer) -> VVOSError:
        return BadAnswer("the service failed.") if answer.status == 503 else super().translated(answer)


@caught_by("test_a_service_that_says_no_is_not_asked_again", "and Denied was expected")
class AsksAgainAfterANo(Web):
    def translated(self, answer: Answer) -> VVOSError:
        return Unavailable("the service did not do it.") if answer.status == 403 else super().translated(answer)


@caught_by("test_a_put_whose_answer_is_lost_is_put_again[single]", "put_chunk whose answer is lost: it was not refused")
class TakesALostAnswerForAYes(Web):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        try:
            return super().put_chunk(grant, chunk)
        except Unavailable:
            return Receipt(number=chunk.number, size=len(chunk), proof="?")


@caught_by("test_a_complete_whose_answer_is_lost_is_completed_again", "and Unavailable was expected")
class GivesUpWhenAnAnswerIsLost(Web):
    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        try:
            return super().complete(grant, receipts)
        except Unavailable as error:
            raise Denied("the service hung up.") from error


@caught_by("test_a_service_that_cannot_be_reached_is_unavailable", "exists answered Found(")
class FindsNothingInAnOutage(Web):
    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        try:
            return super().exists(request)
        except Unavailable:
            return [Found(key=grant.key, exists=False) for grant in request.grants]


@caught_by("test_nothing_shows_itself_with_its_secrets", "the setting secret can be read in the repr of the settings")
class DeclaresItsSecretAsText(Web):
    class Settings(WebSettings, frozen=True, kw_only=True):
        secret: str  # type: ignore[assignment]  # the mistake

    def __init__(self, settings: DirectorySettings | None) -> None:
        super().__init__(settings)
        self._secret = Secret(str(self._secret))


@caught_by("test_every_size_arrives[one byte]", "can be read in a log record")
class LogsItsGrants(Web):
    @hookimpl
    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        logging.getLogger("broken").warning("putting with %s", dict(grant.data))
        return super().put_chunk(grant, chunk)


@caught_by("test_wrong_secrets_are_refused_and_not_shown", "the setting secret can be read in an error")
class ShowsItsSecretInAnError(Web):
    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        if self._secret.reveal() != SECRET:
            raise Denied(f"the service does not know {self._secret.reveal()}.")
        return super().token(request)
