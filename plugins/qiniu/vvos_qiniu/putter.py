"""The half that stores: puts chunks, completes and aborts with an upload token alone, without keys or an SDK."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from vvos_core import Chunk, Grant, Hashed, Http, Mismatch, NotFound, Receipt, Stored, held

from . import blocks, parts
from .bodies import Crc32, Form
from .grants import parse, read
from .hosts import Regions, Sender
from .metadata import encode
from .settings import ENDPOINT
from .target import Target, file_name, shown

VARIABLE = "QINIU_ENDPOINT"
"""Of the environment: who is asked for upload hosts when a grant brings none, in a private deployment."""


class _Begun:
    """An upload that the client has to begin itself, once for all its threads."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.upload_id = ""


class Putter:
    """Puts what grants allow. Shared by threads."""

    def __init__(self) -> None:
        self._sender = Sender(Http())
        self._regions = Regions(self._sender, os.environ.get(VARIABLE) or ENDPOINT)
        self._lock = threading.Lock()
        self._begun: dict[tuple[str, str], _Begun] = {}

    def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
        """Store one chunk; see ``vvos_core.hooks``."""
        what = f"storing {shown(grant)}" + (f", part {chunk.number}" if grant.multipart else "")
        target = self._target(grant, what)
        if not grant.multipart:
            return self._form(target, chunk, what)
        if target.permission.version == "v1":
            return blocks.put(self._sender, target, chunk, what)
        upload_id = grant.upload_id or self._begin(target, what)
        try:
            return parts.put(self._sender, target, upload_id, chunk, what)
        except NotFound:
            self._forget(target, upload_id)
            raise

    def complete(self, grant: Grant, receipts: Sequence[Receipt], checksum: str) -> Stored:
        """Make the object whose bytes, by the receipts, have ``checksum``; see ``vvos_core.hooks``."""
        if not grant.multipart:
            return Stored(key=grant.key, size=receipts[0].size, checksum=receipts[0].checksum)
        what = f"completing {shown(grant)}"
        _check_granted(grant, checksum, what)
        target = self._target(grant, what)
        if target.permission.version == "v1":
            return blocks.complete(self._sender, target, receipts, checksum, what)
        # Whether it works or not: an upload that does not complete is begun again.
        self._forget(target)
        return parts.complete(self._sender, target, receipts, checksum, what)

    def abort(self, grant: Grant) -> None:
        """Forget an unfinished upload and its parts. Blocks (v1) have no upload; the service drops them by itself."""
        if not grant.multipart:
            return
        what = f"aborting {shown(grant)}"
        target = self._target(grant, what)
        upload_id = grant.upload_id or self._forget(target)
        if upload_id:
            parts.abort(self._sender, target, upload_id, what)

    def _target(self, grant: Grant, what: str) -> Target:
        permission = read(grant)
        token = parse(permission.token, grant.key)
        hosts = permission.hosts
        if not hosts:
            hosts = self._regions.find(token.access_key, token.bucket, what=what, key=grant.key).up
        return Target(grant=grant, permission=permission, token=token, hosts=hosts)

    def _form(self, target: Target, chunk: Chunk, what: str) -> Receipt:
        grant = target.grant
        # Read twice: its CRC-32 goes before the bytes, and the service verifies it.
        chunk = held(chunk)
        known = Hashed(chunk, Crc32).read()
        _check_granted(grant, known.checksum, what)
        fields = {"token": target.permission.token, "key": grant.key, "crc32": str(known.crc32)}
        form = Form(fields | encode(grant.metadata), file_name(grant), grant.type, chunk)
        _, answer = self._sender.send(
            "POST", target.hosts, "/", headers={"Content-Type": form.content_type}, body=form, what=what
        )
        if answer.status != 200:
            raise target.refused(answer, what)
        target.made(answer, what, known.checksum)
        etag = known.checksum.partition(":")[2]
        return Receipt(number=chunk.number, size=len(chunk), proof=etag, checksum=known.checksum)

    def _begin(self, target: Target, what: str) -> str:
        """The id of the upload of a grant that names none (a plain backend); the first thread begins it."""
        with self._lock:
            begun = self._begun.setdefault((target.token.bucket, target.grant.key), _Begun())
        with begun.lock:
            if not begun.upload_id:
                begun.upload_id = parts.begin(self._sender, target, what)
            return begun.upload_id

    def _forget(self, target: Target, upload_id: str = "") -> str:
        """The id of the upload that was begun here, no longer kept; with ``upload_id`` only if it is that one."""
        name = (target.token.bucket, target.grant.key)
        with self._lock:
            begun = self._begun.get(name)
            if begun is None or upload_id not in ("", begun.upload_id):
                return ""
            del self._begun[name]
            return begun.upload_id


def _check_granted(grant: Grant, checksum: str, what: str) -> None:
    """The service cannot be told which hash an object must have, so what differs is refused before it is made."""
    if grant.checksum and checksum and grant.checksum != checksum:
        raise Mismatch(f"{what}: the bytes are not those that the grant names; ask for another.", key=grant.key)
