"""Says what a type hint of a settings class asks for, to the code that fills it and to the person who set it."""

from __future__ import annotations

import collections.abc as abc
import dataclasses
import types
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import msgspec

from ..model import Secret
from .document import quoted

REFERENCE = '{ env = "NAME" } or { file = "path" }'


class Must(NamedTuple):
    """A rule on a field, said as ``Annotated[str, Must(rule)]``: it answers what is wrong with the value, or ''."""

    rule: Callable[[Any], str]


class Field(NamedTuple):
    """One field of a settings class: its name in the file, its name in Python, its type hint."""

    key: str
    name: str
    hint: Any
    required: bool


class Shape(NamedTuple):
    """A type hint without ``None``, ``Annotated`` and ``Must``, sorted by how a value for it is read."""

    kind: Literal["table", "dict", "list", "tuple", "secret", "leaf"]
    hint: Any
    """What ``msgspec.convert`` takes: for a leaf with its constraints."""
    items: tuple[Any, ...] = ()
    """The types of the items of a list (one) or tuple (each), or of a dict's key and value."""
    build: Callable[[Any], Any] = list
    metas: tuple[msgspec.Meta, ...] = ()
    musts: tuple[Must, ...] = ()
    inline: bool = False
    """``Secret | str``: what the file says as it stands is taken for a string that is no secret."""

    @property
    def named(self) -> bool:
        """The value is a table, whose names can be overridden one by one."""
        return self.kind in ("table", "dict")


_LISTS: dict[Any, Callable[[Any], Any]] = {
    list: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
    abc.Sequence: tuple,
    abc.Collection: tuple,
    abc.Set: frozenset,
}
_DICTS = (dict, abc.Mapping, abc.MutableMapping)


def shape(hint: Any) -> Shape:
    """The shape of ``hint``."""
    metas: tuple[msgspec.Meta, ...] = ()
    musts: tuple[Must, ...] = ()
    while True:
        origin, arguments = get_origin(hint), get_args(hint)
        if origin is Annotated:
            metas += tuple(extra for extra in arguments[1:] if isinstance(extra, msgspec.Meta))
            musts += tuple(extra for extra in arguments[1:] if isinstance(extra, Must))
            hint = arguments[0]
            continue
        if origin not in (Union, types.UnionType):
            break
        choices = tuple(choice for choice in arguments if choice is not type(None))
        if any(shape(choice).kind == "secret" for choice in choices):
            return Shape("secret", Secret, metas=metas, musts=musts, inline=str in choices)
        if len(choices) != 1:
            hint = Union[choices]  # noqa: UP007  # the choices are known only here
            break
        hint = choices[0]

    if is_settings(hint):
        return Shape("table", hint, metas=metas, musts=musts)
    if hint is Secret:
        return Shape("secret", Secret, metas=metas, musts=musts)
    bare = origin or hint
    if bare in _DICTS:
        return Shape("dict", hint, arguments or (str, Any), metas=metas, musts=musts)
    if bare in _LISTS:
        fixed = bare is tuple and arguments and arguments[-1] is not ...
        items = arguments if fixed else arguments[:1] or (Any,)
        return Shape("tuple" if fixed else "list", hint, items, _LISTS[bare], metas, musts)
    return Shape("leaf", _annotated(hint, metas), metas=metas, musts=musts)


def fits(value: Any, hint: Any, metas: tuple[msgspec.Meta, ...]) -> bool:
    """Whether ``value`` keeps the constraints that ``metas`` put on ``hint``."""
    try:
        msgspec.convert(value, _annotated(hint, metas))
    except msgspec.ValidationError:
        return False
    return True


def _annotated(hint: Any, metas: tuple[msgspec.Meta, ...]) -> Any:
    for meta in metas:
        hint = Annotated[hint, meta]
    return hint


def is_settings(hint: Any) -> bool:
    """A class whose fields are settings: a ``msgspec.Struct`` or a dataclass."""
    return isinstance(hint, type) and (issubclass(hint, msgspec.Struct) or dataclasses.is_dataclass(hint))


def fields(settings: Any) -> list[Field]:
    """A settings class's fields. Raises ``TypeError`` for another class, ``NameError`` for a hint without meaning."""
    if not is_settings(settings):
        raise TypeError(f"settings are a msgspec.Struct or a dataclass, not {settings!r}")
    if issubclass(settings, msgspec.Struct):
        return [Field(f.encode_name, f.name, f.type, f.required) for f in msgspec.structs.fields(settings)]
    hints = get_type_hints(settings, include_extras=True)
    missing = dataclasses.MISSING
    return [
        Field(f.name, f.name, hints[f.name], f.default is missing and f.default_factory is missing)
        for f in dataclasses.fields(settings)
        if f.init
    ]


def expected(hint: Any) -> str:
    """What is right for ``hint``, in words."""
    form = shape(hint)
    for meta in form.metas:
        if meta.description:
            return meta.description
    if form.kind == "secret":
        return f"a secret{_limits(form.metas)}, as {REFERENCE}" + (", or a text that holds none" if form.inline else "")
    if form.named:
        return "a table"
    if form.kind == "tuple":
        return f"a list of {len(form.items)} items"
    if form.kind == "list":
        return f"a list{_limits(form.metas)} whose items are each {expected(form.items[0])}"
    if get_origin(form.hint) is Union:
        return " or ".join(expected(choice) for choice in get_args(form.hint))
    return _leaf(form)


_WORDS: dict[Any, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    datetime: "a date with its time",
    date: "a date",
    time: "a time of day",
}


def _leaf(form: Shape) -> str:
    hint = form.hint
    while get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(_shown, get_args(hint)))
    members = getattr(hint, "__members__", None)
    if members is not None:
        return "one of " + ", ".join(_shown(member.value) for member in members.values())
    return _WORDS.get(hint, f"a value of the type {getattr(hint, '__name__', hint)}") + _limits(form.metas)


def _limits(metas: tuple[msgspec.Meta, ...]) -> str:
    said = []
    for meta in metas:
        if meta.ge is not None and meta.le is not None:
            return f" from {meta.ge} to {meta.le}"
        for word, limit in (
            ("above", meta.gt),
            ("at least", meta.ge),
            ("below", meta.lt),
            ("at most", meta.le),
            ("a multiple of", meta.multiple_of),
            ("of a length of at least", meta.min_length),
            ("of a length of at most", meta.max_length),
            ("that matches", meta.pattern),
        ):
            if limit is not None:
                said.append(f"{word} {limit}")
    return " " + " and ".join(said) if said else ""


_HIDDEN: dict[Any, str] = {str: "text that is not shown", int: "a number", float: "a number", bool: "true or false"}


def found(value: Any, hidden: bool = False) -> str:
    """What was found instead, in words. Tables and lists keep their contents to themselves, for these may be secret."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, Secret):
        return "a secret"
    if hidden:
        return _HIDDEN.get(type(value), "another type")
    kind = "the text " if isinstance(value, str) else "the number " if type(value) in (int, float) else ""
    return kind + _shown(value)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return quoted(value if len(value) <= 60 else value[:59] + "…")
    return str(value) if not isinstance(value, int) or abs(value) < 10**40 else "with more than 40 digits"
