"""The half that grants: checks what is asked, signs it, and says of objects whether they are what was granted."""

from __future__ import annotations

import calendar
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

from . import checksum, grants, metadata
from .address import locate
from .service import Head, Service
from .settings import WEEK, Settings
from .sts import Credentials, Sts, is_pattern
from .v4 import Signer, Signing

NAME = "aliyun"
_TYPE = re.compile(r"[!-~]+( [!-~]+)*")


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

        answers: list[Grant | VVOSError] = [self._draft(ask, request.cover, expires_at) for ask in request.files]
        fresh = [
            i for i, grant in enumerate(answers) if isinstance(grant, Grant) and grant.multipart and not grant.upload_id
        ]
        self._replace(answers, fresh, self._begin)
        drafts = [i for i, grant in enumerate(answers) if isinstance(grant, Grant)]
        if self._sts is not None:
            self._replace(answers, drafts, signed)
            return answers
        return [answer if isinstance(answer, VVOSError) else signed(answer) for answer in answers]

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
            _check_renewal(ask, ask.renew, cover)
            wanted = ask.checksum and checksum.check(ask.checksum)
            return replace(ask.renew, expires_at=expires_at, checksum=wanted or ask.renew.checksum)
        except VVOSError as error:
            error.key = error.key or ask.key
            return error

    def _new(self, ask: Ask, cover: bool, expires_at: float) -> Grant:
        check_key(ask.key, self._rules.max_key)
        if ask.key.startswith("\\"):
            raise BadInput(f"key {ask.key!r} begins with '\\', which OSS does not take; rename it.")
        if ask.size < 0:
            raise BadInput(f"the size of {ask.key!r} is {ask.size}; give its number of bytes.")
        if not _TYPE.fullmatch(ask.type):
            raise BadInput(
                f"the media type of {ask.key!r} is not of the form type/subtype, in plain ASCII; correct it."
            )
        metadata.headers(ask.metadata)
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
            checksum=ask.checksum and checksum.check(ask.checksum),
            metadata=ask.metadata,
        )

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
        head = self._service.head(key)
        if head is None:
            raise NotFound(f"there is no object {key!r} in the bucket {self._settings.bucket}; put it again.", key=key)
        _check_object(done, head)
        return Notified(key=key, url=self._url(key))

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


def _check_object(done: Finished, head: Head) -> None:
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
            f"the service said no CRC-64 of {grant.key!r}, so it cannot be verified; is it OSS?", key=grant.key
        )
    if any(value != head.checksum for value in expected):
        raise Mismatch(
            f"{grant.key!r} has another CRC-64 in the bucket than what was read; put it again.", key=grant.key
        )
