"""Tries what every upload needs, with the profile's own hooks: put, verify, refuse to replace, parts, abort."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import TypeVar

from msgspec.structs import replace

from ..calls import Calls, Store
from ..errors import BadAnswer, ConfigError, Denied, Exists, TokenExpired, Unavailable, VVOSError
from ..model import (
    Ask,
    ExistsRequest,
    Finding,
    Finished,
    Found,
    Grant,
    NotifyRequest,
    Plan,
    Receipt,
    TokenRequest,
    Verdict,
)

TTL = 900
"""Seconds that the trial's grants last; temporary credentials are given out for no less."""
T = TypeVar("T")
_FIRST = b"VVOS looked after this deployment; this object can be deleted.\n"
_SECOND = b"VVOS tried to replace its own object. That should have been refused.\n"
_MENDS: tuple[tuple[type[VVOSError], str], ...] = (
    (TokenExpired, "compare the clocks of this machine and of the service."),
    (Denied, "give the profile's keys the right to it; the provider's README lists those that are needed."),
    (BadAnswer, "choose a checksum that the service keeps, where the provider lets you; or another service."),
)


class Trial:
    """Uploads under ``key``. An object is left there, for the provider to look at and to remove.

    ``store`` is the storing half as a client has it, without the profile. ``now``: seconds since 1970, UTC.
    """

    def __init__(self, calls: Calls, store: Store, key: str, now: float) -> None:
        self._calls = calls
        self._store = store
        self._key = key
        self._now = now
        self._over = False

    def run(self) -> Iterator[Finding]:
        """What was found. Of a service that cannot be reached, or is not the right one, nothing more is tried."""
        for step in (self._put, self._parts):
            yield from step()
            if self._over:
                return

    def _put(self) -> Iterator[Finding]:
        try:
            grant, receipts = self._upload(_FIRST)
        except VVOSError as error:
            yield self._failed("put", error)
            return
        yield _found("put", "ok", "an object can be put with a grant alone.")
        yield self._told("verify", "a finished object can be verified.", lambda: self._verify(grant, receipts))
        try:
            self._upload(_SECOND)
        except Exists:
            yield _found("overwrite", "ok", "an object that is there is not replaced where the grant says so.")
        except VVOSError as error:
            yield self._failed("overwrite", error)
        else:
            yield _found(
                "overwrite",
                "fail",
                "the service replaced an object although the grant forbids it.",
                'give every object a key of its own: naming = "random" in [broker]; or take a service that refuses.',
            )

    def _parts(self) -> Iterator[Finding]:
        rules = self._calls.rules
        if rules.max_parts < 2:
            return
        # Of the last part only one byte, and no other part is put.
        size = (rules.threshold // rules.part_size + 1) * rules.part_size + 1
        try:
            grant = self._grant(f"{self._key}-parts", size)  # where an object is, nobody looks for parts
        except VVOSError as error:
            yield self._failed("parts", error)
            return
        plan = Plan(size=size, multipart=True, part_size=grant.part_size)
        offset, length = plan.span(plan.count)
        try:
            receipt = self._store.put_chunk(grant, _Bytes(bytes(length), plan.count, offset))
            yield self._listed(grant, receipt)
        except VVOSError as error:
            yield self._failed("parts", error)
        finally:
            gone = self._gone(grant)
        yield gone

    def _listed(self, grant: Grant, receipt: Receipt) -> Finding:
        if not grant.upload_id:
            return _found("parts", "ok", "a part can be put; this kind of upload keeps no list of them.")
        listed = {part.number for part in self._look(grant).parts or ()}
        if receipt.number in listed:
            return _found("parts", "ok", "a part can be put, and is listed.")
        return _found(
            "parts",
            "fail",
            "a part that was put is not listed, so an upload that is interrupted begins again.",
            "take a service that lists parts; or keep the files below the threshold.",
        )

    def _gone(self, grant: Grant) -> Finding:
        left = f"The unfinished upload of {grant.key!r} is left behind."
        try:
            self._calls.abort(replace(grant, data={}))
            parts = self._look(grant).parts if grant.upload_id else ()
        except VVOSError as error:
            failed = self._failed("abort", error)
            return replace(failed, message=f"{failed.message} {left}")
        if parts:
            mend = "let the service delete unfinished uploads by a rule of the bucket."
            return _found("abort", "fail", f"parts are still there after the upload was aborted. {left}", mend)
        return _found("abort", "ok", "an upload can be aborted, and leaves nothing behind.")

    def _told(self, check: str, message: str, do: Callable[[], object]) -> Finding:
        try:
            do()
        except VVOSError as error:
            return self._failed(check, error)
        return _found(check, "ok", message)

    def _upload(self, data: bytes) -> tuple[Grant, list[Receipt]]:
        grant = self._grant(self._key, len(data))
        plan = Plan(size=len(data), multipart=grant.multipart, part_size=grant.part_size)
        spans = [(number, *plan.span(number)) for number in range(1, plan.count + 1)]
        try:
            receipts = [
                self._store.put_chunk(grant, _Bytes(data[offset : offset + length], number, offset))
                for number, offset, length in spans
            ]
            if grant.seal:
                checksum = self._store.checksum.combine(receipts)
                old = replace(grant, data={})
                grant = self._grant(self._key, len(data), checksum=checksum, renew=old)
            self._store.complete(grant, receipts)
        except VVOSError:
            if grant.multipart:
                self._calls.abort(replace(grant, data={}))
            raise
        return grant, receipts

    def _grant(self, key: str, size: int, *, checksum: str = "", renew: Grant | None = None) -> Grant:
        ask = Ask(client_key=key, key=key, size=size, checksum=checksum, renew=renew)
        request = TokenRequest(
            files=(ask,),
            request_token=f"doctor-{uuid.uuid4().hex}",
            issued_at=self._now,
            expires_at=self._now + TTL,
        )
        return _one(self._calls.token(request)[0])

    def _look(self, grant: Grant) -> Found:
        return _one(self._calls.exists(ExistsRequest(grants=(replace(grant, data={}),), parts=True))[0])

    def _verify(self, grant: Grant, receipts: list[Receipt]) -> None:
        checksum = self._store.checksum.combine(receipts)
        done = Finished(grant=replace(grant, data={}), size=grant.size, checksum=checksum)
        _one(self._calls.verify(NotifyRequest(objects=(done,)))[0])

    def _failed(self, check: str, error: VVOSError) -> Finding:
        """The finding of an error, whose sentence often says already what to do."""
        self._over = self._over or isinstance(error, Unavailable | ConfigError)
        if isinstance(error, Unavailable):
            return _found(check, "unknown", error.message)
        mend = next((mend for kind, mend in _MENDS if isinstance(error, kind)), "")
        return _found(check, "fail", error.message, mend)


class _Bytes:
    """A chunk of these bytes."""

    def __init__(self, data: bytes, number: int, offset: int) -> None:
        self.number = number
        self.offset = offset
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Iterator[memoryview]:
        yield memoryview(self._data)


def _one(answer: T | VVOSError) -> T:
    if isinstance(answer, VVOSError):
        raise answer
    return answer


def _found(check: str, verdict: Verdict, message: str, mend: str = "") -> Finding:
    return Finding(check=check, verdict=verdict, message=message, mend=mend)
