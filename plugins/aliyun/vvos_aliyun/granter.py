"""The half that grants: checks what is asked, signs it, and says of objects whether they are what was granted."""

from __future__ import annotations

import calendar
import time
from collections.abc import Callable

from msgspec.structs import replace

from vvos_core import (
    Ask,
    BadAnswer,
    BadInput,
    DiagnoseRequest,
    Diagnosis,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    Listed,
    Notified,
    NotifyRequest,
    TokenRequest,
    Unfinished,
    VVOSError,
    absent,
    check_object,
    new_grant,
    new_grants,
    proven,
    renewed_grant,
)

from . import checksum, grants, metadata
from .address import locate
from .diagnosis import diagnose
from .service import Service
from .settings import WEEK, Settings
from .sts import Credentials, Sts, is_pattern
from .v4 import Signer, Signing

NAME = "aliyun"
_REFUSED = "\\"
"""What no key may begin with."""


class Granter:
    """Grants and verifies with a profile's keys. Shared by threads.

    ``clock`` gives seconds since 1970, UTC; presigned urls of finished objects and lists of parts are dated by it.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._rules = settings.rules
        self._address = locate(settings)
        self._signer = Signer(settings.access_key, settings.secret_key, settings.region, settings.session_token)
        self._service = Service(settings, self._address, self._signer, clock)
        self._sts = Sts(settings) if settings.grant == "sts" else None
        self._clock = clock

    def token(self, request: TokenRequest) -> list[Grant | VVOSError]:
        """Grant or renew; see ``vvos_core.hooks``. Raises ``BadInput`` when nothing could be granted at all."""
        seconds = min(int(request.expires_at) - int(request.issued_at), WEEK)
        if seconds < 1:
            raise BadInput("the grants would expire before they are issued; ask for a later expires_at.")
        expires_at = min(request.expires_at, request.issued_at + WEEK)
        signing = self._signer.at(request.issued_at, seconds)

        def signed(grant: Grant) -> Grant:
            if self._sts is None or is_pattern(grant.key):
                return replace(grant, data=grants.write(grants.Writer(grant, signing, self._address).presigned()))
            return self._with_session(self._sts, grant, signing, request.issued_at, seconds)

        def draft(ask: Ask) -> Grant | VVOSError:
            return self._draft(ask, request.cover, expires_at)

        if any(ask.key.startswith(_REFUSED) for ask in request.files):
            answers = list(map(draft, request.files))
        else:
            answers = new_grants(request, draft, provider=NAME, rules=self._rules, expires_at=expires_at)
        fresh = [
            i for i, grant in enumerate(answers) if isinstance(grant, Grant) and grant.multipart and not grant.upload_id
        ]
        self._replace(answers, fresh, self._begin)
        if self._sts is not None:
            drafts = [i for i, grant in enumerate(answers) if isinstance(grant, Grant)]
            self._replace(answers, drafts, signed)
            return answers
        alone = [(i, grant) for i, grant in enumerate(answers) if isinstance(grant, Grant) and not grant.multipart]
        filled = grants.Puts(signing, self._address).fill([grant for _, grant in alone])
        for (index, _), grant in zip(alone, filled, strict=True):
            answers[index] = grant
        return [signed(answer) if isinstance(answer, Grant) and answer.multipart else answer for answer in answers]

    def exists(self, request: ExistsRequest) -> list[Found | VVOSError]:
        """What is there; see ``vvos_core.hooks``."""

        gone = absent([grant.key for grant in request.grants], self._service.page)

        def wants_parts(grant: Grant) -> bool:
            return request.parts and bool(grant.upload_id)

        def look(grant: Grant) -> Found:
            found = Found(key=grant.key, exists=False) if grant.key in gone else self._found(grant.key)
            return replace(found, parts=self._service.parts(grant)) if wants_parts(grant) else found

        open_ = [grant for grant in request.grants if grant.key not in gone or wants_parts(grant)]
        looked = iter(self._service.each(look, open_))
        return [
            Found(key=grant.key, exists=False) if grant.key in gone and not wants_parts(grant) else next(looked)
            for grant in request.grants
        ]

    def notify(self, request: NotifyRequest) -> list[Notified | VVOSError]:
        """Verify each object and answer its url; see ``vvos_core.hooks``."""
        shown = proven(request.objects, self._service.page, self._listed)
        looked = iter(self._service.each(self._verified, [d for d in request.objects if d.grant.key not in shown]))
        return [
            Notified(key=key, url=self._url(key), checksum=shown[key])
            if (key := done.grant.key) in shown
            else next(looked)
            for done in request.objects
        ]

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished multipart upload, with the profile's keys: also after the grant expired."""
        if grant.upload_id:
            self._service.abort(grant)

    def unfinished(self, key: str) -> list[Unfinished]:
        """The unfinished uploads of ``key``; see ``vvos_core.hooks``."""
        return self._service.unfinished(key)

    def diagnose(self, request: DiagnoseRequest) -> Diagnosis:
        """What is wrong with the service and the bucket; see ``vvos_core.hooks``."""
        return diagnose(self._settings, self._service, request)

    def _replace(self, answers: list[Grant | VVOSError], which: list[int], do: Callable[[Grant], Grant]) -> None:
        """Put in the place of some grants what ``do`` makes of them, several at once."""
        chosen = [grant for index in which if isinstance(grant := answers[index], Grant)]
        for index, answer in zip(which, self._service.each(do, chosen), strict=True):
            answers[index] = answer

    def _draft(self, ask: Ask, cover: bool, expires_at: float) -> Grant | VVOSError:
        """The grant without its requests, or why there is none."""
        try:
            if ask.renew is None:
                return self._new(ask, cover, expires_at)
            if ask.checksum:
                checksum.check(ask.checksum)
            return renewed_grant(ask, ask.renew, provider=NAME, cover=cover, expires_at=expires_at)
        except VVOSError as error:
            error.key = error.key or ask.key
            return error

    def _new(self, ask: Ask, cover: bool, expires_at: float) -> Grant:
        if ask.key.startswith(_REFUSED):
            raise BadInput(f"key {ask.key!r} begins with '\\', which OSS does not take; rename it.")
        if ask.metadata:
            metadata.headers(ask.metadata)
        wanted = ask.checksum and checksum.check(ask.checksum)
        return new_grant(ask, provider=NAME, rules=self._rules, cover=cover, expires_at=expires_at, checksum=wanted)

    def _begin(self, grant: Grant) -> Grant:
        return replace(grant, upload_id=self._service.begin(grant))

    def _with_session(self, sts: Sts, grant: Grant, signing: Signing, issued_at: float, seconds: int) -> Grant:
        credentials = sts.assume(grant.key, seconds, issued_at)
        expires_at = min(grant.expires_at, _expiration(credentials))
        session = grants.Session(
            access_key=credentials.AccessKeyId,
            secret_key=credentials.AccessKeySecret,
            token=credentials.SecurityToken,
            region=self._settings.region,
            issued_at=issued_at,
            seconds=max(1, min(seconds, int(expires_at - issued_at))),
            address=self._address,
            look=grants.Writer(grant, signing, self._address).look() if grant.multipart else None,
        )
        return replace(grant, expires_at=expires_at, data=grants.write(session))

    def _verified(self, done: Finished) -> Notified:
        key = done.grant.key
        found = self._found(key)
        check_object(done, found)
        return Notified(key=key, url=self._url(key), checksum="" if done.checksum else found.checksum)

    def _listed(self, key: str) -> Listed | None:
        head = self._service.head(key)
        return None if head is None else Listed(key, head.size, head.etag)

    def _found(self, key: str) -> Found:
        head = self._service.head(key)
        if head is None:
            return Found(key=key, exists=False)
        return Found(key=key, exists=True, size=head.size, checksum=head.checksum)

    def _url(self, key: str) -> str:
        if not self._settings.url_ttl:
            return self._address.url(key)
        signing = self._signer.at(self._clock(), self._settings.url_ttl)
        query = signing.presign("GET", self._address.resource(key), {"host": self._address.host})
        return f"{self._address.origin}{self._address.path(key)}?{query}"


def _expiration(credentials: Credentials) -> float:
    try:
        return calendar.timegm(time.strptime(credentials.Expiration, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise BadAnswer("STS answered an Expiration that is no time; is sts_endpoint right?") from None
