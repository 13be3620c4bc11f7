"""Reads the environment variables that override the configuration, as a tree of names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

PREFIX = "VVOS_"
CONFIG = "VVOS_CONFIG"
"""Names the configuration file; overrides nothing."""

_LEVEL = "__"
_OTHER = re.compile(r"[\W_]+")


def segment(name: str) -> str:
    """How a variable spells a name: in upper case, with ``_`` for every run of what is no letter and no digit."""
    return _OTHER.sub("_", name.upper()).strip("_")


def variable(names: Iterable[str]) -> str:
    """The variable that overrides the value at ``names``."""
    return PREFIX + _LEVEL.join(map(segment, names))


class Overrides:
    """One name's variables: its own text, and those of the names below it. Never shows a text: it may be a secret."""

    __slots__ = ("below", "text", "variable")

    def __init__(
        self, variable: str = "", text: str | None = None, below: Mapping[str, Overrides] | None = None
    ) -> None:
        self.variable = variable
        self.text = text
        self.below: dict[str, Overrides] = dict(below or {})

    def __repr__(self) -> str:
        return f"Overrides({', '.join(self.variables())})"

    def __bool__(self) -> bool:
        return self.text is not None or bool(self.below)

    def at(self, name: str) -> Overrides:
        """What overrides ``name``, which is spelled as in the file."""
        return self.below.get(segment(name), NONE)

    def spell(self, segment: str) -> str:
        """The variable of a name below, which is spelled as in variables."""
        return self.variable + (_LEVEL if self.variable else PREFIX) + segment

    def only(self, *names: str) -> Overrides:
        """The same, for no other names than these."""
        wanted = set(map(segment, names))
        return Overrides(self.variable, self.text, {name: node for name, node in self.below.items() if name in wanted})

    def without(self, *names: str) -> Overrides:
        """The same, but for these names."""
        unwanted = set(map(segment, names))
        below = {name: node for name, node in self.below.items() if name not in unwanted}
        return Overrides(self.variable, self.text, below)

    def variables(self) -> Iterator[str]:
        """Every variable that is set, here and below."""
        if self.text is not None:
            yield self.variable
        for node in self.below.values():
            yield from node.variables()


NONE = Overrides()


def overrides(env: Mapping[str, str]) -> Overrides:
    """All that ``env`` overrides. A variable without ``__`` may be another program's; those with it are ours."""
    root = Overrides()
    for name, text in env.items():
        if not name.startswith(PREFIX) or name == CONFIG:
            continue
        node = root
        for part in name[len(PREFIX) :].split(_LEVEL):
            node = node.below.setdefault(part, Overrides(node.spell(part)))
        node.text = text
    return root
