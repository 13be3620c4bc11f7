"""Reads a TOML file: its values, and the line on which each of them stands."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

Place = tuple[str | int, ...]
"""Where a value stands: names of tables and keys, and numbers (from 0) of list items."""


class BadToml(ValueError):
    """Text that is not TOML. ``line`` and ``column`` count from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Document:
    """One file's values. The text is kept, for it tells the lines; neither is shown, for both may hold secrets."""

    def __init__(self, text: str = "", path: Path | None = None) -> None:
        """Raises ``BadToml``."""
        self.path = path
        self.values = _parse(text)
        self._text = text

    @classmethod
    def read(cls, path: Path) -> Document:
        """The file at ``path``. Raises ``OSError`` and ``BadToml``."""
        return cls(_decode(path.read_bytes()), path)

    def __repr__(self) -> str:
        return f"Document({self.path})"

    @property
    def name(self) -> str:
        """The file's path as text; empty when there is no file."""
        return "" if self.path is None else str(self.path)

    @property
    def folder(self) -> Path:
        """The folder from which the file's own relative paths start."""
        return Path() if self.path is None else self.path.parent

    def line(self, place: Place) -> int | None:
        """The line, from 1, on which ``place`` is set, or else the nearest table around it; None for neither."""
        for end in range(len(place), 0, -1):
            line = self._lines.get(place[:end])
            if line is not None:
                return line
        return None

    @cached_property
    def _lines(self) -> dict[Place, int]:
        return _index(self._text)


def dotted(place: Place) -> str:
    """``place`` as it would be written in TOML, with the number of a list's item (from 0) in brackets."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + (part if _BARE.fullmatch(part) else quoted(part))
    return text


def quoted(text: str) -> str:
    """``text`` as a TOML string on one line."""
    import json  # here, for only messages need it

    return json.dumps(text, ensure_ascii=False)


_BARE = re.compile(r"[A-Za-z0-9_-]+")
_AT = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def _decode(data: bytes) -> str:
    try:
        # Some editors begin a file with a byte order mark, which TOML does not know.
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        raise BadToml("this is not UTF-8; save the file as UTF-8", *_position(before)) from None


def _position(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _loads(text: str) -> dict[str, Any]:
    # Imported on first use: most programs that import the core read no file.
    if not text:
        return {}
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return tomllib.loads(text)


def _parse(text: str) -> dict[str, Any]:
    try:
        return _loads(text)
    except RecursionError:
        raise BadToml("values are nested too deeply", 1, 1) from None
    except ValueError as error:
        # The parser's own error is a ValueError; Python's limit on the digits of a number is one without a place.
        said = str(error)
        at = _AT.search(said)
        line, column = (int(at[1]), int(at[2])) if at and at[1] else _position(text)
        said = _AT.sub("", said)
        if text.split("\n")[line - 1][column - 1 : column] > "\x7f":
            said += "; put names and values that have such letters into quotes"
        raise BadToml(said, line, column) from None


def _index(text: str) -> dict[Place, int]:
    """The line of every place in ``text``, which is known to be TOML.

    The parser tells no lines. But the lines of one statement, and no fewer, parse on their own: what is cut before
    its end has an open bracket or quote. So each statement goes through the parser alone, and says what it sets.
    """
    lines: dict[Place, int] = {}
    last: dict[Place, int] = {}
    table: Place = ()
    for number, statement in _statements(text):
        values = _loads(statement)
        if statement.lstrip(" \t").startswith("["):
            table = _enter(values, last)
            lines[table] = number
            for end in range(1, len(table)):
                lines.setdefault(table[:end], number)
        else:
            for place in _places(values, table):
                lines.setdefault(place, number)
    return lines


def _statements(text: str) -> Iterator[tuple[int, str]]:
    start, waiting = 1, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        waiting += line + "\n"
        try:
            _loads(waiting)
        except ValueError:
            continue
        yield start, waiting
        start, waiting = number + 1, ""


def _enter(values: Mapping[str, Any], last: dict[Place, int]) -> Place:
    """The place of a header's table. ``last`` knows the newest item of every array of tables, and learns a new one."""
    place: Place = ()
    inner: Any = values
    while inner:
        ((name, inner),) = inner.items()
        place += (name,)
        if isinstance(inner, list):
            last[place] = last.get(place, -1) + 1
            inner = {}
        if place in last:
            place += (last[place],)
    return place


def _places(value: Any, place: Place) -> Iterator[Place]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in inner:
        yield (*place, name)
        yield from _places(item, (*place, name))
