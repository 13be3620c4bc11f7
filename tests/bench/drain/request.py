"""A request as the drain's dialects see it, what they answer, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol
from urllib.parse import unquote

from msgspec import Struct, field

from ..content import Stretch


class Request:
    """One request's head. Names of headers are in lower case, values are latin-1."""

    __slots__ = ("headers", "method", "path", "query")

    def __init__(self, method: str, target: str, headers: dict[str, str]) -> None:
        path, _, query = target.partition("?")
        self.method = method
        self.path = unquote(path) if "%" in path else path
        # Left quoted: what is read of it are numbers and ids, and a presigned request has eight times as much.
        self.query: dict[str, str] = dict(item.partition("=")[::2] for item in query.split("&")) if query else {}
        self.headers = headers


class Answer(Struct):
    """What goes back."""

    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Counts(Struct):
    """What happened since the last time that somebody asked."""

    requests: int = 0
    received: int = 0
    """Bytes of bodies that are content."""
    stored: int = 0
    """Objects."""
    parts: int = 0
    looked: int = 0
    """Objects that somebody looked at after they were stored, by HEAD, in a list, or its like; each once."""
    proven: int = 0
    """Objects and parts that came with a checksum, which was right."""
    wrong: int = 0
    """Bodies, and checksums, that were not what they should be."""
    short: int = 0
    """Bodies whose connection ended before they did."""
    unknown: list[str] = field(default_factory=list)
    """Requests that the dialect does not speak, a few of them."""


class Dialect(Protocol):
    """One provider's way to speak."""

    def content(self, request: Request, size: int) -> Sequence[Stretch]:
        """What the body may be, where it is content of an object: then it is not kept."""
        ...

    def answer(self, request: Request, body: bytes, stretch: Stretch | None, counts: Counts) -> Answer:
        """Answer a request whose body has come; ``stretch`` is what it was, where it was content."""
        ...
