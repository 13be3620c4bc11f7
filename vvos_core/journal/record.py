"""One upload as it is known to the next run, and its form in the store."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from zlib import crc32

from msgspec import Struct, ValidationError, convert, field, structs, to_builtins

from ..fingerprint import Fingerprint
from ..model import Grant, Receipt

_T = TypeVar("_T")
_BITS = (1 << 64) - 1
_HEX = frozenset("0123456789abcdef")

UploadRow = tuple[int, str, float, float, bytes, int]
"""A row of the table ``uploads``."""
ReceiptRow = tuple[int, int, bytes, int]
"""A row of the table ``receipts``."""


class Record(Struct, frozen=True, kw_only=True):
    """An upload as the journal knows it."""

    id: str
    """See ``identity``."""
    target: str
    """Who stores it; made by the client, opaque here."""
    client_key: str
    path: str
    """Absolute."""
    fingerprint: Fingerprint
    """Of the file when its first chunk was granted."""
    where: Mapping[str, Any] = field(default_factory=dict)
    """How the upload was asked for, as JSON; opaque here. It holds no secret."""
    type: str = "application/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    grant: Grant | None = None
    """Without its ``data``, which are capabilities; the broker sealed its access token. None in a finished one."""
    receipts: tuple[Receipt, ...] = ()
    """What the service confirmed, in order of their numbers."""
    state: Literal["unfinished", "finished"] = "unfinished"
    error: str = ""
    """``CODE: sentence`` of the last failure."""
    checksum: str = ""
    """``algorithm:value`` of a finished object."""
    url: str = ""
    key: str = ""
    """The server key of a finished object."""
    begun_at: float
    """Seconds since 1970, UTC; for people only: a clock that is set back changes nothing but the ages shown."""
    changed_at: float
    """When it was last begun, renewed, failed or finished, or a chunk of it was confirmed."""


def identity(target: str, client_key: str, path: str) -> str:
    """An upload's id: 16 hex characters, the same whenever the same file goes to the same key of the same target."""
    said = "\0".join((target, client_key, path)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(said).hexdigest()[:16]


def row_id(id: str) -> int:
    """The 64 bits of ``id`` as SQLite's signed row number. Raises ``ValueError`` when it is no id."""
    if len(id) != 16 or not _HEX.issuperset(id):
        raise ValueError(f"{id!r} is not an id of 16 hex characters")
    number = int(id, 16)
    return number - (number >> 63 << 64)


def upload_row(record: Record) -> UploadRow:
    """Without its receipts, and without what only the grant's holder may know."""
    if record.grant is not None and record.grant.data:
        record = structs.replace(record, grant=structs.replace(record.grant, data={}))
    said = to_builtins(structs.replace(record, receipts=()))
    for column in ("id", "receipts", "state", "begun_at", "changed_at"):
        del said[column]
    number, form = row_id(record.id), _json(said)
    head = (number, record.state, float(record.begun_at), float(record.changed_at))
    return *head, form, _sum(*head, form)


def read_upload(row: tuple[Any, ...]) -> Record:
    """The record of a row, without receipts. Raises ``ValueError`` when the row is not what was written."""
    number, state, begun, changed, form, said_sum = row
    head = (number, state, _float(begun), _float(changed))
    if not isinstance(form, bytes) or _sum(*head, form) != said_sum:
        raise ValueError("an upload's row was damaged")
    said = {"id": f"{number & _BITS:016x}", "state": state, "begun_at": head[2], "changed_at": head[3]}
    return _read({**json.loads(form), **said}, Record)


def receipt_row(upload: int, receipt: Receipt, at: float) -> ReceiptRow:
    """``at`` is when it was confirmed, in seconds since 1970, UTC."""
    form = _json({**to_builtins(receipt), "at": at})
    return upload, receipt.number, form, _sum(upload, receipt.number, form)


def read_receipt(row: tuple[Any, ...]) -> tuple[int, Receipt, float]:
    """The upload's row number, the receipt, and when it was confirmed. Raises ``ValueError`` as above."""
    upload, number, form, said_sum = row
    if not isinstance(form, bytes) or _sum(upload, number, form) != said_sum:
        raise ValueError("a receipt's row was damaged")
    said = json.loads(form)
    return upload, _read(said, Receipt), float(said["at"])


def _json(said: dict[str, Any]) -> bytes:
    # Not msgspec's: a path may hold what is not text (surrogates), which this escapes and reads back.
    return json.dumps(said, separators=(",", ":")).encode()


def _read(said: dict[str, Any], type_: type[_T]) -> _T:
    try:
        return convert(said, type_)
    except ValidationError as error:
        raise ValueError(f"{type_.__name__}: {error}") from error


def _float(value: object) -> object:
    # SQLite stores 5.0 as 5, and gives it back as 5.0; a page that is read raw does not.
    return float(value) if isinstance(value, int) else value


def _sum(*values: object) -> int:
    return crc32("\0".join(map(repr, values)).encode())
