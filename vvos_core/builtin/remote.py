"""The broker as a client sees it: answers `token`, `exists` and `notify` by calling the three web APIs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct, field

from ..errors import BadAnswer, BadInput, VVOSError, for_status, from_code
from ..hooks import hookimpl
from ..http import Answer, Http
from ..model import (
    Ask,
    Call,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Receipt,
    Rules,
    TokenRequest,
)
from ..plan import plan_chunks
from ..profile import ApiSettings

PROTOCOL_FIELDS = frozenset({"requestToken", "accessToken", "keys", "files", "cover", "client", "parts"})
"""The protocol's own fields; a business parameter of such a name would overwrite one, and is refused."""
LONGEST = 1000
"""The most characters of somebody else's message that are passed on."""
LONGEST_CODE = 64
"""And of their codes."""
_FAR = 1e12
"""Seconds; a time beyond is none."""
_OWN_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding", "host"})

T = TypeVar("T")
Item = TypeVar("Item", Grant, Finished)


class _Failed(Struct):
    key: str
    code: str = ""
    message: str = ""


class _Granted(Struct, rename="camel"):
    provider: str
    size: int
    type: str = "application/octet-stream"
    cover: bool = False
    keep_existing: bool = False
    expires_at: float = 0.0
    multipart: bool = False
    part_size: int = 0
    upload_id: str = ""
    checksum: str = ""
    seal: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


class _TokenAnswer(Struct, rename="camel"):
    access_token: str
    keys: dict[str, str]
    # Of any type, and believed where they can be times: a backend may mean something else by them.
    expires_at: Any = 0
    expires_in: Any = 0
    grants: dict[str, _Granted] = field(default_factory=dict)
    failed: list[_Failed] = field(default_factory=list)


class _ObjectState(Struct):
    key: str
    exists: bool
    size: int = -1
    checksum: str = ""
    parts: tuple[Receipt, ...] | None = None


class _ExistsAnswer(Struct):
    objects: list[_ObjectState] = field(default_factory=list)
    failed: list[_Failed] = field(default_factory=list)


class _ObjectUrl(Struct):
    key: str
    url: str = ""


class _NotifyAnswer(Struct):
    objects: list[_ObjectUrl] = field(default_factory=list)
    failed: list[_Failed] = field(default_factory=list)


class _Told(Struct):
    """What tells an answer from a refusal. Of any type: where they are not the protocol's, they are somebody else's."""

    success: Any = True
    code: Any = ""
    message: Any = ""
    objects: Any = None
    keys: Any = None
    failed: Any = None


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
for _type in (_TokenAnswer, _ExistsAnswer, _NotifyAnswer, _Told):
    msgspec.json.Decoder(_type)


class Remote:
    """The plugin of a client whose grants come from a broker."""

    def __init__(self, api: ApiSettings, rules_of: Callable[[str], Rules]) -> None:
        """``rules_of`` gives a provider's rules by its name: a plain backend leaves the cutting to the client."""
        self._api = api
        self._rules_of = rules_of
        self._http = Http(timeout=(min(10.0, api.timeout), api.timeout))

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        answers: dict[str, Grant | VVOSError] = {}
        fresh = [ask for ask in request.files if ask.renew is None]
        if fresh:
            answers.update(self._tokens(request, fresh, ""))
        by_token: dict[str, list[Ask]] = {}
        for ask in request.files:
            if ask.renew is not None:
                by_token.setdefault(ask.renew.access_token, []).append(ask)
        for access_token, asks in by_token.items():
            answers.update(self._tokens(request, asks, access_token))
        return [answers[ask.client_key] for ask in request.files]

    @hookimpl
    def exists(self, request: ExistsRequest) -> Sequence[Found | VVOSError]:
        if not self._api.exists:
            return [Found(key=grant.key, exists=False) for grant in request.grants]
        found: dict[str, Found | VVOSError] = {}
        for access_token, grants in _by_token(request.grants, lambda grant: grant):
            body: dict[str, Any] = {"accessToken": access_token, "keys": [grant.key for grant in grants]}
            if request.parts:
                body["parts"] = True
            answer = self._call("exists", self._api.exists, body, request.call, _ExistsAnswer)
            found.update((item.key, _failure("exists", item)) for item in answer.failed)
            for item in answer.objects:
                found[item.key] = Found(
                    key=item.key, exists=item.exists, size=item.size, checksum=item.checksum, parts=item.parts
                )
        # A plain backend's answer may list only what is there.
        return [found.get(grant.key) or Found(key=grant.key, exists=False) for grant in request.grants]

    @hookimpl
    def notify(self, request: NotifyRequest) -> Sequence[Notified | VVOSError]:
        verdicts: dict[str, Notified | VVOSError] = {}
        for access_token, objects in _by_token(request.objects, lambda done: done.grant):
            files = {
                done.grant.key: {
                    "size": done.size,
                    **({"checksum": done.checksum} if done.checksum else {}),
                    **({"digest": done.digest} if done.digest else {}),
                }
                for done in objects
            }
            body = {"accessToken": access_token, "keys": list(files), "files": files}
            answer = self._call("notifier", self._api.notifier, body, request.call, _NotifyAnswer)
            verdicts.update((item.key, _failure("notifier", item)) for item in answer.failed)
            verdicts.update((item.key, Notified(key=item.key, url=item.url)) for item in answer.objects)
        return [
            verdicts.get(done.grant.key) or self._unanswered("notifier", self._api.notifier, done.grant.key)
            for done in request.objects
        ]

    def _tokens(self, request: TokenRequest, asks: Sequence[Ask], access_token: str) -> dict[str, Grant | VVOSError]:
        body: dict[str, Any] = {
            "requestToken": request.request_token,
            "keys": [ask.client_key for ask in asks],
            "files": {ask.client_key: _file(ask) for ask in asks},
            "cover": request.cover,
        }
        if request.client:
            body["client"] = request.client
        if access_token:
            body["accessToken"] = access_token
        answer = self._call("gettoken", self._api.gettoken, body, request.call, _TokenAnswer)
        failed = {item.key: _failure("gettoken", item) for item in answer.failed}
        times = Counter(answer.keys.get(ask.client_key) for ask in asks)
        out: dict[str, Grant | VVOSError] = {}
        for ask in asks:
            if ask.client_key in failed:
                out[ask.client_key] = failed[ask.client_key]
            elif ask.client_key not in answer.keys:
                out[ask.client_key] = self._unanswered("gettoken", self._api.gettoken, ask.client_key)
            else:
                key = answer.keys[ask.client_key]
                if times[key] > 1:
                    where = f"gettoken at {public_address(self._api.gettoken)}"
                    out[ask.client_key] = BadAnswer(
                        f"{where} named several files {key}; they would be one object.", key=ask.client_key
                    )
                else:
                    out[ask.client_key] = self._grant(request, ask, key, answer)
        return out

    def _grant(self, request: TokenRequest, ask: Ask, key: str, answer: _TokenAnswer) -> Grant | VVOSError:
        given = answer.grants.get(key)
        if given is None:
            return self._plain_grant(request, ask, key, answer.access_token, _lifetime(answer))
        return Grant(
            provider=given.provider,
            key=key,
            client_key=ask.client_key,
            size=given.size,
            type=given.type,
            cover=given.cover,
            keep_existing=given.keep_existing,
            expires_at=given.expires_at,
            lifetime=_lifetime(answer, given.expires_at),
            multipart=given.multipart,
            part_size=given.part_size,
            upload_id=given.upload_id,
            checksum=given.checksum,
            seal=given.seal,
            metadata=given.metadata,
            access_token=answer.access_token,
            data=given.data,
        )

    def _plain_grant(
        self, request: TokenRequest, ask: Ask, key: str, access_token: str, lifetime: float
    ) -> Grant | VVOSError:
        """The grant of a backend that speaks the published fields only: its accessToken is the upload token."""
        provider = self._api.provider
        if not provider:
            return BadAnswer(
                f"gettoken at {public_address(self._api.gettoken)} answered the published fields only; "
                "say in api.provider which provider takes its accessToken as upload token.",
                key=ask.client_key,
            )
        try:
            cut = plan_chunks(ask.size, self._rules_of(provider))
        except VVOSError as error:
            return error
        return Grant(
            provider=provider,
            key=key,
            client_key=ask.client_key,
            size=ask.size,
            type=ask.type,
            cover=request.cover,
            multipart=cut.multipart,
            part_size=cut.part_size,
            metadata=ask.metadata,
            access_token=access_token,
            lifetime=lifetime,
        )

    def _unanswered(self, call: str, url: str, key: str) -> VVOSError:
        return BadAnswer(f"{call} at {public_address(url)} did not answer for {key}.", key=key)

    def _call(self, name: str, url: str, body: dict[str, Any], call: Call, type_: type[T]) -> T:
        check_business(call)
        headers = {
            **{key: value.reveal() for key, value in self._api.header.items()},
            **call.header,
            "Content-Type": "application/json",
            "Accept": "application/json",
        }
        where = f"{name} at {public_address(url)}"
        content = msgspec.json.encode({**call.body, **body})
        answer = self._http.send("POST", url, headers=headers, body=content, what=where)
        good = 200 <= answer.status < 300
        told = _Told()
        try:
            told = msgspec.json.decode(answer.body, type=_Told)
            through = bool(told.keys or told.objects)
            if told.failed and not through:
                # Not one key got through; each has a reason of its own.
                return msgspec.convert({"accessToken": "", "keys": {}, "failed": told.failed}, type_)
            if good and (through or told.success is not False):
                return msgspec.json.decode(answer.body, type=type_)
        except msgspec.ValidationError as error:
            if good:
                raise BadAnswer(f"{where} answered JSON that is not of the protocol: {error}.") from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if good:
                kind = _media_type(answer)
                raise BadAnswer(f"{where} did not answer JSON ({kind}); is it the right address?") from error
        raise _refused(where, answer, told)


def check_business(call: Call) -> None:
    """Refuse business parameters that would overwrite a field or header of the protocol (``BadInput``)."""
    taken = sorted(PROTOCOL_FIELDS.intersection(call.body))
    if taken:
        raise BadInput(f"the business parameter {taken[0]!r} has the name of a protocol field; choose another.")
    for name in call.header:
        if name.lower() in _OWN_HEADERS:
            raise BadInput(f"the header {name!r} is the protocol's own; leave it out.")
    try:
        msgspec.json.encode(call.body)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"the business parameters cannot be written as JSON: {error}.") from error


def _file(ask: Ask) -> dict[str, Any]:
    told: dict[str, Any] = {"size": ask.size, "type": ask.type}
    if ask.checksum:
        told["checksum"] = ask.checksum
    if ask.metadata:
        told["metadata"] = dict(ask.metadata)
    return told


def _lifetime(answer: _TokenAnswer, expires_at: float = 0.0) -> float:
    """Seconds that a grant lasts: ``expiresIn`` (RFC 6749, section 5.1), less what it ends before the accessToken."""
    if not (_is_time(answer.expires_in) and _is_time(answer.expires_at)):
        return 0.0
    earlier = answer.expires_at - expires_at if expires_at and answer.expires_at else 0.0
    return max(0.0, float(answer.expires_in - max(0.0, earlier)))


def _is_time(said: object) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and 0 <= said < _FAR


def _by_token(items: Iterable[Item], grant_of: Callable[[Item], Grant]) -> Iterable[tuple[str, list[Item]]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(grant_of(item).access_token, []).append(item)
    return groups.items()


def _failure(call: str, item: _Failed) -> VVOSError:
    code, message = item.code[:LONGEST_CODE] or "DENIED", item.message[:LONGEST] or f"{call} refused it."
    return from_code(code, message, key=item.key, http_status=403)


def _refused(where: str, answer: Answer, told: _Told) -> VVOSError:
    code = str(told.code or "")[:LONGEST_CODE]
    status = answer.status
    if status < 300:
        # It says success: false, and HTTP says otherwise: a refusal like any other.
        code, status = "DENIED" if code in ("", "SUCCESS") else code, 403
    if code:
        message = str(told.message or f"refused with {code}.")[:LONGEST]
        return from_code(code, f"{where}: {message}", http_status=status, retry_after=answer.retry_after)
    message = f"{where} answered HTTP {status} ({_media_type(answer)})."
    return for_status(status)(message, retry_after=answer.retry_after)


def _media_type(answer: Answer) -> str:
    return answer.headers.get("Content-Type", "").partition(";")[0] or "no content type"


def public_address(url: str) -> str:
    """The address without what may be secret in it: user, password, query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that is none"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
