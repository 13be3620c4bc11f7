"""The half that grants: checks what is asked, signs it, and says of objects whether they are what was granted."""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec.structs import replace

from vvos_core import (
    Ask,
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

from . import checksum, grants
from .address import locate
from .diagnosis import diagnose
from .metadata import encode
from .service import Service
from .settings import WEEK, Settings
from .sigv4 import Signer

NAME = "s3"


class Granter:
    """Grants and verifies with a profile's keys. Shared by threads.

    ``clock`` gives seconds since 1970, UTC; only presigned urls of finished objects are dated by it.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._rules = settings.rules
        self._address = locate(settings)
        self._signer = Signer(settings.access_key, settings.secret_key, settings.region, settings.session_token)
        self._service = Service(settings, self._address, self._signer)
        self._clock = clock

    def token(self, request: TokenRequest) -> list[Grant | VVOSError]:
        """Grant or renew; see ``vvos_core.hooks``. Raises ``BadInput`` when nothing could be granted at all."""
        seconds = min(int(request.expires_at) - int(request.issued_at), WEEK)
        if seconds < 1:
            raise BadInput("the grants would expire before they are issued; ask for a later expires_at.")
        expires_at = min(request.expires_at, request.issued_at + WEEK)
        signing = self._signer.at(request.issued_at, seconds)

        def draft(ask: Ask) -> Grant | VVOSError:
            return self._draft(ask, request.cover, expires_at)

        answers = new_grants(request, draft, provider=NAME, rules=self._rules, expires_at=expires_at)
        fresh = [(i, g) for i, g in enumerate(answers) if isinstance(g, Grant) and g.multipart and not g.upload_id]
        begun = self._service.each(self._begin, [grant for _, grant in fresh])
        for (index, _), answer in zip(fresh, begun, strict=True):
            answers[index] = answer
        return grants.Writer(signing, self._address, self._settings.checksum).fill(answers)

    def exists(self, request: ExistsRequest) -> list[Found | VVOSError]:
        """What is there; see ``vvos_core.hooks``."""

        gone = absent([grant.key for grant in request.grants], self._service.page) if self._settings.listing else set()

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
        shown = proven(request.objects, self._service.page, self._listed) if self._settings.listing else {}
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

    def _draft(self, ask: Ask, cover: bool, expires_at: float) -> Grant | VVOSError:
        """The grant without its requests, or why there is none."""
        try:
            if ask.renew is None:
                return self._new(ask, cover, expires_at)
            self._wanted(ask, ask.renew.multipart)
            return renewed_grant(ask, ask.renew, provider=NAME, cover=cover, expires_at=expires_at)
        except VVOSError as error:
            error.key = error.key or ask.key
            return error

    def _wanted(self, ask: Ask, multipart: bool) -> str:
        return ask.checksum and checksum.check(ask.checksum, self._settings.checksum, multipart=multipart)

    def _new(self, ask: Ask, cover: bool, expires_at: float) -> Grant:
        if ask.metadata:
            encode(ask.metadata)
        grant = new_grant(ask, provider=NAME, rules=self._rules, cover=cover, expires_at=expires_at)
        if not (grant.multipart or ask.checksum):
            return grant
        return replace(
            grant,
            checksum=self._wanted(ask, grant.multipart),
            # The service is told the object's checksum by a signed header of the completing request, or not at all.
            seal=grant.multipart and self._settings.checksum == checksum.CRC64NVME,
        )

    def _begin(self, grant: Grant) -> Grant:
        return replace(grant, upload_id=self._service.begin(grant))

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
        path = self._address.path(key)
        signing = self._signer.at(self._clock(), self._settings.url_ttl)
        return f"{self._address.origin}{path}?{signing.presign('GET', path, {'host': self._address.host})}"
