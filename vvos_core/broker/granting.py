"""gettoken: grants a batch of uploads, answers the same again when asked again, and renews what was granted."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from .. import request_token
from ..calls import Calls
from ..errors import (
    BadInput,
    ConfigError,
    ContractBroken,
    Denied,
    NotFound,
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
from .leftovers import Leftovers, Place
from .logs import log, shown
from .messages import Failed, GetToken, Granted, GrantOut, encode, outcome
from .policies import Business
from .profiles import Profiles
from .seal import Opened, Permission, Seal

if TYPE_CHECKING:
    from ..profile import BrokerSettings

_NOTHING_BEGUN = (BadInput, Denied, ConfigError)
"""After these answers no upload was begun. After others one may have been: the answer may have got lost."""
_KEY = itemgetter(0)
_in_order = msgspec.msgpack.Encoder(order="sorted").encode
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
        self,
        settings: BrokerSettings,
        business: Business,
        profiles: Profiles,
        seal: Seal,
        ledger: Ledger,
        leftovers: Leftovers,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._placing = Placing(settings, business, profiles)
        self._profiles = profiles
        self._seal = seal
        self._ledger = ledger
        self._leftovers = leftovers
        self._clock = clock

    def check(self, message: GetToken) -> str:
        """The request id of a well-formed message; raises ``BadInput`` and its kinds for any other."""
        settings = self._settings
        request_id = request_token.request_id(message.request_token)
        checks.count(message.keys, message.files, settings.max_keys)
        checks.client_keys(message.keys, settings.max_key)
        checks.client(message.client)
        checks.files(message.files)
        return request_id

    def grant(self, message: GetToken, call: BusinessCall, access: Access) -> Granted:
        """Grant, or answer what was granted to the same request before. Raises ``Refused`` when every file failed."""
        with self._ledger.granting():
            return self._grant(message, call, access)

    def _grant(self, message: GetToken, call: BusinessCall, access: Access) -> Granted:
        asked = _digest(message)
        issued_at = float(int(call.now))
        expires_at = issued_at + self._settings.ttl
        before = self._ledger.granted(access.who, call.request_id)
        if before is not None:
            return self._again(before, asked, message, call)
        placed = self._placing.place(message, call, access)
        asks = [ask for ask in placed if not isinstance(ask, VVOSError)]
        places = self._multipart(asks)
        if places:
            self._ledger.granting_slowly()
        notes = self._leftovers.begin(secrets.token_hex(16), places, call.now)
        answers = self._ask(asks, message, call, issued_at, expires_at)
        self._leftovers.forget(
            [
                notes.pop((profile, ask.key))
                for (profile, ask), answer in zip(asks, answers, strict=True)
                if isinstance(answer, _NOTHING_BEGUN) and (profile, ask.key) in notes
            ]
        )
        answered = iter(answers)
        results = [ask if isinstance(ask, VVOSError) else next(answered) for ask in placed]
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
                begun=[notes[place] for grant in grants if (place := (grant.profile, grant.key)) in notes],
            )
        except BaseException:
            self._abort(grants, notes)
            raise
        if won is not None:
            self._abort(grants, notes)
            return self._again(won, asked, message, call)
        return self._answer(token, expires_at, grants, failed)

    def _multipart(self, asks: Sequence[Asked]) -> list[Place]:
        """Where the providers will begin uploads, by their rules."""
        thresholds = {profile: self._placing.rules(profile).threshold for profile in {profile for profile, _ in asks}}
        return [(profile, ask.key) for profile, ask in asks if ask.size > thresholds[profile]]

    def renew(self, message: GetToken, opened: Opened, call: BusinessCall) -> Granted:
        """New expiry for what ``opened`` permits, or for a part of it. Raises ``Denied`` for anything wider."""
        issued_at = float(int(call.now))
        expires_at = issued_at + self._settings.ttl
        asks = [renewed(key, message, opened) for key in message.keys]
        olds = [ask.renew for _, ask in asks if ask.renew is not None]
        finished = self._ledger.notified(opened.who, opened.request_id, olds)
        wanted = [each for each in asks if each[1].key not in finished]
        answers = iter(self._ask(wanted, message, call, issued_at, expires_at))
        # Of what is finished a grant that nothing can be put with: the answer of notifier may have got lost.
        results = [
            replace(ask.renew, expires_at=expires_at)
            if ask.renew is not None and ask.key in finished
            else next(answers)
            for _, ask in asks
        ]
        unfinished = [grant for grant in results if isinstance(grant, Grant) and grant.key not in finished]
        lost = self._ledger.renew(opened.who, opened.request_id, unfinished)
        results = [_lost(item.key) if isinstance(item, Grant) and item.key in lost else item for item in results]
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
        return self._answer(token, expires_at, grants, failed)

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
        return self._answer(before.access_token, opened.expires_at, grants, failed)

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
        needed = len(token) + 2 * (len("".join([grant.key for grant in grants]).encode()) + 4 * len(grants))
        if needed > self._settings.max_body:
            raise TooLarge(
                "`keys`: the accessToken for so many long keys would not fit into a call; send fewer at a time."
            )

    def _abort(self, grants: Sequence[Grant], notes: Mapping[Place, bytes]) -> None:
        """Forget multipart uploads that were begun for nobody. What fails is left to the sweep, and logged."""
        done = []
        for grant in grants:
            place = (grant.profile, grant.key)
            try:
                if grant.upload_id:
                    self._profiles.calls(grant.profile).abort(grant)
                if place in notes:
                    done.append(notes[place])
            except Exception:  # noqa: BLE001  # the provider's, whatever it is: the call goes on
                log.exception("abort failed", profile=grant.profile, key=grant.key)
        try:
            self._leftovers.forget(done)
        except VVOSError as error:
            log.warning("left to the sweep", code=error.code, message=error.message)

    def _answer(self, token: str, expires_at: float, grants: Sequence[Grant], failed: list[Failed]) -> Granted:
        success, code = outcome(len(grants), failed)
        return Granted(
            success=success,
            code=code,
            access_token=token,
            keys={grant.client_key: grant.key for grant in grants},
            provider=grants[0].provider,
            expires_at=expires_at,
            expires_in=max(0.0, expires_at - self._clock()),
            grants={grant.key: GrantOut.of(grant) for grant in grants},
            failed=failed or UNSET,
        )


def _lost(key: str) -> NotFound:
    return NotFound(
        f"{checks.short(key)}: its unfinished upload had expired and was given up; begin a new upload.", key=key
    )


def _checked(profile: str, ask: Ask, grant: Grant) -> Grant | VVOSError:
    if grant.key != ask.key or grant.client_key != ask.client_key or grant.size != ask.size:
        return ContractBroken(
            f"profile {profile}: asked for a grant of {ask.key!r}, it answered another.", key=ask.client_key
        )
    return replace(grant, profile=profile)


def _cover_of(files: Sequence[Ask], message: GetToken) -> bool:
    before = files[0].renew
    if before is not None and message.cover is UNSET:
        return before.cover
    return bool(message.cover)


def _digest(message: GetToken) -> bytes:
    """What makes two requests the same: the files and ``cover``, in any order. Business parameters may differ."""
    files = [
        (key, -1 if isinstance(info.size, UnsetType) else info.size, info.type, info.checksum, info.metadata)
        for key, info in sorted(message.files.items(), key=_KEY)
    ]
    asked = (sorted(message.keys), files, bool(message.cover))
    return hashlib.sha256(_in_order(asked)).digest()


def _failures(keys: Sequence[str], results: Sequence[Any]) -> list[Failed]:
    return [
        Failed.of(key, shown(found)) for key, found in zip(keys, results, strict=True) if isinstance(found, VVOSError)
    ]


def _first(results: Sequence[Any]) -> VVOSError:
    return next(found for found in results if isinstance(found, VVOSError))
