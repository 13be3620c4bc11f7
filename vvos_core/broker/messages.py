"""The JSON of the three calls, typed: what is on the wire, and the sentence for what should not be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from ..errors import BadInput, VVOSError
from ..model import Grant

SUCCESS = "SUCCESS"
PARTIAL = "PARTIAL"
"""The ``code`` of an answer in which some keys failed; when all did, it is the first failure's."""

Size = Annotated[int, Meta(ge=0, le=2**63 - 1, description="bytes")]
Keys = Annotated[list[str], Meta(min_length=1)]


class FileInfo(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the client says of one file."""

    size: Size | UnsetType = UNSET
    type: str = ""
    checksum: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class GetToken(Struct, frozen=True, kw_only=True, rename="camel"):
    request_token: str
    keys: Keys
    files: dict[str, FileInfo] = field(default_factory=dict)
    cover: bool | UnsetType = UNSET
    client: str = ""
    access_token: str = ""


class Exists(Struct, frozen=True, kw_only=True, rename="camel"):
    access_token: str
    keys: Keys
    parts: bool = False


class FinishedFile(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the client read of one finished file."""

    size: Size | UnsetType = UNSET
    checksum: str = ""
    digest: str = ""


class Notifier(Struct, frozen=True, kw_only=True, rename="camel"):
    access_token: str
    keys: Keys
    files: dict[str, FinishedFile] = field(default_factory=dict)


class Failed(Struct, frozen=True, kw_only=True):
    """One key that failed, and why."""

    key: str
    code: str
    message: str

    @classmethod
    def of(cls, key: str, error: VVOSError) -> Failed:
        return cls(key=key, code=error.code, message=error.message)


class GrantOut(Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What the client needs to put one key."""

    provider: str
    size: int
    type: str
    cover: bool = False
    keep_existing: bool = False
    expires_at: float
    multipart: bool = False
    part_size: int = 0
    upload_id: str = ""
    checksum: str = ""
    seal: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, grant: Grant) -> GrantOut:
        return cls(
            provider=grant.provider,
            size=grant.size,
            type=grant.type,
            cover=grant.cover,
            keep_existing=grant.keep_existing,
            expires_at=grant.expires_at,
            multipart=grant.multipart,
            part_size=grant.part_size,
            upload_id=grant.upload_id,
            checksum=grant.checksum,
            seal=grant.seal,
            metadata=grant.metadata,
            data=grant.data,
        )


class Granted(Struct, frozen=True, kw_only=True, rename="camel"):
    success: bool
    code: str
    access_token: str
    keys: dict[str, str]
    provider: str
    expires_at: float
    expires_in: Annotated[float, Meta(ge=0, description="seconds from this answer until the accessToken expires")]
    grants: dict[str, GrantOut]
    failed: list[Failed] | UnsetType = UNSET


class Part(Struct, frozen=True, kw_only=True, omit_defaults=True):
    number: int
    size: int
    proof: str
    checksum: str = ""


class ObjectState(Struct, frozen=True, kw_only=True):
    key: str
    exists: bool
    size: int | UnsetType = UNSET
    checksum: str | UnsetType = UNSET
    parts: list[Part] | UnsetType = UNSET
    """Left out: not asked for, or the service cannot say. Empty: none are stored."""


class ExistsAnswer(Struct, frozen=True, kw_only=True):
    success: bool
    code: str
    objects: list[ObjectState]
    failed: list[Failed] | UnsetType = UNSET


class ObjectUrl(Struct, frozen=True, kw_only=True):
    key: str
    url: str


class NotifierAnswer(Struct, frozen=True, kw_only=True):
    code: str
    objects: list[ObjectUrl]
    failed: list[Failed] | UnsetType = UNSET
    success: bool


class Refusal(Struct, frozen=True, kw_only=True):
    """The body of every answer that is an error."""

    success: bool = False
    code: str
    message: str
    failed: list[Failed] | UnsetType = UNSET


class Health(Struct, frozen=True, kw_only=True):
    status: str
    database: str


Request = TypeVar("Request", GetToken, Exists, Notifier)

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_typed: Mapping[Any, Any] = {kind: msgspec.json.Decoder(kind).decode for kind in (GetToken, Exists, Notifier)}
_known = {kind: frozenset(kind.__struct_encode_fields__) for kind in (GetToken, Exists, Notifier)}
_any = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


def read(body: bytes, type_: type[Request]) -> tuple[Request, dict[str, Any]]:
    """The protocol's fields of a request body, and the rest: the business parameters.

    Raises ``BadInput`` that names the field and says what was expected.
    """
    try:
        message: Request = _typed[type_](body)
        known = _known[type_]
        return message, {name: _any(value) for name, value in _fields(body).items() if name not in known}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _read_slowly(body, type_)


def _read_slowly(body: bytes, type_: type[Request]) -> tuple[Request, dict[str, Any]]:
    """The same in two steps, the JSON and then the types: what is wrong in either has words of its own."""
    try:
        raw = _decode(body)
    except RecursionError:
        raise BadInput("the body is nested too deeply.") from None
    except UnicodeDecodeError:
        raise BadInput("the body is not UTF-8.") from None
    except msgspec.ValidationError as error:
        raise BadInput(f"the body: {_sentence(str(error))}") from None
    except msgspec.DecodeError as error:
        raise BadInput(f"the body is not JSON: {error}.") from None
    try:
        message = msgspec.convert(raw, type_)
    except msgspec.ValidationError as error:
        raise BadInput(_sentence(str(error))) from None
    known = type_.__struct_encode_fields__
    return message, {name: value for name, value in raw.items() if name not in known}


def outcome(done: int, failed: list[Failed]) -> tuple[bool, str]:
    """``success`` and ``code`` of an answer."""
    if not failed:
        return True, SUCCESS
    return False, PARTIAL if done else failed[0].code


_PLACE = re.compile(r"^(?P<what>.*?)(?: - at `(?P<key>key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>\w+)`$")
_TYPE = re.compile(r"`([a-z |]+)`")
_NAMES = {
    "str": "a string",
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def _sentence(message: str) -> str:
    """msgspec's message in words of JSON: "`keys[3]`: expected a string, got an integer."""
    found = _PLACE.match(message)
    assert found is not None  # the pattern matches any text
    what, path = found["what"], (found["path"] or "").lstrip(".").replace("[...]", "[…]")
    missing = _MISSING.match(what)
    if missing:
        path, what = f"{path}.{missing['name']}".lstrip("."), "it is missing"
    what = _TYPE.sub(lambda m: " or ".join(_NAMES.get(name, name) for name in m[1].split(" | ")), what)
    what = what[:1].lower() + what[1:]
    return f"{f'`{path}`: ' if path else ''}{what}."
