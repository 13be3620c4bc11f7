"""A broker with two tenants over a real provider: each is who its header says, below a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from vvos_core import Grant, hookimpl, request_token
from vvos_core.broker.hooks import Access, BusinessCall
from vvos_core.broker.ledger import Ledger
from vvos_core.broker.messages import GrantOut
from vvos_core.broker.service import Broker, Request
from vvos_core.errors import Unauthenticated
from vvos_core.loader import load
from vvos_core.profile import BrokerSettings

from ..broker.fake import OTHER_KEY, SEAL_KEY, Answer, database
from .places import Place


class Tenants:
    """The business: a header says who calls."""

    @hookimpl
    def authorize(self, call: BusinessCall) -> Access:
        who = call.headers.get("who", "")
        if not who:
            raise Unauthenticated("say who you are.")
        return Access(who=who, prefix=who)


class TwoTenants:
    """The broker, and what each tenant was granted."""

    def __init__(self, place: Place, broker: Broker) -> None:
        self.place = place
        self.broker = broker

    def call(self, name: Any, who: str, **fields: Any) -> Answer:
        headers = {"who": who} if who else {}
        body = json.dumps(fields, ensure_ascii=False).encode()
        return Answer(self.broker.answer(name, Request(headers=headers, body=body, request_id="test")))

    def gettoken(self, who: str, sizes: Mapping[str, int], request: str = "批-1", **fields: Any) -> Answer:
        files = {key: {"size": size} for key, size in sizes.items()}
        made = request_token.make(request)
        return self.call("gettoken", who, **{"requestToken": made, "keys": list(sizes), "files": files, **fields})

    def grant_of(self, answer: Answer, key: str) -> Grant:
        """What the client is given to put ``key``, as it reads it."""
        told = answer["grants"][key]
        names = {name.encode_name: name.name for name in msgspec.structs.fields(GrantOut)}
        given = {names[name]: value for name, value in told.items()}
        return Grant(key=key, client_key=key.partition("/")[2], access_token=answer["accessToken"], **given)

    def store(self, who: str, name: str, data: bytes, **fields: Any) -> tuple[Answer, Grant, str]:
        """Everything but the notifier: the last answer of gettoken, its grant, and the object's checksum."""
        answer = self.gettoken(who, {name: len(data)}, request=f"{who}/{name}", **fields)
        grant = self.grant_of(answer, f"{who}/{name}")
        receipts = self.place.put(grant, data)
        if grant.seal:
            known = {name: {"checksum": self.place.store.checksum.combine(receipts)}}
            answer = self.gettoken(who, {name: len(data)}, accessToken=answer["accessToken"], files=known)
            grant = self.grant_of(answer, f"{who}/{name}")
        return answer, grant, self.place.store.complete(grant, receipts).checksum

    def upload(self, who: str, name: str, data: bytes, **fields: Any) -> tuple[Answer, Answer]:
        """A whole upload: the answers of gettoken and of notifier."""
        answer, grant, checksum = self.store(who, name, data, **fields)
        said = {grant.key: {"size": len(data), "checksum": checksum}}
        return answer, self.call("notifier", who, accessToken=answer["accessToken"], keys=[grant.key], files=said)


@contextmanager
def two_tenants(place: Place, folder: Path, *, other_keys: bool = False) -> Iterator[TwoTenants]:
    """``other_keys``: a broker of somebody else's, whose tokens are sealed with keys that ours does not have."""
    settings = BrokerSettings(seal_keys=(OTHER_KEY if other_keys else SEAL_KEY,), access="business")
    broker = Broker(
        settings,
        lambda name: load(place.profile),
        open_ledger=lambda: Ledger(database(folder)),
        default_profile=place.profile.name,
        business=Tenants(),
        clock=place.now,
    )
    try:
        yield TwoTenants(place, broker)
    finally:
        broker.close()
