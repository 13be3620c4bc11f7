"""One HTTP request and one answer, as values: what the server hands to the gate and gets back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl

import msgspec

from .errors import KodoError, invalid


class Body(Protocol):
    """What is still to come from the client."""

    @property
    def received(self) -> int:
        """How many bytes were read."""
        ...

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; empty at the end. Raises ``KodoError`` (400) if the client stops early."""


@dataclass
class Request:
    """A request as it arrived: path and query are not decoded. ``headers`` finds names in any case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: Body
    origin: str
    """``http://host:port`` as the client called it."""

    def params(self) -> dict[str, str]:
        """The decoded query; of a repeated name the first counts."""
        result: dict[str, str] = {}
        for name, value in parse_qsl(self.query, keep_blank_values=True):
            result.setdefault(name, value)
        return result

    def whole_body(self, limit: int = 8 * 1024 * 1024) -> bytes:
        """The body of a request that is no upload. Raises ``KodoError`` (413) when it has more than ``limit`` bytes."""
        data = bytearray()
        while piece := self.body.read(64 * 1024):
            data += piece
            if len(data) > limit:
                raise KodoError(413, "request body is too large")
        return bytes(data)

    def json(self) -> Any:
        """The body as JSON. Raises ``KodoError`` (400)."""
        try:
            return msgspec.json.decode(self.whole_body())
        except msgspec.DecodeError:
            raise invalid("invalid json") from None


@dataclass
class Response:
    """An answer. ``body`` is bytes, or an iterable of exactly ``length`` bytes in all."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""
    length: int | None = None


def answer(value: Any, status: int = 200) -> Response:
    """``value`` as a JSON answer."""
    return Response(status, {"Content-Type": "application/json"}, msgspec.json.encode(value))


def done() -> Response:
    """The empty answer of what has nothing to say."""
    return Response(200, {"Content-Type": "application/json"})
