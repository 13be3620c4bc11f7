"""Variables of returnBody, callbackBody and saveKey: ``$(key)``, ``$(etag)``, ``$(x:name)`` (Qiniu, "Variables")."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote_plus

import msgspec

_VARIABLE = re.compile(r"\$\(([^()]+)\)")


def values(
    *, bucket: str, key: str, etag: str, size: int, mime: str, fname: str, end_user: str, now: float
) -> dict[str, Any]:
    """The magic variables of one upload."""
    moment = datetime.fromtimestamp(now, timezone.utc)
    name = PurePosixPath(fname)
    return {
        "bucket": bucket,
        "key": key,
        "etag": etag,
        "hash": etag,
        "fsize": size,
        "mimeType": mime,
        "fname": fname,
        "fprefix": name.stem,
        "ext": name.suffix,
        "suffix": name.suffix.removeprefix("."),
        "endUser": end_user,
        "uuid": str(uuid.uuid4()),
        "year": moment.strftime("%Y"),
        "mon": moment.strftime("%m"),
        "day": moment.strftime("%d"),
        "hour": moment.strftime("%H"),
        "min": moment.strftime("%M"),
        "sec": moment.strftime("%S"),
    }


def fill_text(template: str, known: Mapping[str, Any]) -> str:
    """``template`` with each variable as it is."""
    return _VARIABLE.sub(lambda match: _plain(known.get(match[1])), template)


def fill_query(template: str, known: Mapping[str, Any]) -> str:
    """``template``, a urlencoded form, with each variable quoted."""
    return _VARIABLE.sub(lambda match: quote_plus(_plain(known.get(match[1]))), template)


def fill_json(template: str, known: Mapping[str, Any]) -> str:
    """``template``, JSON, with each variable as a JSON value, or, within a string, as a piece of it."""
    inside = _inside_string(template)

    def one(match: re.Match[str]) -> str:
        value = known.get(match[1])
        if inside(match.start()):
            return msgspec.json.encode(_plain(value)).decode()[1:-1]
        return msgspec.json.encode(value).decode()

    return _VARIABLE.sub(one, template)


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _inside_string(text: str) -> Callable[[int], bool]:
    quotes = [match.start() for match in re.finditer(r'(?<!\\)"', text)]
    return lambda position: sum(quote < position for quote in quotes) % 2 == 1
