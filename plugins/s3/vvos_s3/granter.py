"""The half that grants: checks what is asked, signs it, and says of objects whether they are what was granted."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from msgspec.structs import replace

from vvos_core import (
    Ask,
    BadAnswer,
    BadInput,
    Denied,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    Mismatch,
    NotFound,
    Notified,
    NotifyRequest,
    TokenRequest,
    VVOSError,
    check_key,
    plan_chunks,
)

from . import checksum, grants
from .address import locate
from .metadata import encode
from .service import Head, Service
from .settings import WEEK, Settings
from .sigv4 import Signer, Signing

NAME = "s3"
_TYPE = re.compile(r"[!-~]+( [!-~]+)*")


class Granter:
    """Grants and verifies with a profile's keys. Shared by threads.

    ``clock`` gives seconds since 1970, UTC; only presigned urls of finished objects are dated by it.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._rules = settings.rules
        self._address = locate(settings)
        self._signer = Signer(settings.access_key, settings.secret_key, settings.region, settings.session_token)
        self._service = Service(settings, self._address)
        self._clock = clock

    def token(self, request: TokenRequest) -> list[Grant | VVOSError]:
        """Grant or renew; see ``vvos_core.hooks``. Raises ``BadInput`` when nothing could be granted at all."""
        seconds = min(int(request.expires_at) - int(request.issued_at), WEEK)
        if seconds < 1:
            raise BadInput("the grants would expire before they are issued; ask for a later expires_at.")
        expires_at = min(request.expires_at, request.issued_at + WEEK)
        signing = self._signer.at(request.issued_at, seconds)
        answers: list[Grant | VVOSError] = [self._draft(ask, request.cover, expires_at) for ask in request.files]
        fresh = [(i, g) for i, g in enumerate(answers) if isinstance(g, Grant) and g.multipart and not g.upload_id]
        begun = self._service.each(self._begin, [grant for _, grant in fresh])
        for (index, _), answer in zip(fresh, begun, strict=True):
            answers[index] = answer
        return [answer if isinstance(answer, VVOSError) else self._signed(answer, signing) for answer in answers]

    def exists(self, request: ExistsRequest) -> list[Found | VVOSError]:
        """What is there; see ``vvos_core.hooks``."""

        def look(grant: Grant) -> Found:
            head = self._service.head(grant.key)
            if head is not None:
                return Found(key=grant.key, exists=True, size=head.size, checksum=head.checksum)
            parts = self._service.parts(grant) if request.parts and grant.upload_id else ()
            return Found(key=grant.key, exists=False, parts=parts)

        return self._service.each(look, request.grants)

    def notify(self, request: NotifyRequest) -> list[Notified | VVOSError]:
        """Verify each object and answer its url; see ``vvos_core.hooks``."""
        return self._service.each(self._verified, request.objects)

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished multipart upload, with the profile's keys: also after the grant expired."""
        if grant.upload_id:
            self._service.abort(grant)

    def _draft(self, ask: Ask, cover: bool, expires_at: float) -> Grant | VVOSError:
        """The grant without its requests, or why there is none."""
        try:
            if ask.renew is None:
                return self._new(ask, cover, expires_at)
            _check_renewal(ask, ask.renew, cover)
            wanted = self._wanted(ask, ask.renew.multipart) or ask.renew.checksum
            return replace(ask.renew, expires_at=expires_at, checksum=wanted)
        except VVOSError as error:
            error.key = error.key or ask.key
            return error

    def _wanted(self, ask: Ask, multipart: bool) -> str:
        return ask.checksum and checksum.check(ask.checksum, self._settings.checksum, multipart=multipart)

    def _new(self, ask: Ask, cover: bool, expires_at: float) -> Grant:
        check_key(ask.key, self._rules.max_key)
        if ask.size < 0:
            raise BadInput(f"the size of {ask.key!r} is {ask.size}; give its number of bytes.")
        if not _TYPE.fullmatch(ask.type):
            raise BadInput(
                f"the media type of {ask.key!r} is not of the form type/subtype, in plain ASCII; correct it."
            )
        encode(ask.metadata)
        cut = plan_chunks(ask.size, self._rules)
        return Grant(
            provider=NAME,
            key=ask.key,
            client_key=ask.client_key,
            size=ask.size,
            type=ask.type,
            cover=cover,
            expires_at=expires_at,
            multipart=cut.multipart,
            part_size=cut.part_size,
            checksum=self._wanted(ask, cut.multipart),
            # The service is told the object's checksum by a signed header of the completing request, or not at all.
            seal=cut.multipart and self._settings.checksum == checksum.CRC64NVME,
            metadata=ask.metadata,
        )

    def _begin(self, grant: Grant) -> Grant:
        return replace(grant, upload_id=self._service.begin(grant))

    def _signed(self, grant: Grant, signing: Signing) -> Grant:
        return replace(grant, data=grants.write(grant, signing, self._address, self._settings.checksum))

    def _verified(self, done: Finished) -> Notified:
        key = done.grant.key
        head = self._service.head(key)
        if head is None:
            raise NotFound(f"there is no object {key!r} in the bucket {self._settings.bucket}; put it again.", key=key)
        _check_object(done, head, self._settings.checksum)
        return Notified(key=key, url=self._url(key))

    def _url(self, key: str) -> str:
        if not self._settings.url_ttl:
            return self._address.url(key)
        path = self._address.path(key)
        signing = self._signer.at(self._clock(), self._settings.url_ttl)
        return f"{self._address.origin}{path}?{signing.presign('GET', path, {'host': self._address.host})}"


def _check_renewal(ask: Ask, old: Grant, cover: bool) -> None:
    """Raises ``Denied`` where the renewed grant would allow anything that the old one did not."""
    wider = {
        "provider": old.provider != NAME,
        "key": ask.key != old.key,
        "name": ask.client_key != old.client_key,
        "size": ask.size != old.size,
        "type": ask.type != old.type,
        "cover": cover and not old.cover,
        "metadata": bool(ask.metadata) and dict(ask.metadata) != dict(old.metadata),
        "checksum": bool(ask.checksum and old.checksum) and ask.checksum != old.checksum,
        "upload": old.multipart and not old.upload_id,
    }
    differs = [name for name, changed in wider.items() if changed]
    if differs:
        raise Denied(f"the renewal of {old.key!r} asks for another {' and '.join(differs)}; begin a new upload.")


def _check_object(done: Finished, head: Head, algorithm: str) -> None:
    """Raises ``Mismatch`` when the object is not what was granted and read."""
    grant = done.grant
    if not head.size == done.size == grant.size:
        raise Mismatch(
            f"{grant.key!r} has {head.size} bytes in the bucket, {done.size} were read and {grant.size} granted; "
            "put it again.",
            key=grant.key,
        )
    expected = [value for value in (done.checksum, grant.checksum) if value]
    if expected and not head.checksum:
        raise BadAnswer(
            f"the service has no CRC64NVME of {grant.key!r}: somebody else put it there, or the service computes none; "
            'then write checksum = "md5" in the profile.',
            key=grant.key,
        )
    if any(value != head.checksum for value in expected):
        raise Mismatch(
            f"{grant.key!r} has another {algorithm} in the bucket than what was read; put it again.", key=grant.key
        )
