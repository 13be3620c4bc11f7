"""A provider in memory, and the values that the broker's tests are made from."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from vvos_core import request_token
from vvos_core.broker.ledger import Ledger
from vvos_core.broker.service import Broker, Request, Response
from vvos_core.errors import ConfigError, Mismatch, NotFound, Unavailable, VVOSError
from vvos_core.model import (
    MIB,
    Event,
    ExistsRequest,
    Found,
    Grant,
    Notified,
    NotifyRequest,
    Receipt,
    Rules,
    Secret,
    TokenRequest,
    Unfinished,
)
from vvos_core.profile import BrokerSettings

NOW = 1_800_000_000.0
SEAL_KEY = Secret("0123456789abcdef0123456789abcdef-test")
OTHER_KEY = Secret("fedcba9876543210fedcba9876543210-test")
RULES = Rules(threshold=MIB, part_size=MIB, min_part=MIB, max_part=64 * MIB, max_parts=100, max_key=600, align=MIB)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class FakeCalls:
    """The typed face of a provider that keeps its objects in a dict, counts what it is asked, and fails if told."""

    def __init__(self, provider: str = "fake") -> None:
        self.provider = provider
        self.rules = RULES
        self.objects: dict[str, tuple[int, str]] = {}
        self.parts: dict[str, tuple[Receipt, ...]] = {}
        self.asked: list[str] = []
        self.requests: list[Any] = []
        self.aborted: list[str] = []
        self.listeners: tuple[str, ...] = ("ear",)
        self.told: list[str] = []
        self.begun: dict[str, list[Unfinished]] = {}
        self.events: list[Event] = []
        self.hear: Callable[[str, NotifyRequest], None] = lambda listener, request: None
        self.down = False
        self.refuses: dict[str, VVOSError] = {}
        self.before: Callable[[str], None] = lambda name: None
        self._lock = threading.Lock()
        self._uploads = 0

    def _enter(self, name: str, request: Any) -> None:
        with self._lock:
            self.asked.append(name)
            self.requests.append(request)
        self.before(name)
        if self.down:
            raise Unavailable("fake: 127.0.0.1:1 did not answer.")

    def token(self, request: TokenRequest) -> list[Grant | VVOSError]:
        self._enter("token", request)
        answers: list[Grant | VVOSError] = []
        for ask in request.files:
            if ask.key in self.refuses:
                answers.append(self.refuses[ask.key])
                continue
            multipart = ask.size > self.rules.threshold
            upload_id = ""
            if multipart and ask.renew is not None:
                upload_id = ask.renew.upload_id
            elif multipart:
                with self._lock:
                    self._uploads += 1
                    upload_id = f"upload-{self._uploads}"
            answers.append(
                Grant(
                    provider=self.provider,
                    key=ask.key,
                    client_key=ask.client_key,
                    size=ask.size,
                    type=ask.type,
                    cover=request.cover,
                    expires_at=request.expires_at,
                    multipart=multipart,
                    part_size=MIB if multipart else 0,
                    upload_id=upload_id,
                    checksum=ask.checksum,
                    seal=multipart and not ask.checksum,
                    metadata=ask.metadata,
                    data={"signature": f"{ask.key}@{request.issued_at}+{request.expires_at}/{ask.checksum}"},
                )
            )
        return answers

    def exists(self, request: ExistsRequest) -> list[Found | VVOSError]:
        self._enter("exists", request)
        answers: list[Found | VVOSError] = []
        for grant in request.grants:
            stored = self.objects.get(grant.key)
            parts = self.parts.get(grant.key, ()) if request.parts and grant.multipart else None
            if grant.key in self.refuses:
                answers.append(self.refuses[grant.key])
            elif stored is None:
                answers.append(Found(key=grant.key, exists=False, parts=parts))
            else:
                answers.append(Found(key=grant.key, exists=True, size=stored[0], checksum=stored[1], parts=parts))
        return answers

    def verify(self, request: NotifyRequest) -> list[Notified | VVOSError]:
        self._enter("verify", request)
        answers: list[Notified | VVOSError] = []
        for done in request.objects:
            stored = self.objects.get(done.grant.key)
            if done.grant.key in self.refuses:
                answers.append(self.refuses[done.grant.key])
            elif stored is None:
                answers.append(NotFound(f"{done.grant.key} is not there.", key=done.grant.key))
            elif stored[0] != done.size or (done.checksum and stored[1] != done.checksum):
                answers.append(Mismatch(f"{done.grant.key} is another object.", key=done.grant.key))
            else:
                answers.append(Notified(key=done.grant.key, url=f"https://fake.test/{done.grant.key}"))
        return answers

    def tell_one(self, listener: str, request: NotifyRequest) -> None:
        self.hear(listener, request)
        with self._lock:
            self.told += [done.grant.key for done in request.objects]
            self.events += [done.event for done in request.objects if done.event]

    def abort(self, grant: Grant) -> None:
        with self._lock:
            self.aborted.append(grant.upload_id)

    def unfinished(self, key: str) -> list[Unfinished]:
        self._enter("unfinished", key)
        return self.begun.get(key, [])


class Bench:
    """One broker over fake profiles and a database of its own, called without HTTP."""

    def __init__(
        self,
        database: str,
        *,
        business: object | None = None,
        clock: Clock | None = None,
        profiles: Mapping[str, FakeCalls] | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.fake = FakeCalls()
        self.profiles = dict(profiles or {"main": self.fake})
        self.fake = next(iter(self.profiles.values()))
        given: dict[str, Any] = {"seal_keys": (SEAL_KEY,), "access": "open" if business is None else "business"}
        self.settings = BrokerSettings(**{**given, **settings})
        self.ledger: Ledger | None = None

        def open_profile(name: str) -> Any:
            if name not in self.profiles:
                raise ConfigError(f"there is no profile {name}.")
            return self.profiles[name]

        def open_ledger() -> Ledger:
            self.ledger = Ledger(database)
            return self.ledger

        self.broker = Broker(
            self.settings,
            open_profile,
            open_ledger=open_ledger,
            default_profile=next(iter(self.profiles)),
            business=business,
            clock=self.clock,
        )

    def deliver(self) -> list[str]:
        """The keys that listeners were told, in the order in which they were."""
        self.broker.deliver()
        return self.fake.told

    def send(self, name: Any, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        return self.broker.answer(name, Request(headers=headers or {}, body=body, request_id="test"))

    def call(self, name: Any, headers: Mapping[str, str] | None = None, **fields: Any) -> Answer:
        return Answer(self.send(name, json.dumps(fields, ensure_ascii=False).encode(), headers))

    def gettoken(self, *keys: str, size: int = 5, request: str = "batch-1", **fields: Any) -> Answer:
        fields.setdefault("files", {key: {"size": size} for key in keys})
        return self.call("gettoken", requestToken=request_token.make(request), keys=list(keys), **fields)


class Answer:
    """A response, read."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body: dict[str, Any] = msgspec.json.decode(response.body)

    def __getitem__(self, name: str) -> Any:
        return self.body[name]

    @property
    def code(self) -> str:
        return str(self.body["code"])

    @property
    def codes(self) -> dict[str, str]:
        """The code of each key that failed."""
        return {item["key"]: item["code"] for item in self.body.get("failed", [])}


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'broker.db'}"


def made(payload: Sequence[Any] | Mapping[str, Any] | str | int | None, *, header: Any = None) -> str:
    """A requestToken with any payload."""

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({} if header is None else header)}.{part(payload)}.sig"
