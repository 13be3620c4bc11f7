"""What a grant carries from the half that signs to the half that puts: presigned requests, in a compact form.

Of the requests for the parts all but the signature is the same, so it is there once; a signature is 32 bytes, 43
characters of unpadded base64, and all of them are one string: 430 KB for 10,000 parts.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from vvos_core import BadAnswer, Grant, Plan, VVOSError

from .address import Address
from .checksum import CRC64NVME, MD5
from .metadata import encode
from .settings import Algorithm
from .sigv4 import PAYLOAD, Form, Signing

_LETTERS = 43


class Signed(Struct, frozen=True, omit_defaults=True):
    """One presigned request, and the headers that were signed and have to be sent with it."""

    url: str
    headers: dict[str, str] = {}


class Parts(Struct, frozen=True):
    """The presigned requests for all parts; see above."""

    url: str
    """All that comes before the part's number."""
    tail: str
    """What comes between number and signature."""
    signatures: str

    def url_of(self, number: int) -> str:
        """The URL that puts part ``number``. Raises ``BadAnswer`` when the grant has none for it."""
        letters = self.signatures[(number - 1) * _LETTERS : number * _LETTERS]
        if number < 1 or len(letters) != _LETTERS:
            raise BadAnswer(f"the grant has no request for part {number}; ask for another.")
        return f"{self.url}{number}{self.tail}{base64.urlsafe_b64decode(letters + '=').hex()}"


class Requests(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``Grant.data``: either ``put``, or ``parts``, ``abort`` and, once it may be made, ``complete``."""

    checksum: Algorithm
    put: Signed | None = None
    parts: Parts | None = None
    complete: Signed | None = None
    abort: Signed | None = None


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
msgspec.json.Decoder(Requests)


def read(grant: Grant) -> Requests:
    """The requests of a grant. Raises ``BadAnswer`` when its data are not of this form."""
    try:
        return msgspec.convert(grant.data, Requests)
    except msgspec.ValidationError as error:
        raise BadAnswer(f"the grant of {grant.key!r} is not one of this provider's: {error}.", key=grant.key) from error


class Writer:
    """Writes the data of grants: every request that each allows, presigned. What those of a batch share is done once.

    ``algorithm`` is the checksum that the client is to compute.
    """

    def __init__(self, signing: Signing, address: Address, algorithm: Algorithm) -> None:
        self._signing = signing
        self._address = address
        self._algorithm = algorithm

    def fill(self, answers: Sequence[Grant | VVOSError]) -> list[Grant | VVOSError]:
        """``answers``, the grants among them with their data."""
        filled = list(answers)
        alike: dict[tuple[str, bool], list[tuple[int, Grant]]] = {}
        for place, grant in enumerate(answers):
            if isinstance(grant, VVOSError):
                continue
            if grant.multipart or grant.checksum or grant.metadata:
                filled[place] = replace(grant, data=self.data(grant))
            else:
                alike.setdefault((grant.type, grant.cover), []).append((place, grant))
        for same in alike.values():
            form, headers = self._put(same[0][1])
            for (place, grant), url in zip(same, self._urls(form, [grant for _, grant in same]), strict=True):
                filled[place] = replace(grant, data=self._alone(url, headers))
        return filled

    def data(self, grant: Grant) -> Mapping[str, Any]:
        """``Grant.data``."""
        if grant.multipart:
            parts = _Parts(grant, self._signing, self._address)
            requests = Requests(
                checksum=self._algorithm,
                parts=parts.parts(),
                complete=parts.complete() if grant.checksum or not grant.seal else None,
                abort=parts.request("DELETE", {}),
            )
            data: Mapping[str, Any] = msgspec.to_builtins(requests)
            return data
        form, headers = self._put(grant)
        return self._alone(self._urls(form, [grant])[0], headers)

    def _urls(self, form: Form, grants: Sequence[Grant]) -> list[str]:
        origin, paths = self._address.origin, self._address.paths([grant.key for grant in grants])
        queries = form.presign(paths, [grant.size for grant in grants])
        return [f"{origin}{path}?{query}" for path, query in zip(paths, queries, strict=True)]

    def _alone(self, url: str, headers: dict[str, str]) -> Mapping[str, Any]:
        """What ``Requests`` of a put becomes, at a tenth of the cost."""
        return {"checksum": self._algorithm, "put": {"url": url, "headers": headers}}

    def _put(self, grant: Grant) -> tuple[Form, dict[str, str]]:
        """The form of the request that puts an object in one piece, and its headers.

        ``host`` and ``content-length`` are signed but not listed: whoever sends it sends them.
        """
        headers = {"content-type": grant.type, **_unless_there(grant), **_said(grant)}
        return self._signing.form("PUT", {"host": self._address.host, **headers}), headers


def _unless_there(grant: Grant) -> dict[str, str]:
    return {} if grant.cover else {"if-none-match": "*"}


def _said(grant: Grant) -> dict[str, str]:
    """The headers of metadata and checksum."""
    headers = {f"x-amz-meta-{name}": value for name, value in encode(grant.metadata).items()}
    algorithm, _, value = grant.checksum.partition(":")
    if algorithm == CRC64NVME:
        headers["x-amz-checksum-crc64nvme"] = value
    elif algorithm == MD5:
        headers["content-md5"] = base64.b64encode(bytes.fromhex(value)).decode()
    return headers


class _Parts:
    """The requests of one upload in parts."""

    def __init__(self, grant: Grant, signing: Signing, address: Address) -> None:
        self._grant = grant
        self._signing = signing
        self._address = address
        self._path = address.path(grant.key)

    def request(self, method: str, headers: dict[str, str]) -> Signed:
        """One request; ``host`` is signed but not listed: whoever sends it sends it."""
        address = self._address
        extra = {"uploadId": self._grant.upload_id}
        query = self._signing.presign(method, self._path, {"host": address.host, **headers}, extra)
        return Signed(f"{address.origin}{self._path}?{query}", headers)

    def complete(self) -> Signed:
        algorithm, _, value = self._grant.checksum.partition(":")
        headers = _unless_there(self._grant)
        if algorithm == CRC64NVME:
            headers["x-amz-checksum-crc64nvme"] = value
            headers["x-amz-checksum-type"] = "FULL_OBJECT"
            headers["x-amz-mp-object-size"] = str(self._grant.size)
        return self.request("POST", headers)

    def parts(self) -> Parts:
        grant, names = self._grant, "content-length;host"
        common, _, upload = self._signing.query(names, {"partNumber": "", "uploadId": grant.upload_id}).partition(
            "partNumber="
        )
        plan = Plan(size=grant.size, multipart=True, part_size=grant.part_size)
        signatures = bytearray()
        begin = f"PUT\n{self._path}\n{common}partNumber="
        for number in range(1, plan.count + 1):
            length = plan.span(number)[1]
            signatures += base64.urlsafe_b64encode(
                self._signing.sign(
                    f"{begin}{number}{upload}\ncontent-length:{length}\nhost:{self._address.host}\n\n{names}\n{PAYLOAD}"
                )
            )[:_LETTERS]
        return Parts(
            url=f"{self._address.origin}{self._path}?{common}partNumber=",
            tail=f"{upload}&X-Amz-Signature=",
            signatures=signatures.decode(),
        )
