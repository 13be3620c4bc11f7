"""The workbench of the cases: a provider's two halves, used as the engine uses them, and judged by their answers."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec
import pytest
from msgspec.structs import replace

from ..calls import Calls, Store
from ..configuration.config import Origin, Raw
from ..errors import VVOSError
from ..loader import load, provider_class, storing
from ..model import (
    MIB,
    Ask,
    ExistsRequest,
    Finished,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Plan,
    Receipt,
    Rules,
    Secret,
    Stored,
    TokenRequest,
)
from ..profile import Profile
from .doubles import Piece
from .judge import Judge
from .secrecy import check_secrecy, secrets_of
from .verdict import fail, skip_unless

T = TypeVar("T")
NOTHING: Mapping[str, Any] = MappingProxyType({})
LIMIT = 64 * MIB
"""The largest object that the kit uploads, in bytes."""


class Bench(Judge):
    """What the cases are written with. ``calls`` grants, looks and verifies; ``store`` has nothing but the grant."""

    @pytest.fixture(autouse=True)
    def _bench(self, start_service: Any, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
        self.service = start_service
        self._ahead = 0.0
        self._prefix = f"kit-{uuid.uuid4().hex[:8]}"
        self._grants, self._secrets = [], {}
        self._halves: tuple[Calls, Store] | None = None
        caplog.set_level(logging.INFO)
        yield
        for record in caplog.get_records("call"):
            check_secrecy(record.getMessage(), "a log record", self._secrets, self._grants)

    def use(self, address: str | None = None, changes: Mapping[str, Any] = NOTHING) -> tuple[Calls, Store]:
        """Make both halves anew, for the service at ``address``, with other settings where ``changes`` says so."""
        try:
            self._halves = load(self.made_profile(address, changes)), storing(self.name)
        except VVOSError as error:
            fail(str(self.shown(error)), "correct what profile() gives, or the provider that refuses it.")
        return self._halves

    @property
    def calls(self) -> Calls:
        return (self._halves or self.use())[0]

    @property
    def store(self) -> Store:
        return (self._halves or self.use())[1]

    def made_profile(self, address: str | None = None, changes: Mapping[str, Any] = NOTHING) -> Profile:
        """The author's profile, its secrets referred to as in a real one."""
        if not self.name:
            fail("the test class has no name.", "write name = … : what the entry point is called.")
        table = {**self.profile(self.address() if address is None else address), **changes}
        self._secrets |= secrets_of(table)
        names = {key: f"KIT_{key.upper()}" for key, value in table.items() if isinstance(value, Secret)}
        env = {names[key]: table[key].reveal() for key in names}
        referred = {key: {"env": names[key]} if key in names else value for key, value in table.items()}
        return Profile(name="kit", provider=self.name, settings=Raw(referred), origin=Origin(env=env))

    # ── what is put ──────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def rules(self) -> Rules:
        return self.calls.rules

    def key(self, name: str = "对象.bin") -> str:
        """A key that no other case uses."""
        return f"{self._prefix}/{name}"

    @property
    def small(self) -> int:
        """The size of an object that goes in one piece. Unlike any number that a grant might hold besides."""
        return min(12_347, self.rules.threshold)

    @property
    def large(self) -> int:
        """The size of an object of at least three parts, the last one short."""
        skip_unless(self.capabilities.multipart, "multipart")
        part = self.rules.part_size
        full = max(2, -(-(self.rules.threshold + 1) // part))
        return self.affordable(full * part + max(1, part // 3))

    def affordable(self, size: int) -> int:
        if size > LIMIT:
            fail(
                f"an object of {size} bytes would have to be uploaded.",
                f"let profile() set threshold and part_size small, so that the kit needs no more than {LIMIT} bytes.",
            )
        return size

    def sized(self, kind: str) -> int:
        return self.small if kind == "single" else self.large

    # ── the granting side ────────────────────────────────────────────────────────────────────────────────────────────

    def now(self) -> float:
        """Seconds since 1970, UTC, by the service's clock."""
        return time.time() + self._ahead

    def later(self, seconds: float) -> None:
        self.advance_clock(seconds)
        self._ahead += seconds

    def request(self, *asks: Ask, cover: bool = False) -> TokenRequest:
        now = self.now()
        token = f"e30.e30.{uuid.uuid4().hex}"
        return TokenRequest(files=asks, request_token=token, issued_at=now, expires_at=now + self.ttl, cover=cover)

    def token(self, request: TokenRequest) -> list[Grant | VVOSError]:
        """What ``token`` answers; each grant as it comes out of the web API's JSON."""
        answers = self.kept("token", lambda: self.calls.token(request))
        return [self._travelled(item) if isinstance(item, Grant) else self.shown(item) for item in answers]

    def grant(self, key: str, size: int, *, cover: bool = False, **more: Any) -> Grant:
        """A grant; the case fails when there is none."""
        ask = Ask(client_key=more.pop("client_key", key), key=key, size=size, **more)
        (answer,) = self.token(self.request(ask, cover=cover))
        if isinstance(answer, VVOSError):
            fail(f"token refused {size} bytes under {key!r}: {answer!r}.", "grant what the rules and the keys allow.")
        return answer

    def renewal(self, grant: Grant, *, cover: bool | None = None, **changes: Any) -> Grant | VVOSError:
        """The answer when ``grant`` is asked for again as the broker does: from its own seal, without its data."""
        values: dict[str, Any] = {
            "client_key": grant.client_key,
            "key": grant.key,
            "size": grant.size,
            "type": grant.type,
            "renew": replace(grant, data={}),
        }
        request = self.request(Ask(**(values | changes)), cover=grant.cover if cover is None else cover)
        return self.token(request)[0]

    def renewed(self, grant: Grant, **changes: Any) -> Grant:
        answer = self.renewal(grant, **changes)
        if isinstance(answer, VVOSError):
            fail(
                f"token refused to renew a grant: {answer!r}.", "answer an Ask with renew with a new grant of the same."
            )
        same = ("provider", "key", "client_key", "size", "type", "cover", "multipart", "part_size", "upload_id")
        for name in same:
            was, became = getattr(grant, name), getattr(answer, name)
            if was != became:
                fail(
                    f"a renewed grant has {name} {became!r} where the old one had {was!r}.",
                    "change nothing in a renewal but expires_at, checksum and data.",
                )
        return answer

    def found(self, grant: Grant, *, parts: bool = False) -> Found:
        request = ExistsRequest(grants=(replace(grant, data={}),), parts=parts)
        (answer,) = self.kept("exists", lambda: self.calls.exists(request))
        if isinstance(answer, VVOSError):
            fail(
                f"exists refused to look for {grant.key!r}: {answer!r}.", "answer Found(exists=False) for what is not."
            )
        if answer.key != grant.key:
            fail(f"exists answered for {answer.key!r}, asked for {grant.key!r}.", "answer in the order of the grants.")
        return answer

    def verdict(self, grant: Grant, size: int, checksum: str = "") -> Notified | VVOSError:
        done = Finished(grant=replace(grant, data={}), size=size, checksum=checksum)
        (answer,) = self.kept("notify", lambda: self.calls.notify(NotifyRequest(objects=(done,))))
        return self.shown(answer) if isinstance(answer, VVOSError) else answer

    # ── the storing side ─────────────────────────────────────────────────────────────────────────────────────────────

    def pieces(self, grant: Grant, data: bytes) -> list[Piece]:
        plan = Plan(size=len(data), multipart=grant.multipart, part_size=grant.part_size)
        spans = [(number, *plan.span(number)) for number in range(1, plan.count + 1)]
        return [Piece(data[offset : offset + length], number, offset) for number, offset, length in spans]

    def put(self, grant: Grant, piece: Piece) -> Receipt:
        return self.kept("put_chunk", lambda: self.store.put_chunk(grant, piece))

    def put_all(self, grant: Grant, data: bytes) -> list[Receipt]:
        return [self.put(grant, piece) for piece in self.pieces(grant, data)]

    def sealed(self, grant: Grant, data: bytes) -> Grant:
        """The grant to complete with: renewed with the checksum of the bytes, where it asks for that."""
        return self.renewed(grant, checksum=self.checksum_of(data)) if grant.seal else grant

    def complete(self, grant: Grant, receipts: Sequence[Receipt]) -> Stored:
        return self.kept("complete", lambda: self.store.complete(grant, receipts))

    def upload(self, key: str, data: bytes, *, cover: bool = False, **more: Any) -> tuple[Grant, Stored]:
        """A whole upload, as the engine does it."""
        grant = self.grant(key, len(data), cover=cover, **more)
        receipts = self.put_all(grant, data)
        grant = self.sealed(grant, data)
        return grant, self.complete(grant, receipts)

    def checksum_of(self, data: bytes) -> str:
        hasher = self.store.checksum.new()
        hasher.update(memoryview(data))
        return hasher.value()

    def check_absent(self, grant: Grant, what: str, mend: str) -> None:
        found = self.found(grant)
        if found.exists:
            fail(f"{what}: there is an object of {found.size} bytes under {grant.key!r}.", mend)

    def _travelled(self, grant: Grant) -> Grant:
        """The grant after its way through JSON: the web API carries it from the broker to the client."""
        self._grants.append(grant)
        mend = "put nothing into data but dict, list, str, int, float, bool and None."
        try:
            text = msgspec.json.encode(grant)
        except (TypeError, ValueError) as error:
            fail(f"grant.data cannot be written as JSON: {error}.", mend)
        travelled = msgspec.json.decode(text, type=Grant)
        if travelled != grant:
            fail("a grant that went through JSON is not the same any more.", mend)
        return travelled

    def plugin_class(self) -> type[Any]:
        return provider_class(self.name)

    def settings_table(self) -> Mapping[str, Any]:
        return self.profile(self.address())
