"""The rows in the pages of an SQLite file, whatever has become of the tree above them.

SQLite itself gives up on a table when a page on the way to its rows is damaged, and on a file when its first page is.
Its form is published and fixed (https://www.sqlite.org/fileformat2.html, "B-tree Pages" and "Record Format"), so each
page can be read for itself. What comes out is as good as the check sum in each row says.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

SIZE = 4096
"""Bytes of a page; the journal's are always of this size."""
_INDEX_INTERIOR, _INDEX_LEAF, _TABLE_LEAF = 2, 10, 13
_WIDTHS = (0, 1, 2, 3, 4, 6, 8)
"""Bytes of an integer, by its serial type."""


def rows(file: BinaryIO, usable: int) -> Iterator[tuple[Any, ...]]:
    """Every row that can be taken apart; that of a table with its row number in the place of its first column.

    ``usable`` is how many bytes of a page SQLite uses: the others belong to extensions.
    """
    count = -(-file.seek(0, 2) // SIZE)  # the last one may lack its end
    for number in range(2, count + 1):  # the first page holds the schema
        page = _page(file, number)
        kind = page[0]
        if kind not in (_INDEX_INTERIOR, _INDEX_LEAF, _TABLE_LEAF):
            continue
        first = 12 if kind == _INDEX_INTERIOR else 8
        cells = min(int.from_bytes(page[3:5], "big"), (SIZE - first) // 2)
        for (cell,) in struct.iter_unpack(">H", page[first : first + 2 * cells]):
            try:
                yield _row(file, page, cell, kind, usable, count)
            except (IndexError, ValueError, struct.error):
                continue


def _row(file: BinaryIO, page: bytes, at: int, kind: int, usable: int, count: int) -> tuple[Any, ...]:
    if kind == _INDEX_INTERIOR:
        at += 4  # the page below
    size, at = _varint(page, at)
    number = 0
    if kind == _TABLE_LEAF:
        number, at = _varint(page, at)
    most = usable - 35 if kind == _TABLE_LEAF else (usable - 12) * 64 // 255 - 23
    local = size
    if size > most:
        least = (usable - 12) * 32 // 255 - 23
        local = least + (size - least) % (usable - 4)
        local = local if local <= most else least
    if size > count * SIZE or at + local > usable:
        raise ValueError("a cell that is larger than the file, or than its page")
    payload = bytearray(page[at : at + local])
    (following,) = struct.unpack_from(">I", page, at + local) if size > local else (0,)
    while len(payload) < size:
        if not 1 < following <= count:
            raise ValueError("the end of a row is missing")
        overflow = _page(file, following)
        (following,) = struct.unpack_from(">I", overflow)
        payload += overflow[4 : min(usable, 4 + size - len(payload))]
    values = _values(bytes(payload))
    return (number - (number >> 63 << 64), *values[1:]) if kind == _TABLE_LEAF else tuple(values)


def _values(payload: bytes) -> list[Any]:
    end, at = _varint(payload, 0)
    body, values = end, list[Any]()
    while at < end:
        serial, at = _varint(payload, at)
        length = 8 if serial == 7 else _WIDTHS[serial] if serial < 7 else 0 if serial < 12 else (serial - 12) // 2
        field = payload[body : body + length]
        if len(field) != length:
            raise ValueError("a column that is longer than its row")
        body += length
        if serial == 0:
            values.append(None)
        elif serial in (8, 9):
            values.append(serial - 8)
        elif serial == 7:
            values += struct.unpack(">d", field)
        elif serial < 7:
            values.append(int.from_bytes(field, "big", signed=True))
        else:
            values.append(field.decode("utf-8", "replace") if serial % 2 else field)
    return values


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _page(file: BinaryIO, number: int) -> bytes:
    file.seek((number - 1) * SIZE)
    return file.read(SIZE).ljust(SIZE, b"\0")
