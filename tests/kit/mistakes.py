"""What broken providers are made of: the reference provider under another name, and a list of their mistakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from vvos_core import (
    Grant,
    Rules,
    TokenRequest,
    VVOSError,
    hookimpl,
)
from vvos_core.builtin.directory import Directory, DirectorySettings
from vvos_core.builtin.folder import Folder


class Mistake(NamedTuple):
    """A broken provider, the case of the kit that is meant for it, and what of its message tells the author."""

    provider: type[Any]
    case: str
    words: str


MISTAKES: dict[str, Mistake] = {}
T = TypeVar("T", bound=type[Any])


def caught_by(case: str, words: str) -> Callable[[T], T]:
    def note(cls: T) -> T:
        MISTAKES[cls.__name__] = Mistake(cls, case, words)
        return cls

    return note


class Named(Directory):
    """The reference provider under the name of its class: what all of these are but for their mistake."""

    @classmethod
    def word(cls) -> str:
        return cls.__name__.lower()

    @hookimpl
    def token(self, request: TokenRequest) -> Sequence[Grant | VVOSError]:
        renamed = [
            replace(ask, renew=replace(ask.renew, provider="directory")) if ask.renew else ask for ask in request.files
        ]
        answers = super().token(replace(request, files=tuple(renamed)))
        return [replace(item, provider=self.word()) if isinstance(item, Grant) else item for item in answers]

    def resigned(self, grant: Grant, **changes: Any) -> Grant:
        """The grant as if it had been given so: what a service that does not check would take it for."""
        changed = replace(grant, **changes)
        root = changed.data["root"]
        return replace(changed, data={"root": root, "signature": Folder(root).sign(changed)})


class Right(Named):
    """No mistake. That it passes shows that the others fail for theirs."""


class Plain(Named):
    """No mistake, and no parts: what a service can do that knows nothing but to put a whole object."""

    def __init__(self, settings: DirectorySettings | None) -> None:
        super().__init__(settings)
        most = self.rules.threshold
        self.rules: Rules = replace(self.rules, part_size=most, max_part=most, max_parts=1)


class Bytes:
    """A chunk of these bytes."""

    def __init__(self, number: int, offset: int, data: bytes) -> None:
        self.number, self.offset, self.data = number, offset, data

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Any:
        yield memoryview(self.data)
