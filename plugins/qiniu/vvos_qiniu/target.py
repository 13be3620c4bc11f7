"""One upload on the wire: its grant, its token, and the hosts to go to; and what every way of putting shares."""

from __future__ import annotations

import time

from msgspec import Struct

from vvos_core import Answer, BadAnswer, Grant, Mismatch, VVOSError

from .checksum import QETAG, digest_of
from .faults import fault, refused
from .grants import Permission, Token
from .hosts import decode


class Target(Struct, frozen=True, kw_only=True):
    """Where the pieces of one upload go, and on whose leave."""

    grant: Grant
    permission: Permission
    token: Token
    hosts: tuple[str, ...]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"UpToken {self.permission.token}"}

    def refused(self, answer: Answer, what: str) -> VVOSError:
        """The error that an answer tells of."""
        expired = self.token.deadline <= time.time()
        return refused(answer, what, key=self.grant.key, bucket=self.token.bucket, expired=expired)

    def mismatch(self, what: str) -> Mismatch:
        return Mismatch(f"{what}: the service received other bytes than were read; put it again.", key=self.grant.key)

    def made(self, answer: Answer, what: str, checksum: str) -> str:
        """The checksum of the object that an answer tells of, compared with ours; empty where it names none.

        A token's own ``returnBody`` or callback may answer anything. Raises ``Mismatch``, and ``ServiceFailed`` for an
        answer that names an error, whatever its status was.
        """
        try:
            told = decode(answer.body, dict, what, self.grant.key)
        except BadAnswer:
            return ""
        etag, error = told.get("hash"), told.get("error")
        if etag is None and isinstance(error, str) and error:
            raise fault(599, error, what, key=self.grant.key)
        if not isinstance(etag, str) or not digest_of(etag):
            return ""
        stored = f"{QETAG}:{etag}"
        if checksum and checksum != stored:
            raise self.mismatch(what)
        return stored


def file_name(grant: Grant) -> str:
    """The name of the file, as the variable ``$(fname)`` of the business has it."""
    return grant.client_key.rpartition("/")[2] or "file"


def shown(grant: Grant) -> str:
    return repr(grant.key if len(grant.key) <= 80 else grant.key[:77] + "…")
