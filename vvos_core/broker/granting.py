"""gettoken: grants a batch of uploads, answers the same again when asked again, and renews what was granted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET

from .. import request_token
from ..calls import Calls
from ..errors import (
    ContractBroken,
    Denied,
    RequestReused,
    TokenExpired,
    TooLarge,
    VVOSError,
)
from ..model import Ask, Call, Grant, TokenRequest
from . import checks
from .asking import Asked, Placing, again, renewed
from .hooks import Access, BusinessCall
from .ledger import Ledger, Recorded
from .logs import log, shown
from .messages import Failed, GetToken, Granted, GrantOut, encode, outcome
from .policies import Business
from .profiles import Profiles
from .seal import Opened, Permission, Seal

if TYPE_CHECKING:
    from ..profile import BrokerSettings

_failed_of = msgspec.json.Decoder(list[Failed]).decode


class Refused(Exception):
    """Not one file could be granted: the answer is the first one's error, and lists them all."""

    def __init__(self, first: VVOSError, failed: list[Failed]) -> None:
        super().__init__(str(first))
        self.first = first
        self.failed = failed


class Granting:
    """What gettoken does, with the parts of one broker."""

    def __init__(
        self, settings: BrokerSettings, business: Business, profiles: Profiles, seal: Seal, ledger: Ledger
    ) -> None:
        self._settings = settings
        self._placing = Placing(settings, business, profiles)
        self._profiles = profiles
        self._seal = seal
        self._ledger = ledger

    def check(self, message: GetToken) -> str:
        """The request id of a well-formed message; raises ``BadInput`` and its kinds for any other."""
        settings = self._settings
        request_id = request_token.request_id(message.request_token)
        checks.count(message.keys, message.files, settings.max_keys)
        checks.client_keys(message.keys, settings.max_key)
        checks.client(message.client)
        for key, info in message.files.items():
            checks.file(key, info)
        return request_id

    def grant(self, message: GetToken, call: BusinessCall, access: Access) -> Granted:
        """Grant, or answer what was granted to the same request before. Raises ``Refused`` when every file failed."""
        asked = _digest(message)
        before = self._ledger.granted(access.who, call.request_id)
        if before is not None:
            return self._again(before, asked, message, call)
        issued_at = float(int(call.now))
        expires_at = issued_at + self._settings.ttl
        placed = self._placing.place(message, call, access)
        asks = [ask for ask in placed if not isinstance(ask, VVOSError)]
        answers = iter(self._ask(asks, message, call, issued_at, expires_at))
        results = [ask if isinstance(ask, VVOSError) else next(answers) for ask in placed]
        grants = [grant for grant in results if isinstance(grant, Grant)]
        failed = _failures(message.keys, results)
        if not grants:
            raise Refused(_first(results), failed)
        try:
            token = self._seal.seal(
                Permission(
                    who=access.who,
                    request_id=call.request_id,
                    issued_at=issued_at,
                    expires_at=expires_at,
                    client=message.client,
                    grants=tuple(grants),
                )
            )
            self._fits(token, grants)
            won = self._ledger.grant(
                access.who,
                call.request_id,
                asked=asked,
                access_token=token,
                failed=encode(failed),
                issued_at=issued_at,
                expires_at=expires_at,
                grants=grants,
            )
        except BaseException:
            self._abort(grants)
            raise
        if won is not None:
            self._abort(grants)
            return self._again(won, asked, message, call)
        return _answer(token, expires_at, grants, failed)

    def renew(self, message: GetToken, opened: Opened, call: BusinessCall) -> Granted:
        """New expiry for what ``opened`` permits, or for a part of it. Raises ``Denied`` for anything wider."""
        issued_at = float(int(call.now))
        expires_at = issued_at + self._settings.ttl
        asks = [renewed(key, message, opened) for key in message.keys]
        results = self._ask(asks, message, call, issued_at, expires_at)
        grants = [grant for grant in results if isinstance(grant, Grant)]
        failed = _failures(message.keys, results)
        if not grants:
            raise Refused(_first(results), failed)
        token = self._seal.seal(
            Permission(
                who=opened.who,
                request_id=opened.request_id,
                issued_at=issued_at,
                expires_at=expires_at,
                client=opened.client,
                grants=tuple(grants),
            )
        )
        self._fits(token, grants)
        self._ledger.renew(opened.who, opened.request_id, grants)
        return _answer(token, expires_at, grants, failed)

    def _again(self, before: Recorded, asked: bytes, message: GetToken, call: BusinessCall) -> Granted:
        """The answer that this request got before: the same token and keys, signed for the same time."""
        if before.asked != asked:
            raise RequestReused("requestToken: it was used before, for other keys or files; make a new one for these.")
        try:
            opened = self._seal.open(before.access_token, call.now)
        except Denied:
            raise TokenExpired(
                "requestToken: its grant has expired; renew it with its accessToken, or make a new requestToken."
            ) from None
        asks = [
            (grant.profile, again(grant))
            for key in message.keys
            if (grant := opened.by_client_key.get(key)) is not None
        ]
        results = self._ask(asks, message, call, opened.issued_at, opened.expires_at)
        grants = [grant for grant in results if isinstance(grant, Grant)]
        failed = [*_failed_of(before.failed), *_failures([ask.client_key for _, ask in asks], results)]
        if not grants:
            raise Refused(_first(results), failed)
        return _answer(before.access_token, opened.expires_at, grants, failed)

    def _ask(
        self, asks: Sequence[Asked], message: GetToken, call: BusinessCall, issued_at: float, expires_at: float
    ) -> list[Grant | VVOSError]:
        """A grant, with its profile, for each of ``asks``, or why not."""

        def question(calls: Calls, files: list[Ask]) -> list[Grant | VVOSError]:
            return calls.token(
                TokenRequest(
                    files=tuple(files),
                    request_token=message.request_token,
                    issued_at=issued_at,
                    expires_at=expires_at,
                    cover=_cover_of(files, message),
                    client=message.client,
                    call=Call(body=call.params),
                )
            )

        grants = self._profiles.ask(asks, question)
        return [
            grant if isinstance(grant, VVOSError) else _checked(profile, ask, grant)
            for (profile, ask), grant in zip(asks, grants, strict=True)
        ]

    def _fits(self, token: str, grants: Sequence[Grant]) -> None:
        # What follows carries the token and the keys in one body; a JSON writer may spell a key twice as long.
        needed = len(token) + 2 * sum(len(grant.key.encode()) + 4 for grant in grants)
        if needed > self._settings.max_body:
            raise TooLarge(
                "`keys`: the accessToken for so many long keys would not fit into a call; send fewer at a time."
            )

    def _abort(self, grants: Sequence[Grant]) -> None:
        """Forget multipart uploads that were begun for nobody. What fails is left to the expiry, and logged."""
        for grant in grants:
            if grant.upload_id:
                try:
                    self._profiles.calls(grant.profile).abort(grant)
                except Exception:  # noqa: BLE001  # the provider's, whatever it is: the call goes on
                    log.exception("abort failed", profile=grant.profile, key=grant.key)


def _checked(profile: str, ask: Ask, grant: Grant) -> Grant | VVOSError:
    if (grant.key, grant.client_key, grant.size) != (ask.key, ask.client_key, ask.size):
        return ContractBroken(
            f"profile {profile}: asked for a grant of {ask.key!r}, it answered another.", key=ask.client_key
        )
    return msgspec.structs.replace(grant, profile=profile)


def _cover_of(files: Sequence[Ask], message: GetToken) -> bool:
    before = files[0].renew
    if before is not None and message.cover is UNSET:
        return before.cover
    return bool(message.cover)


def _digest(message: GetToken) -> bytes:
    """What makes two requests the same: the files and ``cover``, in any order. Business parameters may differ."""
    cover: Any = bool(message.cover)
    asked = (sorted(message.keys), message.files, cover)
    return hashlib.sha256(msgspec.msgpack.encode(asked, order="sorted")).digest()


def _failures(keys: Sequence[str], results: Sequence[Any]) -> list[Failed]:
    return [
        Failed.of(key, shown(found)) for key, found in zip(keys, results, strict=True) if isinstance(found, VVOSError)
    ]


def _first(results: Sequence[Any]) -> VVOSError:
    return next(found for found in results if isinstance(found, VVOSError))


def _answer(token: str, expires_at: float, grants: Sequence[Grant], failed: list[Failed]) -> Granted:
    success, code = outcome(len(grants), failed)
    return Granted(
        success=success,
        code=code,
        access_token=token,
        keys={grant.client_key: grant.key for grant in grants},
        provider=grants[0].provider,
        expires_at=expires_at,
        grants={grant.key: GrantOut.of(grant) for grant in grants},
        failed=failed or UNSET,
    )
