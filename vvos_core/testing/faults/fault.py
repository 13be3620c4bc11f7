"""The faults, as data: what becomes of one request on its way to the service, and of the answer on its way back."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

Side = Literal["request", "answer"]
PATIENCE = 10.0
"""Seconds that anything which a test has to release is waited for at most."""


class Gate:
    """Where a held request waits: ``reached`` is set when one has come, and ``open`` lets it, and all others, go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()

    def open(self) -> None:
        self.opened.set()


class Fault(Struct, frozen=True, kw_only=True):
    """What happens to one request. Made by the functions below; without arguments it is no fault.

    Counts of bytes are of bytes on the wire, from the first of the request line or of the status line.
    """

    name: str = ""
    forward: int = 1
    """How often the service gets the request; of two answers the second one counts."""
    added: tuple[tuple[str, str], ...] = ()
    """Headers that the service gets besides the client's."""
    request_bytes: int | None = None
    """The service gets so many bytes of the request at most; if there are more, both connections end."""
    instead: bytes | None = None
    """What the client gets instead of the service's answer, before the connection ends."""
    answer_bytes: int | None = None
    """The client gets so many bytes of the answer at most; if there are more, the connection ends."""
    resets: bool = False
    """The client's connection ends with a reset (RST), not in order (FIN)."""
    refuses: bool = False
    """From this request on nobody is listening."""
    gate: Gate | None = None
    rate: float | None = None
    """Bytes a second, in each direction."""
    silent: bool = False
    """Nothing more is read or said, until the proxy is closed or passes all."""
    at: Side = "request"
    """Where ``gate`` and ``silent`` stand: before the request is forwarded, or before its answer is."""


def cut(after: int, *, resets: bool = True) -> Fault:
    """The connection breaks when ``after`` bytes of the request have gone through.

    The client hears of it when the service has done with what it got: then one can look what is left of it.
    """
    return Fault(name="cut", request_bytes=after, resets=resets)


def swallow(*, resets: bool = False) -> Fault:
    """The service acts on the request, and nobody hears of it: the connection ends before the answer."""
    return Fault(name="swallow", instead=b"", resets=resets)


def truncate(after: int) -> Fault:
    """The answer ends, in order, after so many bytes."""
    return Fault(name="truncate", answer_bytes=after)


def reset(after: int) -> Fault:
    """The connection is reset when so many bytes of the answer have gone through."""
    return Fault(name="reset", answer_bytes=after, resets=True)


def answer(status: int, *, retry_after: int | str | None = None, headers: Mapping[str, str] | None = None) -> Fault:
    """The proxy answers by itself, without words, and the service hears nothing.

    ``retry_after``: seconds, or the text of an HTTP-date.
    """
    return Fault(name=f"answer {status}", forward=0, instead=_answer(status, retry_after, headers or {}))


def answer_after(status: int, *, retry_after: int | str | None = None) -> Fault:
    """The service acts on the request, and the client gets this status instead of its answer."""
    return Fault(name=f"answer {status} after", instead=_answer(status, retry_after, {}))


def garbage(text: bytes = b"\x16\x03\x01 SSH-2.0 \xe4\xbd\xa0\r\n\r\n") -> Fault:
    """The service acts on the request, and the client gets something that is no HTTP."""
    return Fault(name="garbage", instead=text)


def duplicate() -> Fault:
    """The service gets the request twice, one after the other; the second answer counts."""
    return Fault(name="duplicate", forward=2)


def hold(gate: Gate, at: Side = "request") -> Fault:
    """The request, or its answer, waits until the gate opens; at most ``PATIENCE`` seconds."""
    return Fault(name="hold", gate=gate, at=at)


def throttle(rate: float) -> Fault:
    """The request and its answer move at ``rate`` bytes a second."""
    return Fault(name="throttle", rate=rate)


def stall(at: Side = "request") -> Fault:
    """Nothing moves any more, with the connection open: nobody reads the request's body, or the answer never comes."""
    return Fault(name=f"stall {at}", silent=True, at=at)


def refuse() -> Fault:
    """The service goes away: this connection is reset, and others are refused until the proxy passes all again."""
    return Fault(name="refuse", refuses=True, resets=True)


def add_headers(headers: Mapping[str, str]) -> Fault:
    """The service gets these headers too, which nobody signed."""
    return Fault(name="add headers", added=tuple(headers.items()))


def _answer(status: int, retry_after: int | str | None, headers: Mapping[str, str]) -> bytes:
    fields = {"Content-Length": "0", "Connection": "close", **headers}
    if retry_after is not None:
        fields["Retry-After"] = str(retry_after)
    lines = [f"HTTP/1.1 {status} Staged", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("latin-1")
