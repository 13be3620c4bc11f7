"""The journal's two tables, and what is said to them and asked of them in SQL."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ..model import Receipt
from .record import ReceiptRow, Record, UploadRow, read_receipt, read_upload, row_id, upload_row

if TYPE_CHECKING:
    from sqlite3 import Connection

APPLICATION = 0x56564F53
"""``PRAGMA application_id``: "VVOS" in ASCII."""
VERSION = 1
"""``PRAGMA user_version``: the form of the tables and of what is in them."""
SCHEMA = (
    "CREATE TABLE uploads (id INTEGER PRIMARY KEY, state TEXT NOT NULL, begun REAL NOT NULL, changed REAL NOT NULL, "
    "record BLOB NOT NULL, sum INTEGER NOT NULL)",
    "CREATE TABLE receipts (upload INTEGER NOT NULL, number INTEGER NOT NULL, receipt BLOB NOT NULL, "
    "sum INTEGER NOT NULL, PRIMARY KEY (upload, number)) WITHOUT ROWID",
)
KEPT = 10_000
"""Finished uploads that are remembered at most."""
KEPT_FOR = 90 * 86400.0
"""Seconds that a finished upload is remembered at most."""

_AT_ONCE = 500  # ids in one IN: older SQLite takes 999 parameters
_PUT_UPLOAD = "INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?)"
_PUT_RECEIPT = "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?)"


def check(database: Connection) -> None:
    """Raises ``ValueError`` for a damage that no question for an upload would meet: a row that lies under another's id.

    Receipts belong to unfinished uploads, always; and these are few, so each one's row is read.
    """
    for row in database.execute("SELECT * FROM uploads WHERE state = 'unfinished'"):
        read_upload(row)
    [(stray,)] = database.execute(
        "SELECT EXISTS (SELECT 1 FROM receipts WHERE upload NOT IN (SELECT id FROM uploads WHERE state = 'unfinished'))"
    )
    if stray:
        raise ValueError("a receipt belongs to no unfinished upload")


def find(database: Connection, ids: Sequence[int]) -> list[Record]:
    """The records of these row numbers, in no order. Raises ``ValueError`` when a row was damaged."""
    found = []
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        listed = f"IN ({', '.join('?' * len(some))})"
        receipts: dict[int, list[tuple[Receipt, float]]] = {}
        for row in database.execute(f"SELECT * FROM receipts WHERE upload {listed} ORDER BY upload, number", some):
            upload, receipt, at = read_receipt(row)
            receipts.setdefault(upload, []).append((receipt, at))
        for row in database.execute(f"SELECT * FROM uploads WHERE id {listed}", some):
            found.append(_with_receipts(read_upload(row), receipts.get(row[0], [])))
    return found


def _with_receipts(record: Record, confirmed: list[tuple[Receipt, float]]) -> Record:
    if not confirmed:
        return record
    receipts = tuple(receipt for receipt, _ in confirmed)
    return structs.replace(record, receipts=receipts, changed_at=max(record.changed_at, *(at for _, at in confirmed)))


def ids(database: Connection) -> list[int]:
    """The row numbers of all uploads, oldest first."""
    return [number for (number,) in database.execute("SELECT id FROM uploads ORDER BY begun, id")]


def begin(database: Connection, upload: UploadRow, receipts: Sequence[ReceiptRow]) -> None:
    database.execute("DELETE FROM receipts WHERE upload = ?", upload[:1])
    database.execute(_PUT_UPLOAD, upload)
    database.executemany(_PUT_RECEIPT, receipts)


def change(database: Connection, id: str, fields: dict[str, Any]) -> None:
    """Change the fields of a record; nothing where there is none."""
    for row in database.execute("SELECT * FROM uploads WHERE id = ?", (row_id(id),)).fetchall():
        database.execute(_PUT_UPLOAD, upload_row(structs.replace(read_upload(row), **fields)))


def store(database: Connection, receipt: ReceiptRow) -> None:
    database.execute(
        "INSERT OR REPLACE INTO receipts SELECT ?, ?, ?, ? "
        "WHERE EXISTS (SELECT 1 FROM uploads WHERE id = ? AND state = 'unfinished')",
        (*receipt, receipt[0]),
    )


def forget(database: Connection, id: str, numbers: Collection[int]) -> None:
    upload = row_id(id)
    rows = ((upload, number) for number in numbers)
    database.executemany("DELETE FROM receipts WHERE upload = ? AND number = ?", rows)


def finish(database: Connection, id: str, fields: dict[str, Any]) -> None:
    change(database, id, {"state": "finished", "grant": None, "error": "", **fields})
    database.execute("DELETE FROM receipts WHERE upload = ?", (row_id(id),))


def drop(database: Connection, id: str) -> None:
    database.execute("DELETE FROM uploads WHERE id = ?", (row_id(id),))
    database.execute("DELETE FROM receipts WHERE upload = ?", (row_id(id),))


def prune(database: Connection) -> None:
    """Forget the finished uploads that are too many or too old."""
    database.execute(
        "DELETE FROM uploads WHERE state = 'finished' AND (changed < ? OR id IN ("
        "SELECT id FROM uploads WHERE state = 'finished' ORDER BY changed DESC LIMIT -1 OFFSET ?))",
        (time.time() - KEPT_FOR, KEPT),
    )


def refill(database: Connection, rows: Iterator[tuple[Any, ...]]) -> tuple[int, int]:
    """Put in what can be read of a damaged journal; answers how many uploads that are, and how many rows were bad.

    Of two rows of one upload the one that changed last is taken: a page may be there in an older version as well.
    """
    bad = 0
    for row in rows:
        try:
            if len(row) == 4:
                read_receipt(row)
                database.execute(_PUT_RECEIPT, row)
            else:
                read_upload(row)
                database.execute(
                    "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE "
                    "SET state = excluded.state, begun = excluded.begun, changed = excluded.changed, "
                    "record = excluded.record, sum = excluded.sum "
                    "WHERE excluded.changed >= changed",
                    row,
                )
        except (ValueError, TypeError, OverflowError):
            bad += 1
    database.execute("DELETE FROM receipts WHERE upload NOT IN (SELECT id FROM uploads WHERE state = 'unfinished')")
    [(kept,)] = database.execute("SELECT count(*) FROM uploads")
    return kept, bad
