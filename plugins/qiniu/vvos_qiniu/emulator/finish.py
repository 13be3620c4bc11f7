"""The end of every upload, whichever way the bytes came: judged by its policy, stored, and answered."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import callbacks, errors, variables
from .blobs import Blob
from .messages import Response, answer
from .policy import Policy
from .store import Object, Store
from .tokens import Keys

META = "x-qn-meta-"
_META_NAME = re.compile(r"[!A-Za-z0-9_-]{1,50}")
_META_LIMIT = 1024


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """What came in: the bytes, and what the client said of them."""

    key: str | None
    blobs: tuple[Blob, ...]
    etag: str
    mime: str = ""
    fname: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Custom variables (``x:…``) and metadata (``x-qn-meta-…``)."""
    by_blocks: bool = False
    """Made by mkfile."""


class Finish:
    """Makes objects; one per emulator."""

    def __init__(self, store: Store, keys: Keys, clock: Callable[[], float]) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    def __call__(self, policy: Policy, arrived: Arrived) -> tuple[str, Response]:
        """The object's key, and the answer to the client. Raises ``KodoError``."""
        self._keys.check_deadline(policy)
        size = sum(blob.size for blob in arrived.blobs)
        policy.check_size(size)
        head = arrived.blobs[0].head if arrived.blobs else b""
        mime = policy.mime(arrived.mime, arrived.fname, arrived.key or "", head)
        policy.check_mime(mime)
        known: dict[str, Any] = variables.values(
            bucket=policy.bucket,
            key=arrived.key or "",
            etag=arrived.etag,
            size=size,
            mime=mime,
            fname=arrived.fname,
            end_user=policy.end_user,
            now=self._clock(),
        )
        known |= {name: value for name, value in arrived.variables.items() if name.startswith("x:")}
        key = self._key(policy, arrived, known)
        policy.check_key(key)
        name = arrived.etag if key is None else key
        stored = self._store.put(
            policy.bucket,
            Object(
                key=name,
                blobs=arrived.blobs,
                hash=arrived.etag,
                mime=mime,
                put_time=self._store.now(),
                metadata=metadata(arrived.variables),
                end_user=policy.end_user,
                md5="" if arrived.by_blocks or len(arrived.blobs) != 1 else arrived.blobs[0].md5,
                type=policy.file_type,
                expiration=int(self._clock()) + policy.delete_after_days * 86400 if policy.delete_after_days else 0,
            ),
            replace=policy.may_replace(by_blocks=arrived.by_blocks),
        )
        return name, self._answer(policy, known | {"key": name}, stored)

    def _key(self, policy: Policy, arrived: Arrived, known: Mapping[str, Any]) -> str | None:
        if policy.save_key and (arrived.key is None or policy.force_save_key):
            return variables.fill_text(policy.save_key, known)
        return arrived.key

    def _answer(self, policy: Policy, known: Mapping[str, Any], stored: Object) -> Response:
        if policy.callback_url:
            fill = variables.fill_json if "json" in policy.callback_body_type else variables.fill_query
            return callbacks.call(policy, fill(policy.callback_body, known), self._keys, stored.hash, stored.key)
        response = answer({"hash": stored.hash, "key": stored.key})
        if policy.return_body:
            response.body = variables.fill_json(policy.return_body, known).encode()
        if policy.return_url:
            assert isinstance(response.body, bytes)
            mark = "&" if "?" in policy.return_url else "?"
            told = base64.urlsafe_b64encode(response.body).decode()
            return Response(303, {"Location": f"{policy.return_url}{mark}upload_ret={told}"})
        return response


def metadata(given: Mapping[str, str]) -> dict[str, str]:
    """The metadata among custom variables, without their prefix. Raises ``KodoError`` (400)."""
    found = {name[len(META) :]: value for name, value in given.items() if name.lower().startswith(META)}
    if not all(_META_NAME.fullmatch(name) for name in found):
        raise errors.invalid("invalid meta key")  # [?] the text
    if sum(len(name.encode()) + len(value.encode()) for name, value in found.items()) > _META_LIMIT:
        raise errors.invalid("meta is too large")  # [?] the text
    return found
