"""Cases: what goes wrong becomes the right error, retryable where trying again helps, and shows no secret."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace

from ..errors import Cancelled, Denied, Exists, NotFound, SourceChanged, Unavailable, VVOSError
from ..model import Ask, ExistsRequest, Grant, Secret
from .altering import shuffled, spoiled
from .bench import Bench
from .doubles import Broken, Misread, Piece, content
from .faults import FaultProxy, answer, cut, swallow
from .secrecy import check_secrecy
from .verdict import fail, skip_unless

SINGLE_AND_MULTI = pytest.mark.parametrize("kind", ["single", "multipart"])
TRANSIENT = "translate what may pass (no answer, 429, 5xx) into Unavailable or ServiceFailed: they are retried."


class ErrorCases(Bench):
    # ── the source ───────────────────────────────────────────────────────────────────────────────────────────────────

    @SINGLE_AND_MULTI
    @pytest.mark.parametrize("fault", ["cut short", "grown", "changed"])
    def test_a_source_that_changes_makes_no_object(self, kind: str, fault: str) -> None:
        data = content(self.sized(kind))
        grant = self.grant(self.key(), len(data))
        whole = self.pieces(grant, data)[0]
        block = data[whole.offset : whole.offset + len(whole)]
        faulty: Piece = {
            "cut short": Misread(block, block[:-1]),
            "grown": Misread(block, block + b"+"),
            "changed": Broken(block, SourceChanged("the file changed while it was uploaded.")),
        }[fault]
        mend = (
            "send a chunk with Http.send, which compares its length; let what the chunk raises come out as it is, and "
            "announce the length, so that the service keeps nothing of a body that lacks its end."
        )
        self.refused(
            f"a chunk that was {fault} while it was read",
            lambda: self.store.put_chunk(grant, faulty),
            SourceChanged,
            mend=mend,
        )
        self.check_absent(grant, f"after a chunk was {fault} while it was read", mend)
        receipts = self.put_all(grant, data)
        self.complete(self.sealed(grant, data), receipts)
        self.check_object(grant.key, data, f"put again, after a chunk was {fault}")

    def test_a_cancelled_chunk_is_cancelled(self) -> None:
        data = content(self.small)
        grant = self.grant(self.key(), len(data))
        piece = Broken(data, Cancelled("the upload was cancelled."))
        mend = "let what the chunk raises come out of put_chunk as it is."
        self.refused("a chunk that was cancelled", lambda: self.store.put_chunk(grant, piece), Cancelled, mend=mend)
        self.check_absent(grant, "after it was cancelled", "keep nothing of a body that lacks its end.")

    # ── the network ──────────────────────────────────────────────────────────────────────────────────────────────────

    @SINGLE_AND_MULTI
    def test_a_put_whose_answer_is_lost_is_put_again(self, kind: str) -> None:
        data = content(self.sized(kind))
        with self._proxied() as proxy:
            grant = self.grant(self.key(), len(data))
            first, *others = self.pieces(grant, data)
            proxy.stage(swallow(), times=None)
            self._transient("put_chunk whose answer is lost", grant, first)
            proxy.pass_all()
            if grant.multipart:
                receipts = [self.put(grant, piece) for piece in (first, *others)]
                self.complete(self.sealed(grant, data), receipts)
            else:
                self.again("put_chunk", lambda: self.store.put_chunk(grant, first), Exists)
            self.check_object(grant.key, data, "put again after its answer was lost")

    def test_a_complete_whose_answer_is_lost_is_completed_again(self) -> None:
        data = content(self.large)
        with self._proxied() as proxy:
            grant = self.grant(self.key(), len(data))
            receipts = self.put_all(grant, data)
            grant = self.sealed(grant, data)
            proxy.stage(swallow(), times=None)
            error = self.refused(
                "complete whose answer is lost",
                lambda: self.store.complete(grant, receipts),
                Unavailable,
                mend=TRANSIENT,
            )
            self._check_retryable(error, True)
            proxy.pass_all()
            if not self.found(grant).exists:
                fail("exists does not find what complete made before its answer was lost.", "ask the service.")
            self.again("complete", lambda: self.store.complete(grant, receipts), NotFound, Exists)
            self.check_object(grant.key, data, "completed again after the answer was lost")

    @SINGLE_AND_MULTI
    def test_a_connection_that_breaks_half_way_leaves_nothing(self, kind: str) -> None:
        data = content(self.sized(kind))
        with self._proxied() as proxy:
            grant = self.grant(self.key(), len(data))
            first = self.pieces(grant, data)[0]
            proxy.stage(cut(len(first) // 2), times=None)
            self._transient("put_chunk on a connection that breaks half-way", grant, first)
            proxy.pass_all()
            found = self.found(grant, parts=True)
            if found.exists or found.parts:
                fail(f"half a chunk was stored: exists answers {found}.", "announce the length of what is sent.")
            receipts = self.put_all(grant, data)
            self.complete(self.sealed(grant, data), receipts)
            self.check_object(grant.key, data, "put again after the connection broke")

    def test_a_service_that_cannot_be_reached_is_unavailable(self) -> None:
        data = content(self.small)
        with self._proxied() as proxy:
            grant = self.grant(self.key(), len(data))
            proxy.refuse()
            self._transient("put_chunk to a service that refuses connections", grant, self.pieces(grant, data)[0])
            found: object
            try:
                (found,) = self.calls.exists(ExistsRequest(grants=(grant,)))
            except VVOSError as error:
                found = error
            if not isinstance(found, Unavailable):
                fail(f"exists answered {found!r} of a service that refuses connections.", TRANSIENT)
            self.shown(found)

    @pytest.mark.parametrize("status", [429, 500, 503])
    def test_a_service_that_fails_is_asked_again(self, status: int) -> None:
        data = content(self.small)
        with self._proxied() as proxy:
            grant = self.grant(self.key(), len(data))
            proxy.stage(answer(status), times=None)
            self._transient(f"put_chunk answered with HTTP {status}", grant, self.pieces(grant, data)[0])

    def test_a_service_that_says_no_is_not_asked_again(self) -> None:
        data = content(self.small)
        with self._proxied() as proxy:
            grant = self.grant(self.key(), len(data))
            proxy.stage(answer(403), times=None)
            error = self.refused(
                "put_chunk answered with HTTP 403",
                lambda: self.store.put_chunk(grant, self.pieces(grant, data)[0]),
                Denied,
                mend="translate a refusal into Denied (or a kind of it): trying again does not help.",
            )
            self._check_retryable(error, False)

    # ── secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def test_an_altered_grant_is_denied_and_not_shown(self) -> None:
        skip_unless(self.capabilities.enforces_key, "tell a grant that was altered")
        data = content(self.small)
        grant = self.grant(self.key(), len(data))
        errors: list[VVOSError] = []
        for attack in (replace(grant, data=other) for other in spoiled(grant.data)):
            try:
                self.store.put_chunk(attack, self.pieces(attack, data)[0])
            except VVOSError as error:
                errors.append(self.shown(error))
        if not any(isinstance(error, Denied) for error in errors):
            fail(
                f"of {len(errors)} altered grants that were refused none was Denied: {errors!r}.",
                "have the service verify what is signed, and translate its refusal into Denied (or a kind of it).",
            )

    def test_wrong_secrets_are_refused_and_not_shown(self) -> None:
        table = self.settings_table()
        wrong = {name: shuffled(value) for name, value in table.items() if isinstance(value, Secret)}
        if not wrong:
            pytest.skip("the profile has no secrets")
        self.use(changes=wrong)
        refusals: list[VVOSError] = []
        key, data = self.key(), content(self.small)
        try:
            (granted,) = self.calls.token(self.request(Ask(client_key=key, key=key, size=len(data))))
            if isinstance(granted, VVOSError):
                raise granted
            self._grants.append(granted)
            self.store.put_chunk(granted, self.pieces(granted, data)[0])
        except VVOSError as error:
            refusals.append(self.shown(error))
        except Exception as error:  # noqa: BLE001  # a profile may be refused in any way but with its secret
            self.shown(VVOSError(str(error)))
        if not refusals:
            fail(
                "with other secrets than the service's own an object was put.",
                "sign grants with the profile's secrets.",
            )
        for refusal in refusals:
            self._check_retryable(refusal, False)

    def test_nothing_shows_itself_with_its_secrets(self) -> None:
        grant = self.grant(self.key(), self.small)
        plugin = self.calls.store(self.name).plugin
        settings = self.made_profile().resolve(self.plugin_class().Settings)
        for what, value in (("a grant", grant), ("the plugin", plugin), ("the settings", settings)):
            check_secrecy(repr(value), f"the repr of {what}", self._secrets, self._grants)

    # ── shared ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _proxied(self) -> Iterator[FaultProxy]:
        """Both halves speak to the service through a proxy that stages faults."""
        if not self.address():
            pytest.skip("there is no network between the plugin and its service: address() is not overridden")
        with FaultProxy(self.address()) as proxy:
            self.use(proxy.address)
            yield proxy

    def _transient(self, what: str, grant: Grant, piece: Piece) -> None:
        error = self.refused(what, lambda: self.store.put_chunk(grant, piece), Unavailable, mend=TRANSIENT)
        self._check_retryable(error, True)

    def _check_retryable(self, error: VVOSError, wanted: bool) -> None:
        if error.retryable is not wanted:
            fail(
                f"{error!r} is {'not ' if wanted else ''}retryable.",
                TRANSIENT if wanted else "raise an error that says no for good: Denied, or a kind of it.",
            )
