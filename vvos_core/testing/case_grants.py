"""Cases: a grant is leave to put one key, size and type until it expires, and no more, whatever its holder does."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from ..errors import Exists, TokenExpired, VVOSError
from ..model import Grant, Receipt
from .altering import changed, in_bare_base64, in_base64, without_one
from .bench import Bench
from .doubles import content
from .faults import FaultProxy, add_headers
from .verdict import fail, skip_unless

SINGLE_AND_MULTI = pytest.mark.parametrize("kind", ["single", "multipart"])
SERVICE = "have the service itself enforce it: what the storing half checks, whoever holds the grant leaves out."


class GrantCases(Bench):
    # ── expired and renewed ──────────────────────────────────────────────────────────────────────────────────────────

    @SINGLE_AND_MULTI
    def test_an_expired_grant_puts_nothing(self, kind: str) -> None:
        skip_unless(self.capabilities.enforces_expiry, "enforce a grant's expiry")
        data = content(self.sized(kind))
        grant = self.grant(self.key(), len(data))
        piece = self.pieces(grant, data)[0]
        self.later(self.ttl + 60)
        mend = "sign expires_at into the grant, so that the service refuses, and translate that into TokenExpired."
        self.refused(
            "put_chunk a minute after the grant expired",
            lambda: self.store.put_chunk(grant, piece),
            TokenExpired,
            mend=mend,
        )
        found = self.found(grant, parts=True)
        if found.exists or found.parts:
            fail(f"exists finds {found}, which an expired grant put there.", SERVICE)

    def test_an_expired_grant_completes_nothing(self) -> None:
        skip_unless(self.capabilities.enforces_expiry, "enforce a grant's expiry")
        data = content(self.large)
        grant = self.grant(self.key(), len(data))
        receipts = self.put_all(grant, data)
        grant = self.sealed(grant, data)
        self.later(self.ttl + 60)
        mend = "sign expires_at into what completes, too, and translate the refusal into TokenExpired."
        self.refused(
            "complete a minute after the grant expired",
            lambda: self.store.complete(grant, receipts),
            TokenExpired,
            mend=mend,
        )
        self.check_absent(grant, "completed with an expired grant", SERVICE)

    def test_a_grant_holds_until_it_expires(self) -> None:
        skip_unless(self.capabilities.enforces_expiry, "enforce a grant's expiry")
        data = content(self.small)
        grant = self.grant(self.key(), len(data))
        self.later(self.ttl - 60)
        self.complete(grant, self.put_all(grant, data))
        self.check_object(grant.key, data, "put a minute before the grant expired")

    def test_an_upload_goes_on_with_a_renewed_grant(self) -> None:
        data = content(self.large)
        old = self.grant(self.key(), len(data))
        first, *others = self.pieces(old, data)
        receipts = [self.put(old, first)]
        if self.capabilities.enforces_expiry:
            self.later(self.ttl + 60)
        grant = self.renewed(old)
        if grant.expires_at <= old.expires_at:
            fail("a renewed grant expires no later than the old one.", "sign it with the request's expires_at.")
        receipts += [self.put(grant, piece) for piece in others]
        self.complete(self.sealed(grant, data), receipts)
        self.check_object(grant.key, data, "an upload whose grant was renewed half-way")

    @SINGLE_AND_MULTI
    @pytest.mark.parametrize("wider", ["key", "client_key", "size", "type", "cover", "metadata"])
    def test_a_grant_is_not_renewed_wider(self, kind: str, wider: str) -> None:
        size = self.sized(kind)
        grant = self.grant(self.key("正.bin"), size)
        changes: dict[str, dict[str, Any]] = {
            "key": {"key": self.key("别.bin")},
            "client_key": {"client_key": "another"},
            "size": {"size": size + 1},
            "type": {"type": "text/html"},
            "cover": {"cover": True},
            "metadata": {"metadata": {"owner": "别人"}},
        }
        answer = self.renewal(grant, **changes[wider])
        if not isinstance(answer, VVOSError) or answer.retryable:
            shown = "a grant" if isinstance(answer, Grant) else repr(answer)
            fail(
                f"token answered {shown} when a renewal asked for another {wider}.",
                f"compare an ask that has renew with the old grant; answer Denied when its {wider} is another.",
            )

    # ── used for something else ──────────────────────────────────────────────────────────────────────────────────────

    @SINGLE_AND_MULTI
    def test_a_grant_cannot_be_used_for_another_key(self, kind: str) -> None:
        skip_unless(self.capabilities.enforces_key, "bind a grant to its key")
        mine, theirs, size = self.key("我.bin"), self.key("你.bin"), self.sized(kind)
        victim = content(size, 1)
        self.upload(theirs, victim)
        grant = self.grant(mine, size, cover=True)
        spellings: list[Callable[[str], str]] = [
            str,
            quote,
            lambda key: quote(key, safe=""),
            in_base64,
            in_bare_base64,
        ]
        moved = changed(grant.data, {spell(mine): spell(theirs) for spell in spellings})
        for data in (grant.data, moved):
            attack = replace(grant, key=theirs, data=data)
            self._attempt(attack, content(size, 2), like=grant)
            self.check_object(theirs, victim, f"after the grant of {mine!r} was used for another key")

    @SINGLE_AND_MULTI
    def test_a_grant_cannot_be_used_for_a_larger_object(self, kind: str) -> None:
        skip_unless(self.capabilities.enforces_size, "bind a grant to its size")
        size = self.sized(kind)
        for more in (1, self.rules.part_size if kind == "multipart" else size):
            grant = self.grant(self.key(f"{more}.bin"), size)
            data = content(size + more)
            attack = replace(grant, size=len(data), data=changed(grant.data, {}, {size: len(data)}))
            self._attempt(attack, data, like=grant)
            found = self.found(grant)
            if found.exists and found.size > size:
                fail(f"a grant for {size} bytes put an object of {found.size}.", SERVICE)
            self.calls.abort(grant)

    @SINGLE_AND_MULTI
    def test_a_grant_cannot_be_used_for_another_type(self, kind: str) -> None:
        skip_unless(self.capabilities.enforces_type, "bind a grant to its type")
        data = content(self.sized(kind))
        grant = self.grant(self.key(), len(data), type="text/plain")
        attack = replace(grant, type="text/html", data=changed(grant.data, {"text/plain": "text/html"}))
        error = self._attempt(attack, data, like=grant)
        if error is None:
            kept = self.type_of(grant.key)
            if kept is None:
                pytest.skip("nobody can tell: type_of is not overridden, or the service keeps no type")
            if kept != "text/plain":
                fail(f"a grant for text/plain put an object of type {kept}.", SERVICE)

    @SINGLE_AND_MULTI
    def test_a_grant_that_names_a_checksum_takes_no_other_bytes(self, kind: str) -> None:
        skip_unless(self.capabilities.checksums, "checksums")
        data = content(self.sized(kind))
        grant = self.grant(self.key(), len(data), checksum=self.checksum_of(data))
        self._attempt(grant, content(len(data), 3))
        self.check_absent(
            grant,
            "put with a grant that names another checksum",
            "sign ask.checksum into the grant, so that the service compares it with what it received.",
        )

    def test_an_added_header_does_not_make_a_copy(self) -> None:
        skip_unless(self.capabilities.rejects_added_headers, "refuse a header that was not signed")
        if not self.address() or not self.copy_headers("a"):
            pytest.skip("copy_headers is not overridden, or there is no network between")
        secret, sent = content(self.small, 1), content(self.small, 2)
        other = self.key("别人的秘密.bin")
        self.upload(other, secret)
        with FaultProxy(self.address()) as proxy:
            self.use(proxy.address)
            grant = self.grant(self.key(), len(sent))
            proxy.stage(add_headers(self.copy_headers(other)), times=None)
            self._attempt(grant, sent)
            proxy.pass_all()
            if self.found(grant).exists:
                self.check_object(grant.key, sent, "put with a header that nobody signed and that asks for a copy")

    # ── used again, and over what is there ───────────────────────────────────────────────────────────────────────────

    @SINGLE_AND_MULTI
    def test_a_grant_is_worth_nothing_after_completion(self, kind: str) -> None:
        skip_unless(self.capabilities.enforces_cover, "keep an object from being replaced")
        data = content(self.sized(kind))
        grant = self.grant(self.key(), len(data))
        receipts = self.put_all(grant, data)
        sealed = self.sealed(grant, data)
        self.complete(sealed, receipts)
        self._attempt(grant, content(len(data), 4))
        self._attempted(lambda: self.store.complete(sealed, receipts))
        self.check_object(grant.key, data, "after the grant was used again, for other bytes, when it was completed")

    @SINGLE_AND_MULTI
    def test_nothing_is_replaced_without_leave(self, kind: str) -> None:
        """The object comes after the grant: who only looks before granting does not notice."""
        skip_unless(self.capabilities.enforces_cover, "keep an object from being replaced")
        key, first, second = self.key(), content(self.sized(kind), 1), content(self.sized(kind), 2)
        late = self.grant(key, len(second))
        self.upload(key, first)

        def put_late() -> None:
            receipts = [self.store.put_chunk(late, piece) for piece in self.pieces(late, second)]
            self.store.complete(self.sealed(late, second), receipts)

        mend = (
            "make the write itself conditional on there being nothing (for parts: the completing call), raise Exists."
        )
        self.refused("an upload with cover=False, of a key that is taken", put_late, Exists, mend=mend)
        self.check_object(key, first, "after an upload with cover=False of a key that was taken meanwhile")
        self.calls.abort(late)

    @SINGLE_AND_MULTI
    def test_nothing_is_replaced_by_leaving_out_what_was_signed(self, kind: str) -> None:
        skip_unless(self.capabilities.enforces_cover, "keep an object from being replaced")
        key, first, second = self.key(), content(self.sized(kind), 1), content(self.sized(kind), 2)
        grant = self.grant(key, len(second))
        self.upload(key, first)
        receipts = self.put_all(grant, second) if grant.multipart else []
        sealed = self.sealed(grant, second)
        for less in (sealed.data, *without_one(sealed.data)):
            attack = replace(sealed, cover=True, data=less)
            if receipts:
                self._attempted(lambda attack=attack: self.store.complete(attack, receipts))  # type: ignore[misc]  # bound here
            else:
                self._attempt(attack, second)
            self.check_object(key, first, "after a grant with cover=False was sent incomplete")
        self.calls.abort(grant)

    def test_of_two_at_once_one_wins(self) -> None:
        skip_unless(self.capabilities.enforces_cover, "keep an object from being replaced")
        key = self.key()
        grants = [self.grant(key, self.small) for _ in range(4)]
        datas = [content(self.small, seed) for seed in range(4)]

        def race(number: int) -> VVOSError | None:
            try:
                receipts = [
                    self.store.put_chunk(grants[number], piece) for piece in self.pieces(grants[number], datas[number])
                ]
                self.store.complete(grants[number], receipts)
            except VVOSError as error:
                return error
            return None

        with ThreadPoolExecutor(4) as pool:
            errors = list(pool.map(race, range(4)))
        winners = [number for number, error in enumerate(errors) if error is None]
        losers = [error for error in errors if error is not None]
        if len(winners) != 1:
            fail(f"{len(winners)} of 4 uploads of one key, at the same time, with cover=False, succeeded.", SERVICE)
        for loser in losers:
            if not isinstance(self.shown(loser), Exists) and not loser.retryable:
                fail(f"who lost the race for a key was told {loser!r}.", "raise Exists for a key that is taken.")
        self.check_object(key, datas[winners[0]], "the winner's object")

    # ── shared ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _attempt(self, attack: Grant, data: bytes, like: Grant | None = None) -> VVOSError | None:
        """A whole upload with a grant that may be altered; whether it is refused, and where, is all the same here.

        ``like``: the grant that it was made from, for an honest renewal on the way.
        """

        def everything() -> None:
            receipts: list[Receipt] = []
            failed: VVOSError | None = None
            for piece in self.pieces(attack, data):
                try:
                    receipts.append(self.store.put_chunk(attack, piece))
                except VVOSError as error:
                    failed = failed or error
            last = attack
            if attack.seal and attack.checksum != self.checksum_of(data):
                answer = self.renewal(like or attack, checksum=self.checksum_of(data))
                if isinstance(answer, VVOSError):
                    raise answer
                last = replace(attack, data=answer.data, checksum=answer.checksum, expires_at=answer.expires_at)
            if receipts:
                self.store.complete(last, receipts)
            if failed:
                raise failed

        return self._attempted(everything)

    def _attempted(self, call: Callable[[], object]) -> VVOSError | None:
        try:
            call()
        except VVOSError as error:
            return self.shown(error)
        return None
