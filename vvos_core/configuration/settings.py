"""Turns a raw table into a typed value, and reports every mistake, not only the first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from ..errors import VVOSError
from ..model import Secret
from .document import Document, Place, dotted, quoted
from .environment import NONE, Overrides, segment
from .references import Unresolved, is_text, items_of, reference
from .shapes import Must, Shape, expected, fields, fits, found, shape

__all__ = ["Mistake", "Must", "check", "nearest"]

T = TypeVar("T")

REFER = '{ env = "…" } or { file = "…" }'


class Mistake(msgspec.Struct, frozen=True):
    """What is wrong with the configuration, where, and what would be right. Holds no secret."""

    place: str
    """``broker.port``, or the environment variable that is wrong, or '' where it is about the file."""
    message: str
    line: int | None = None
    """The line of the file, from 1; None where the value comes from elsewhere."""
    file: str = ""
    """The file; '' where the value comes from elsewhere."""

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (where, self.place, self.message) if part)


class Spot(NamedTuple):
    """Where a raw value comes from, and so what may be done with it."""

    place: Place
    variable: str = ""
    """The environment variable that overrides the file here."""
    text: bool = False
    """It is text from outside, to be turned into the field's type."""
    outside: bool = False
    """It is not written in the file, so it may hold a secret as it stands."""
    hidden: bool = False
    """It was referred to, so it may be a secret by mistake and is not shown."""


_ABSENT: Any = object()
_BAD: Any = object()


def check(
    type_: type[T],
    raw: Mapping[str, Any],
    place: Place,
    env: Mapping[str, str],
    *,
    document: Document | None = None,
    overrides: Overrides = NONE,
    also: Iterable[str] = (),
) -> tuple[T | None, list[Mistake]]:
    """The value of ``type_`` that ``raw`` means, or None and what is wrong with it.

    Parameters
    ----------
    type_: a ``msgspec.Struct`` or a dataclass. Its fields may be of any type that msgspec knows, ``Secret`` (also in
        lists and dicts), or such classes again; ``msgspec.Meta`` and ``Must`` constrain them.
    raw: a table as TOML gives it.
    place: where the table stands in the file.
    env: the environment, for references.
    document: the file, for lines, and for its folder, from which ``{ file = … }`` starts.
    overrides: the environment variables that override this table's values.
    also: names that are right in this table, but are read by somebody else.

    Raises ``TypeError`` or ``NameError`` for a class that cannot be read.
    """
    reader = _Reader(env, document or Document())
    value = reader.table(shape(type_), raw, Spot(place), overrides, also)
    return (None if reader.mistakes else cast(T, value)), reader.mistakes


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that ``name`` was probably meant to be, or ''."""
    import difflib  # here, for only mistakes need it

    folded = {each.casefold(): each for each in known}
    close = difflib.get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else ""


class _Reader:
    def __init__(self, env: Mapping[str, str], document: Document) -> None:
        self.env = env
        self.document = document
        self.mistakes: list[Mistake] = []
        self.secrets: list[str] = []

    def wrong(self, spot: Spot, message: str) -> Any:
        if spot.variable:
            self.mistakes.append(Mistake(spot.variable, message))
        else:
            place, line = dotted(spot.place), self.document.line(spot.place)
            self.mistakes.append(Mistake(place, message, line, self.document.name))
        return _BAD

    def value(self, hint: Any, raw: Any, spot: Spot, node: Overrides) -> Any:
        """The value for ``hint``: what ``node`` says, else ``raw``; ``_ABSENT`` for neither, ``_BAD`` for a mistake."""
        form = shape(hint)
        if node.text is not None and not form.named:
            raw, spot = node.text, Spot(spot.place, node.variable, text=True, outside=True)
        if node.below and not form.named:
            for below in node.below.values():
                for each in below.variables():
                    self.wrong(Spot(spot.place, each), f"no such setting: {dotted(spot.place)} is not a table")
        if raw is _ABSENT and not (form.named and node):
            return _BAD if node else _ABSENT
        value = self.shaped(form, hint, raw, spot, node)
        if value is not _BAD:
            for must in form.musts:
                why = must.rule(value)
                if why:
                    return self.wrong(spot, why)
        return value

    def only_below(self, spot: Spot, node: Overrides) -> None:
        """A table has no text of its own."""
        if node.text is not None:
            self.wrong(Spot(spot.place, node.variable), f"is a table; set {node.spell('NAME')} instead")

    def shaped(self, form: Shape, hint: Any, raw: Any, spot: Spot, node: Overrides) -> Any:
        if form.kind == "table":
            return self.table(form, raw, spot, node)
        if form.kind == "dict":
            return self.dict_(form, hint, raw, spot, node)
        try:
            referred = reference(raw, form)
            if referred:
                raw = referred.resolve(self.env, self.document.folder)
                spot = spot._replace(text=True, outside=True, hidden=True)
                if form.kind == "secret" and not raw:
                    raise Unresolved(f"{referred.source} is empty")
            if spot.text and isinstance(raw, str) and not is_text(raw):
                raise Unresolved("is not text in UTF-8")
            if form.kind == "secret":
                return self.secret(form, hint, raw, spot)
            if form.kind == "leaf":
                return self.leaf(form, hint, raw, spot)
            return self.list_(form, hint, raw, spot)
        except Unresolved as why:
            return self.wrong(spot, str(why))

    def leaf(self, form: Shape, hint: Any, raw: Any, spot: Spot) -> Any:
        try:
            return msgspec.convert(raw, form.hint, strict=not spot.text)
        except (msgspec.ValidationError, UnicodeError):
            return self.wrong(spot, f"expected {expected(hint)}, found {found(raw, spot.hidden)}")

    def secret(self, form: Shape, hint: Any, raw: Any, spot: Spot) -> Any:
        if isinstance(raw, str) and spot.outside:
            raw = Secret(raw)
        if isinstance(raw, Secret):
            text = raw.reveal()
            self.secrets.append(text)
            if not text:
                return self.wrong(spot, "is empty")
        elif isinstance(raw, str) and form.inline:
            text = raw
        elif isinstance(raw, str):
            return self.wrong(spot, f"secrets do not belong in this file: write {REFER}")
        else:
            return self.wrong(spot, f"expected {expected(hint)}, found {found(raw, hidden=True)}")
        if not fits(text, str, form.metas):
            return self.wrong(spot, f"expected {expected(hint)}, found another")
        return raw

    def list_(self, form: Shape, hint: Any, raw: Any, spot: Spot) -> Any:
        if spot.text and isinstance(raw, str):
            spot = spot._replace(text=not raw.lstrip().startswith("["))
            raw = items_of(raw)
        if not isinstance(raw, (list, tuple)):
            return self.wrong(spot, f"expected {expected(hint)}, found {found(raw, hidden=True)}")
        fixed = form.kind == "tuple"
        if (len(raw) != len(form.items)) if fixed else not fits([0] * len(raw), list[int], form.metas):
            return self.wrong(spot, f"expected {expected(hint)}, found {len(raw)}")
        hints = form.items if fixed else form.items * len(raw)
        read = [
            self.value(item_hint, item, spot._replace(place=(*spot.place, number)), NONE)
            for number, (item_hint, item) in enumerate(zip(hints, raw, strict=True))
        ]
        return _BAD if any(item is _BAD for item in read) else form.build(read)

    def dict_(self, form: Shape, hint: Any, raw: Any, spot: Spot, node: Overrides) -> Any:
        self.only_below(spot, node)
        raw = {} if raw is _ABSENT else raw
        if not isinstance(raw, Mapping):
            return self.wrong(spot, f"expected {expected(hint)}, found {found(raw, hidden=True)}")
        nodes = {name: node.at(name) for name in raw}
        known = set(map(segment, raw))
        # A variable cannot spell a name's case and dashes; those of most tables are these.
        nodes |= {name.lower().replace("_", "-"): below for name, below in node.below.items() if name not in known}
        read, bad = {}, False
        for name, below in nodes.items():
            inner = spot._replace(place=(*spot.place, name))
            key = self.leaf(shape(form.items[0]), form.items[0], name, inner._replace(text=True))
            value = self.value(form.items[1], raw.get(name, _ABSENT), inner, below)
            bad = bad or key is _BAD or value is _BAD
            read[key] = value
        return _BAD if bad else read

    def table(self, form: Shape, raw: Any, spot: Spot, node: Overrides, also: Iterable[str] = ()) -> Any:
        self.only_below(spot, node)
        raw = {} if raw is _ABSENT else raw
        if isinstance(raw, form.hint):
            return raw
        if not isinstance(raw, Mapping):
            return self.wrong(spot, f"expected a table, found {found(raw, hidden=True)}")
        before = len(self.mistakes)
        known = {field.key: field for field in fields(form.hint)}
        self.unknown(raw, (*known, *also), spot, node)
        given = {}
        for key, field in known.items():
            inner = spot._replace(place=(*spot.place, key))
            value = self.value(field.hint, raw.get(key, _ABSENT), inner, node.at(key))
            if value is _ABSENT and field.required:
                self.wrong(inner, f"is missing; it is {expected(field.hint)}")
            elif value is not _ABSENT:
                given[field.name] = value
        if len(self.mistakes) > before:
            return _BAD
        try:
            return form.hint(**given)
        except (ValueError, TypeError, VVOSError) as error:  # what the class itself says in __post_init__
            return self.wrong(spot, self.redacted(str(error)))

    def unknown(self, raw: Mapping[str, Any], names: tuple[str, ...], spot: Spot, node: Overrides) -> None:
        for name in raw:
            if name not in names:
                self.wrong(spot._replace(place=(*spot.place, name)), _no_such(name, names, quoted))
        segments = {segment(name): name for name in names}
        for spelled, below in node.below.items():
            if spelled not in segments:
                for each in below.variables():
                    self.wrong(Spot(spot.place, each), _no_such(spelled, segments, node.spell))

    def redacted(self, text: str) -> str:
        for secret in filter(None, self.secrets):
            text = text.replace(secret, "***")
        return text


def _no_such(name: str, names: Iterable[str], written: Any) -> str:
    near = nearest(name, names)
    if near:
        return f"no such setting; did you mean {written(near)}?"
    return "no such setting; there are " + ", ".join(map(written, sorted(names)))
