"""The JSON document of ``vvos put`` and ``resume``. Scripts rely on it: fields are added, never renamed or dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec
from msgspec import Struct

from ..errors import VVOSError
from .text import well_formed

if TYPE_CHECKING:
    from ..results import Result


class Fault(Struct, frozen=True):
    """An error: its stable code, and its sentence."""

    code: str
    message: str


class File(Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of one file."""

    client_key: str
    key: str
    """The server key; empty when the file never got one."""
    url: str
    size: int
    """Bytes."""
    state: str
    """``done``, ``skipped``, ``failed``, ``cancelled`` or ``paused``."""
    checksum: str
    """``algorithm:value``; empty when the file was not read."""
    reused: bool
    error: Fault | None


class Document(Struct, frozen=True, kw_only=True):
    """The whole of a ``put``."""

    ok: bool
    """Every file arrived."""
    files: list[File]
    bytes: int
    """The sizes of the files that arrived, together."""
    seconds: float
    error: Fault | None
    """What ended the command before its time; None when it came to its end, whatever became of the files."""


def fault(error: VVOSError) -> Fault:
    return Fault(code=error.code, message=well_formed(error.message))


def document(results: Sequence[Result], seconds: float, error: Fault | None = None) -> Document:
    """The document for ``results``; ``error`` is what ended the command, if anything did."""
    return Document(
        ok=error is None and all(result.ok for result in results),
        files=[_file(result) for result in results],
        bytes=sum(result.size for result in results if result.state == "done"),
        seconds=round(seconds, 3),
        error=error,
    )


def write(what: Document) -> None:
    """Print it on standard output, as UTF-8, on one line."""
    click.echo(msgspec.json.encode(what))


def _file(result: Result) -> File:
    return File(
        client_key=well_formed(result.client_key),
        key=well_formed(result.key),
        url=well_formed(result.url),
        size=result.size,
        state=result.state,
        checksum=result.checksum,
        reused=result.reused,
        error=fault(result.error) if result.error else None,
    )
