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
    Http,
    Notified,
    NotifyRequest,
    Receipt,
    TokenRequest,
    VVOSError,
    check_object,
    new_grant,
    new_grants,
    renewed_grant,
)

from . import checksum, parts
from .diagnosis import diagnose
from .grants import Permission, parse, put, write
from .hosts import Regions, Sender
from .metadata import encode
from .service import Head, Service
from .settings import WEEK, Settings
from .target import Target, shown
from .tokens import Signer

NAME = "qiniu"
_LOOK_SECONDS = 3600
"""How long a token lasts that is made to look at an upload, or to abort it: clocks may differ by much."""


class Granter:
    """Grants and verifies with a profile's keys. Shared by threads.

    ``clock`` gives seconds since 1970, UTC; grants are not dated by it.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._rules = settings.rules
        self._sender = Sender(Http(timeout=(5.0, 30.0)))
        self._signer = Signer(settings.access_key, settings.secret_key, settings.bucket)
        self._service = Service(settings, Regions(self._sender, settings.endpoint))
        self._clock = clock

    def token(self, request: TokenRequest) -> list[Grant | VVOSError]:
        """Grant or renew; see ``vvos_core.hooks``. Raises ``BadInput`` when nothing could be granted at all."""
        if int(request.expires_at) <= request.issued_at:
            raise BadInput("the grants would expire before they are issued; ask for a later expires_at.")
        expires_at = min(request.expires_at, request.issued_at + WEEK)

        def first(ask: Ask) -> Grant | VVOSError:
            return self._draft(ask, request.cover, expires_at)

        drafts = new_grants(request, first, provider=NAME, rules=self._rules, expires_at=expires_at)
        keys = [draft.key for draft in drafts if isinstance(draft, Grant)]
        if not keys:
            return drafts
        hosts = self._service.up_hosts("granting", keys[0])
        terms: dict[tuple[object, ...], str] = {}
        beginning: list[tuple[int, Grant, Permission]] = []
        answers = drafts
        for place, (ask, draft) in enumerate(zip(request.files, drafts, strict=True)):
            if isinstance(draft, VVOSError):
                continue
            # What was begun as one kind stays it when the profile changes: blocks are no parts.
            blocks = not draft.upload_id if ask.renew is not None else self._settings.version == "v1"
            token = self._token(draft, terms)
            if not draft.multipart:
                answers[place] = replace(draft, data=put(token, hosts))
                continue
            permission = Permission(token=token, hosts=hosts, version="v1" if blocks else "v2")
            if not blocks and ask.renew is None:
                beginning.append((place, draft, permission))
            else:
                answers[place] = replace(draft, data=write(permission))
        begun = self._service.each(lambda item: self._begun(*item[1:]), beginning)
        for (place, _, _), answer in zip(beginning, begun, strict=True):
            answers[place] = answer
        return answers

    def exists(self, request: ExistsRequest) -> list[Found | VVOSError]:
        """What is there; see ``vvos_core.hooks``."""
        heads = self._service.heads([grant.key for grant in request.grants])

        def look(item: tuple[Grant, Head | VVOSError | None]) -> Found:
            grant, head = item
            if isinstance(head, VVOSError):
                raise head
            found = _found(grant.key, head)
            if request.parts and grant.upload_id:
                return replace(found, parts=self._parts(grant))
            return found

        return self._service.each(look, list(zip(request.grants, heads, strict=True)))

    def notify(self, request: NotifyRequest) -> list[Notified | VVOSError]:
        """Verify each object and answer its url; see ``vvos_core.hooks``."""
        heads = self._service.heads([done.grant.key for done in request.objects])
        now = self._clock()
        return [self._verdict(done, head, now) for done, head in zip(request.objects, heads, strict=True)]

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished upload, with the profile's keys: also after the grant expired."""
        if grant.upload_id:
            what = f"aborting {shown(grant)}"
            parts.abort(self._sender, self._look(grant, what), grant.upload_id, what)

    def diagnose(self, request: DiagnoseRequest) -> Diagnosis:
        """What is wrong with the service and the bucket; see ``vvos_core.hooks``."""
        return diagnose(self._settings, self._service, self._sender, request)

    def _draft(self, ask: Ask, cover: bool, expires_at: float) -> Grant | VVOSError:
        """The grant without its token, or why there is none."""
        try:
            if ask.renew is None:
                return self._new(ask, cover, expires_at)
            # Blocks (v1) have no upload, hence no id.
            grant = renewed_grant(
                ask, ask.renew, provider=NAME, cover=cover, expires_at=expires_at, needs_upload_id=False
            )
            if ask.checksum:
                checksum.check(ask.checksum, ask.size, grant.part_size)
            return grant
        except VVOSError as error:
            error.key = error.key or ask.key
            return error

    def _new(self, ask: Ask, cover: bool, expires_at: float) -> Grant:
        if ask.metadata:
            encode(ask.metadata)
        grant = new_grant(ask, provider=NAME, rules=self._rules, cover=cover, expires_at=expires_at)
        if not ask.checksum:
            return grant
        return replace(grant, checksum=checksum.check(ask.checksum, ask.size, grant.part_size))

    def _begun(self, draft: Grant, permission: Permission) -> Grant:
        what = f"beginning the upload of {shown(draft)}"
        draft = replace(draft, upload_id=parts.begin(self._sender, _target(draft, permission), what))
        return replace(draft, data=write(permission))

    def _token(self, grant: Grant, terms: dict[tuple[object, ...], str]) -> str:
        """The upload token. ``terms`` keeps what those of one batch have in common."""
        shared = (grant.type, grant.cover, grant.expires_at)
        rest = terms.get(shared)
        if rest is None:
            rest = terms[shared] = self._signer.terms(int(grant.expires_at), self._policy(grant))
        # 0 would be no limit; of an empty file the size is compared when it is notified.
        return self._signer.upload_token(grant.key, f'"fsizeMin":{grant.size},"fsizeLimit":{max(grant.size, 1)},{rest}')

    def _policy(self, grant: Grant) -> dict[str, object]:
        """What the token allows besides its key, its size and its deadline (Qiniu, "Put policy")."""
        policy: dict[str, object] = {
            # The type is the granted one, whatever the service thinks of the name and the content.
            "detectMime": -1,
        }
        if not grant.cover:
            policy["insertOnly"] = 1
        if self._settings.limit_type:
            policy["mimeLimit"] = grant.type.partition(";")[0].strip()
        return policy

    def _parts(self, grant: Grant) -> tuple[Receipt, ...]:
        what = f"listing the parts of {shown(grant)}"
        return parts.stored(self._sender, self._look(grant, what), what)

    def _look(self, grant: Grant, what: str) -> Target:
        token = self._signer.upload_token(grant.key, self._signer.terms(int(self._clock()) + _LOOK_SECONDS, {}))
        return _target(grant, Permission(token=token, hosts=self._service.up_hosts(what, grant.key)))

    def _verdict(self, done: Finished, head: Head | VVOSError | None, now: float) -> Notified | VVOSError:
        key = done.grant.key
        if isinstance(head, VVOSError):
            return head
        try:
            check_object(done, _found(key, head))
        except VVOSError as error:
            return error
        return Notified(key=key, url=self._service.url(key, now))


def _found(key: str, head: Head | None) -> Found:
    if head is None:
        return Found(key=key, exists=False)
    return Found(key=key, exists=True, size=head.size, checksum=head.checksum)


def _target(grant: Grant, permission: Permission) -> Target:
    return Target(grant=grant, permission=permission, token=parse(permission.token, grant.key), hosts=permission.hosts)
