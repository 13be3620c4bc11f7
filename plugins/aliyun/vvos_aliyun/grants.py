"""What a grant carries from the half that signs to the half that puts: presigned requests, or credentials to presign.

Of the requests for the parts all but the signature is the same, so it is there once; a signature is 32 bytes, 43
characters of unpadded base64, and all of them are one string: 430 KB for 10,000 parts.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from vvos_core import BadAnswer, Grant, Plan, Secret

from . import metadata
from .address import Address
from .v4 import PAYLOAD, Signer, Signing

Given = TypeVar("Given")
_LETTERS = 43
_PART_HEADERS = "content-length;host"


class Signed(Struct, frozen=True, omit_defaults=True):
    """One presigned request, and the headers that were signed and have to be sent with it."""

    url: str
    headers: dict[str, str] = {}


class Requests(Protocol):
    """The requests of one grant."""

    def put(self) -> Signed: ...

    def part(self, number: int) -> Signed: ...

    def complete(self) -> Signed: ...

    def abort(self) -> Signed: ...

    def look(self) -> Signed:
        """HEAD of the object: is it the one that was completed?"""
        ...


class Parts(Struct, frozen=True):
    """The presigned requests for all parts; see above."""

    url: str
    """All that comes before the part's number."""
    tail: str
    """What comes between number and signature."""
    signatures: str


class Presigned(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``Grant.data`` of presigned requests: ``put`` alone, or all the others."""

    put_: Signed | None = msgspec.field(default=None, name="put")
    parts_: Parts | None = msgspec.field(default=None, name="parts")
    complete_: Signed | None = msgspec.field(default=None, name="complete")
    abort_: Signed | None = msgspec.field(default=None, name="abort")
    look_: Signed | None = msgspec.field(default=None, name="look")

    def put(self) -> Signed:
        return _there(self.put_)

    def complete(self) -> Signed:
        return _there(self.complete_)

    def abort(self) -> Signed:
        return _there(self.abort_)

    def look(self) -> Signed:
        return _there(self.look_)

    def part(self, number: int) -> Signed:
        parts = _there(self.parts_)
        letters = parts.signatures[(number - 1) * _LETTERS : number * _LETTERS]
        if number < 1 or len(letters) != _LETTERS:
            raise BadAnswer(f"the grant has no request for part {number}; ask for another.")
        return Signed(f"{parts.url}{number}{parts.tail}{base64.urlsafe_b64decode(letters + '=').hex()}")


class Session(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``Grant.data`` of STS credentials: who signs, from when, for how long, and for where."""

    access_key: str
    secret_key: str
    token: str
    region: str
    issued_at: float
    """Seconds since 1970, UTC; the requests are signed as of then, so the client's clock does not matter."""
    seconds: int
    address: Address
    look: Signed | None = None
    """Signed by the broker, for uploads in parts: the credentials may not read."""

    def requests(self, grant: Grant) -> Requests:
        """Signs each request when it is asked for."""
        signer = Signer(Secret(self.access_key), Secret(self.secret_key), self.region, Secret(self.token))
        return Writer(grant, signer.at(self.issued_at, self.seconds), self.address, self.look)


class Puts:
    """Presigns the requests that put objects in one piece. What those of a batch share is done once."""

    def __init__(self, signing: Signing, address: Address) -> None:
        self._signing = signing
        self._address = address

    def fill(self, grants: Sequence[Grant]) -> list[Grant]:
        """The grants with their data."""
        filled = list(grants)
        alike: dict[tuple[str, bool], list[int]] = {}
        for place, grant in enumerate(grants):
            if grant.metadata:
                filled[place] = replace(grant, data=_alone(*self._together([grant])[0]))
            else:
                alike.setdefault((grant.type, grant.cover), []).append(place)
        for places in alike.values():
            for place, put in zip(places, self._together([grants[place] for place in places]), strict=True):
                filled[place] = replace(grants[place], data=_alone(*put))
        return filled

    def put(self, grant: Grant) -> Signed:
        """``host`` and ``content-length`` are signed but not listed: whoever sends a request sends them."""
        return Signed(*self._together([grant])[0])

    def _together(self, grants: Sequence[Grant]) -> list[tuple[str, dict[str, str]]]:
        """The url and the headers of each; they are alike but for key and size."""
        first, origin = grants[0], self._address.origin
        headers = {"content-type": first.type, **_unless_there(first), **metadata.headers(first.metadata)}
        form = self._signing.form("PUT", {"host": self._address.host, **headers})
        paths, resources = self._address.paths([grant.key for grant in grants])
        queries = form.presign(resources, [grant.size for grant in grants])
        return [(f"{origin}{path}?{query}", headers) for path, query in zip(paths, queries, strict=True)]


def _alone(url: str, headers: dict[str, str]) -> Mapping[str, Any]:
    """``Grant.data``: what ``Presigned`` of a put becomes, at a tenth of the cost."""
    return {"presigned": {"put": {"url": url, "headers": headers}}}


def _unless_there(grant: Grant) -> dict[str, str]:
    return {} if grant.cover else {"x-oss-forbid-overwrite": "true"}


class Writer:
    """Presigns the requests of one grant."""

    def __init__(self, grant: Grant, signing: Signing, address: Address, look: Signed | None = None) -> None:
        self._grant = grant
        self._signing = signing
        self._address = address
        self._look = look
        self._plan = Plan(size=grant.size, multipart=grant.multipart, part_size=grant.part_size)
        path, self._resource = address.both(grant.key)
        self._url = address.origin + path

    def put(self) -> Signed:
        return Puts(self._signing, self._address).put(self._grant)

    def part(self, number: int) -> Signed:
        if not 1 <= number <= self._plan.count:
            raise BadAnswer(f"the grant is for {self._plan.count} parts, and {number} is none of them.")
        extra = {"partNumber": str(number), "uploadId": self._grant.upload_id}
        form = self._signing.form("PUT", {"host": self._address.host}, extra)
        [query] = form.presign([self._resource], [self._plan.span(number)[1]])
        return Signed(f"{self._url}?{query}")

    def complete(self) -> Signed:
        # A type of its own: what a browser would add by itself is not signed, and refused.
        headers = {"content-type": "application/xml", **_unless_there(self._grant)}
        return self._request("POST", headers, {"uploadId": self._grant.upload_id})

    def abort(self) -> Signed:
        return self._request("DELETE", {}, {"uploadId": self._grant.upload_id})

    def look(self) -> Signed:
        return self._look or self._request("HEAD", {})

    def presigned(self) -> Presigned:
        """Every request that the grant allows."""
        if not self._grant.multipart:
            return Presigned(put_=self.put())
        return Presigned(parts_=self._parts(), complete_=self.complete(), abort_=self.abort(), look_=self.look())

    def _request(self, method: str, headers: dict[str, str], extra: Mapping[str, str] | None = None) -> Signed:
        """``host`` is signed but not listed: whoever sends a request sends it."""
        query = self._signing.presign(method, self._resource, {"host": self._address.host, **headers}, extra)
        return Signed(f"{self._url}?{query}", headers)

    def _parts(self) -> Parts:
        extra = {"partNumber": "0", "uploadId": self._grant.upload_id}
        before, _, after = self._signing.query(_PART_HEADERS, extra).partition("partNumber=0")
        before += "partNumber="
        signatures = bytearray()
        begin = f"PUT\n{self._resource}\n{before}"
        for number in range(1, self._plan.count + 1):
            length = self._plan.span(number)[1]
            lines = f"content-length:{length}\nhost:{self._address.host}\n"
            canonical = f"{begin}{number}{after}\n{lines}\n{_PART_HEADERS}\n{PAYLOAD}"
            signatures += base64.urlsafe_b64encode(self._signing.sign(canonical.encode()))[:_LETTERS]
        return Parts(
            url=f"{self._url}?{before}",
            tail=f"{after}&x-oss-signature=",
            signatures=signatures.decode(),
        )


class _Data(Struct, frozen=True, omit_defaults=True):
    presigned: Presigned | None = None
    sts: Session | None = None


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
msgspec.json.Decoder(_Data)


def read(grant: Grant) -> Requests:
    """The requests of a grant. Raises ``BadAnswer`` when its data are not of this form."""
    try:
        data = msgspec.convert(grant.data, _Data)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"the grant of {grant.key!r} is not one of this provider's: {error}.", key=grant.key) from error
    if data.sts is not None:
        return data.sts.requests(grant)
    if data.presigned is not None:
        return data.presigned
    raise BadAnswer(f"the grant of {grant.key!r} has no requests; ask for another.", key=grant.key)


def write(requests: Presigned | Session) -> Mapping[str, Any]:
    """The data of a grant."""
    data = _Data(presigned=requests) if isinstance(requests, Presigned) else _Data(sts=requests)
    built: Mapping[str, Any] = msgspec.to_builtins(data)
    return built


def _there(value: Given | None) -> Given:
    if value is None:
        raise BadAnswer("the grant has no request for this; ask for another.")
    return value
