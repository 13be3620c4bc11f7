"""Follows what the configuration file refers to: environment variables and files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ..model import MIB
from .document import BadToml, Document, quoted
from .shapes import REFERENCE, Shape, fits

LARGEST = MIB
"""Bytes of the largest file that is referred to; more is a mistake, not a secret."""

_KINDS = {"env": "the environment variable", "file": "the file"}


class Unresolved(ValueError):
    """Why a value cannot be had, in words that do not show it."""


class Reference(NamedTuple):
    """``{ env = "NAME" }`` or ``{ file = "path" }``."""

    kind: str
    name: str

    @property
    def source(self) -> str:
        """What it refers to, in words."""
        return f"{_KINDS[self.kind]} {quoted(self.name)}"

    def resolve(self, env: Mapping[str, str], folder: Path) -> str:
        """The text. A file's path starts from ``folder``; the line ends at its end are left out.

        Raises ``Unresolved``.
        """
        if self.kind == "env":
            text = env.get(self.name)
            if text is None:
                raise Unresolved(f"{self.source} is not set; set it, or name another")
            return text
        try:
            with (folder / self.name).open("rb") as file:
                data = file.read(LARGEST + 1)
            if len(data) > LARGEST:
                raise Unresolved(f"{self.source} has more than {LARGEST} bytes; name another")
            return data.decode("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            raise Unresolved(f"{self.source} cannot be read ({error.strerror}); its folder is {folder}") from None
        except ValueError as error:
            if isinstance(error, Unresolved):
                raise
            raise Unresolved(f"{self.source} cannot be read, for it is not a path to text in UTF-8") from None


def reference(raw: Any, form: Shape) -> Reference | None:
    """The reference that ``raw`` is, or None where it is a value of its own. Raises ``Unresolved`` for half a one."""
    if not isinstance(raw, Mapping) or not raw.keys() & _KINDS.keys():
        return None
    if form.kind == "leaf" and fits(raw, form.hint, ()):
        return None
    if len(raw) != 1:
        raise Unresolved(f"a reference is either {REFERENCE}, and nothing else is in it")
    ((kind, name),) = raw.items()
    if not isinstance(name, str) or not name:
        raise Unresolved(f"a reference is {REFERENCE}, with a name in quotes")
    return Reference(kind, name)


def is_text(text: str) -> bool:
    """Whether ``text`` is text: Python keeps the bytes of a variable that are not as lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def items_of(text: str) -> list[Any]:
    """The items of a list given as one text: a TOML array, or texts between commas. Raises ``Unresolved``."""
    if not text.lstrip().startswith("["):
        return [item for item in map(str.strip, text.split(",")) if item]
    try:
        values = Document(f"items = {text}").values
    except BadToml as error:
        raise Unresolved(f"expected a list in TOML, or items with commas between: {error.message}") from None
    if len(values) != 1:
        raise Unresolved("expected one list in TOML, found more than that")
    return list(values["items"])
