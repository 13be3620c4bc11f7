"""The hooks: the granting half signs and looks, the storing half sends what was signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from msgspec.structs import replace

import vvos_core as vvos
from vvos_core import Checksum, Grant, Receipt, Rules, VVOSError, hookimpl

from .settings import RULES, WebdavSettings
from .signing import sign

REFUSALS: dict[int, tuple[type[VVOSError], str]] = {
    401: (vvos.TokenExpired, "the grant has expired; renew it"),
    403: (vvos.Denied, "the server refuses it: it is not what was granted, or a folder has this name"),
    405: (vvos.BadKey, "there is a folder of this name; choose another key"),
    409: (vvos.BadKey, "a part of its path is a file; choose another key"),
    412: (vvos.Exists, "there is an object of this name, and it may not be replaced"),
}


class Sha256:
    """A checksum, and its hasher. Every provider names one; WebDAV keeps none, so it is compared with nothing."""

    name = "sha256"

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def new(self) -> Sha256:
        return Sha256()

    def update(self, block: memoryview, /) -> None:
        self._hash.update(block)

    def value(self) -> str:
        return f"{self.name}:{self._hash.hexdigest()}"

    def combine(self, receipts: Sequence[Receipt], /) -> str:
        return ""


class WebdavProvider:
    """Made with settings it grants, looks and verifies; made with ``None`` it stores what was granted."""

    Settings: type[WebdavSettings] = WebdavSettings
    rules: Rules = RULES
    checksum: Checksum = Sha256()

    def __init__(self, settings: WebdavSettings | None) -> None:
        self._settings = settings
        self._http = vvos.Http()

    @hookimpl
    def token(self, request: vvos.TokenRequest) -> Sequence[Grant | VVOSError]:
        return self._each(lambda settings, ask: _signed(settings, _granted(ask, request)), request.files)

    @hookimpl
    def exists(self, request: vvos.ExistsRequest) -> Sequence[vvos.Found | VVOSError]:
        return self._each(self._found, request.grants)

    @hookimpl
    def notify(self, request: vvos.NotifyRequest) -> Sequence[vvos.Notified | VVOSError]:
        return self._each(self._verified, request.objects)

    @hookimpl
    def put_chunk(self, grant: Grant, chunk: vvos.Chunk) -> Receipt:
        what, url = f"storing {grant.key!r}", _url(str(grant.data.get("url")), grant.key)
        signature = f"VVOS {grant.expires_at} {grant.data.get('signature')}"
        headers = {"Authorization": signature, "Content-Type": grant.type}
        if not grant.cover:
            headers["If-None-Match"] = "*"
        answer = self._http.send("PUT", url, headers=headers, body=chunk, what=what)
        if answer.status not in (201, 204):
            raise _refused(answer, what, grant.key)
        return Receipt(number=chunk.number, size=len(chunk), proof=answer.headers.get("ETag", ""))

    @hookimpl
    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> vvos.Stored:
        return vvos.Stored(key=grant.key, size=receipts[0].size)

    def _each(self, do: Callable[[WebdavSettings, Any], Any], items: Sequence[Any]) -> list[Any]:
        """What ``do`` answers for each item, or the error that it raises: one bad file spoils no batch."""
        if self._settings is None:
            raise vvos.PluginError("the provider webdav was made without settings, so it can only store.")
        answers: list[Any] = []
        for item in items:
            try:
                answers.append(do(self._settings, item))
            except VVOSError as error:
                answers.append(error)
        return answers

    def _found(self, settings: WebdavSettings, grant: Grant) -> vvos.Found:
        what = f"looking for {grant.key!r}"
        answer = self._http.send("HEAD", _url(settings.url, grant.key), what=what)
        if answer.status not in (200, 404):
            raise _refused(answer, what, grant.key)
        size = int(answer.headers.get("Content-Length", "-1")) if answer.status == 200 else -1
        return vvos.Found(key=grant.key, exists=answer.status == 200, size=size)

    def _verified(self, settings: WebdavSettings, done: vvos.Finished) -> vvos.Notified:
        key, found = done.grant.key, self._found(settings, done.grant)
        if not found.exists:
            raise vvos.NotFound(f"there is no object {key!r} on the server; put it again.", key=key)
        if not found.size == done.size == done.grant.size:
            raise vvos.Mismatch(f"{key!r} on the server is not what was read; put it again.", key=key)
        if done.checksum or done.grant.checksum:
            raise vvos.BadAnswer(f"the server keeps no checksum to compare that of {key!r} with.", key=key)
        return vvos.Notified(key=key, url=_url(settings.url, key))


def _granted(ask: vvos.Ask, request: vvos.TokenRequest) -> Grant:
    vvos.check_key(ask.key, RULES.max_key)
    vvos.plan_chunks(ask.size, RULES)
    if ask.size < 0 or ask.metadata or ask.checksum:
        raise vvos.BadInput(f"{ask.key!r}: WebDAV keeps no metadata, no checksum and no size below 0; leave it out.")
    if ask.renew is None:
        return Grant(
            provider="webdav",
            key=ask.key,
            client_key=ask.client_key,
            size=ask.size,
            type=ask.type,
            cover=request.cover,
            expires_at=request.expires_at,
        )
    old = ask.renew
    wanted = replace(old, key=ask.key, client_key=ask.client_key, size=ask.size, type=ask.type)
    if wanted != old or (request.cover and not old.cover):
        raise vvos.Denied(f"the renewal of {old.key!r} asks for more than was granted.", key=old.key)
    return replace(old, expires_at=request.expires_at)


def _signed(settings: WebdavSettings, grant: Grant) -> Grant:
    secret, path = settings.secret.reveal(), unquote(urlsplit(_url(settings.url, grant.key)).path)
    signature = sign(secret, str(grant.expires_at), path, str(grant.size), grant.type, grant.cover)
    return replace(grant, data={"url": settings.url, "signature": signature})


def _url(folder: str, key: str) -> str:
    return f"{folder.rstrip('/')}/{quote(key)}"


def _refused(answer: vvos.Answer, what: str, key: str) -> VVOSError:
    other = vvos.for_status(answer.status), f"the server answered HTTP {answer.status}"
    cls, why = REFUSALS.get(answer.status, other)
    return cls(f"{what}: {why}.", key=key, retry_after=answer.retry_after)
