"""Resource management: stat, delete, copy, move, changes of an object, batches of these, and lists."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import msgspec

from . import errors
from .coding import decoded, entry
from .errors import KodoError
from .finish import metadata
from .messages import Response, answer, done
from .policy import MAX_KEY
from .store import Object, Store

_BATCH = 1000
_LIST_MOST = 1000
_ARCHIVES = (2, 3)
_DAY = 24 * 3600
_LIFE = (
    "toIAAfterDays",
    "toArchiveIRAfterDays",
    "toArchiveAfterDays",
    "toDeepArchiveAfterDays",
    "deleteAfterDays",
    "cond",
)

Operation = Callable[["Manage", list[str]], Any]


class Manage:
    """Answers management calls that were authenticated; one per emulator."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock

    def knows(self, name: str) -> bool:
        """Whether ``name`` is an operation on one object."""
        return name in _OPERATIONS

    def one(self, arguments: list[str]) -> Response:
        """One operation, given as the segments of its path."""
        told = self._do(arguments)
        return done() if told is None else answer(told)

    def batch(self, body: bytes) -> Response:
        """Several operations, ``op=/stat/…&op=…``: 200, or 298 when some of them failed."""
        operations = parse_qs(body.decode("latin-1"), keep_blank_values=True).get("op", [])
        if not operations or len(operations) > _BATCH:
            raise errors.invalid("invalid number of operations")  # [?] the text
        told = [self._result(operation) for operation in operations]
        return answer(told, 200 if all(item["code"] == 200 for item in told) else 298)

    def listing(self, params: dict[str, str]) -> Response:
        """The objects of a bucket by key, with ``prefix``, ``marker``, ``limit`` and ``delimiter``."""
        bucket = self._store.bucket(params.get("bucket", ""))
        limit = params.get("limit") or str(_LIST_MOST)
        if not re.fullmatch(r"[0-9]{1,6}", limit) or not 1 <= int(limit) <= _LIST_MOST:
            raise errors.invalid("invalid list limit")
        prefix, delimiter = params.get("prefix", ""), params.get("delimiter", "")
        after = _marked(params.get("marker", ""))
        with self._store.lock:
            found = sorted(bucket.objects.values(), key=lambda item: item.key.encode())
        items: list[dict[str, Any]] = []
        groups: dict[str, None] = {}
        last = ""
        more = False
        for item in found:
            if not item.key.startswith(prefix) or (after is not None and item.key.encode() <= after.encode()):
                continue
            rest = item.key[len(prefix) :]
            group = prefix + rest[: rest.index(delimiter) + len(delimiter)] if delimiter and delimiter in rest else ""
            # A group that the page before ended in is not told again.
            if group and (group in groups or (after is not None and after.startswith(group))):
                last = item.key if group in groups else last
                continue
            if len(items) + len(groups) == int(limit):
                more = True
                break
            if group:
                groups[group] = None
            else:
                items.append({"key": item.key, **_told(item), "status": item.status})
            last = item.key
        told: dict[str, Any] = {"items": items}
        if more:
            told["marker"] = base64.urlsafe_b64encode(msgspec.json.encode({"c": 0, "k": last})).decode()
        if delimiter:
            told["commonPrefixes"] = list(groups)
        return answer(told)

    def _result(self, operation: str) -> dict[str, Any]:
        try:
            told = self._do(operation.strip("/").split("/"))
        except KodoError as error:
            return {"code": error.status, "data": {"error": error.text}}
        return {"code": 200} if told is None else {"code": 200, "data": told}

    def _do(self, arguments: list[str]) -> Any:
        operation = _OPERATIONS.get(arguments[0])
        if operation is None or len(arguments) < 2:
            raise errors.invalid("invalid operation")  # [?] the text
        return operation(self, arguments[1:])

    def stat(self, arguments: list[str]) -> Any:
        return _told(self._store.find(*entry(arguments[0])), whole=True)

    def delete(self, arguments: list[str]) -> None:
        self._store.delete(*entry(arguments[0]))

    def copy(self, arguments: list[str]) -> None:
        self._duplicate(arguments)

    def move(self, arguments: list[str]) -> None:
        source, target = self._duplicate(arguments)
        if source != target:
            self._store.delete(*source)

    def change_meta(self, arguments: list[str]) -> None:
        said = {name: decoded(value) for name, value in zip(arguments[1::2], arguments[2::2], strict=False)}
        changes: dict[str, Any] = {"mime": said["mime"]} if "mime" in said else {}
        if metadata(said):
            changes["metadata"] = metadata(said)
        if not changes:
            raise errors.invalid("mime is missing")
        self._change(arguments, **changes)

    def change_type(self, arguments: list[str]) -> None:
        self._change(arguments, type=_within(_option(arguments, "type"), 4))

    def change_status(self, arguments: list[str]) -> None:
        self._change(arguments, status=_within(_option(arguments, "status"), 1))

    def delete_after(self, arguments: list[str]) -> None:
        days = _within(arguments[1] if len(arguments) > 1 else "", 36500)
        self._change(arguments, expiration=int(self._clock()) + days * _DAY if days else 0)

    def change_life(self, arguments: list[str]) -> None:
        for name in arguments[1::2]:
            if name not in _LIFE:
                raise errors.invalid("invalid lifecycle")  # [?] the text
        days = _option(arguments, "deleteAfterDays") if "deleteAfterDays" in arguments else "0"
        # 0 leaves what is there, -1 takes it away. Storage classes do not change here as days go by.
        if days == "-1":
            self._change(arguments, expiration=0)
        elif _within(days, 36500):
            self._change(arguments, expiration=int(self._clock()) + int(days) * _DAY)
        else:
            self._change(arguments)

    def restore(self, arguments: list[str]) -> None:
        _within(_option(arguments, "freezeAfterDays"), 7)
        if self._store.find(*entry(arguments[0])).type not in _ARCHIVES:
            raise errors.invalid("invalid file type")  # [?] the text

    def _duplicate(self, arguments: list[str]) -> tuple[tuple[str, str], tuple[str, str]]:
        if len(arguments) < 2:
            raise errors.invalid("invalid argument")
        source, target = entry(arguments[0]), entry(arguments[1])
        if len(target[1].encode()) > MAX_KEY:
            raise errors.invalid("key is too long")
        force = len(arguments) > 3 and arguments[2:4] == ["force", "true"]
        with self._store.lock:
            item = self._store.find(*source)
            objects = self._store.bucket(target[0]).objects
            if target[1] in objects and not force:
                raise errors.file_exists()
            if source != target:
                objects[target[1]] = replace(item, key=target[1], put_time=self._store.now())
        return source, target

    def _change(self, arguments: list[str], **changes: Any) -> None:
        bucket, key = entry(arguments[0])
        with self._store.lock:
            item = self._store.find(bucket, key)
            self._check_condition(item, arguments)
            self._store.bucket(bucket).objects[key] = replace(item, **changes)

    def _check_condition(self, item: Object, arguments: list[str]) -> None:
        if "cond" not in arguments:
            return
        there = {"hash": item.hash, "mime": item.mime, "fsize": str(item.size), "putTime": str(item.put_time)}
        wanted = parse_qs(decoded(_option(arguments, "cond")))
        if any(there.get(name) != values[0] for name, values in wanted.items()):
            raise KodoError(412, "condition not match")  # [?] the text


_OPERATIONS: dict[str, Operation] = {
    "stat": Manage.stat,
    "delete": Manage.delete,
    "copy": Manage.copy,
    "move": Manage.move,
    "chgm": Manage.change_meta,
    "chtype": Manage.change_type,
    "chstatus": Manage.change_status,
    "deleteAfterDays": Manage.delete_after,
    "lifecycle": Manage.change_life,
    "restoreAr": Manage.restore,
}


def _told(item: Object, *, whole: bool = False) -> dict[str, Any]:
    """An object as stat and list show it; what is not set is left out."""
    told: dict[str, Any] = {
        "fsize": item.size,
        "hash": item.hash,
        "mimeType": item.mime,
        "putTime": item.put_time,
        "type": item.type,
    }
    optional = {"md5": item.md5, "endUser": item.end_user}
    if whole:
        optional |= {"status": item.status, "expiration": item.expiration, "x-qn-meta": item.metadata}  # type: ignore[dict-item]  # each value of its own kind
    return told | {name: value for name, value in optional.items() if value}


def _option(arguments: list[str], name: str) -> str:
    if name not in arguments[:-1]:
        raise errors.invalid(f"{name} is missing")
    return arguments[arguments.index(name) + 1]


def _within(text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text) or int(text) > most:
        raise errors.invalid("invalid number")
    return int(text)


def _marked(marker: str) -> str | None:
    """The key after which a page begins."""
    if not marker:
        return None
    try:
        key = msgspec.json.decode(base64.b64decode(marker, altchars=b"-_", validate=True)).get("k")
    except (binascii.Error, ValueError, AttributeError):
        key = None
    if not isinstance(key, str):
        raise errors.invalid("invalid list marker")
    return key
