"""Two tenants, every call: what one was granted is of no use to the other, and no storage service is ever asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from vvos_core import request_token
from vvos_core.errors import VVOSError
from vvos_core.testing.doubles import content

from .places import BIG, SMALL, Place
from .tenants import TwoTenants, two_tenants

MINE = {"小.txt": SMALL, "大.mp4": BIG}


@pytest.fixture
def broker(cloud: Place, tmp_path: Path) -> Iterator[TwoTenants]:
    with two_tenants(cloud, tmp_path) as broker:
        yield broker


CROSSINGS: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "the other's token": lambda a, b: {"accessToken": a["accessToken"]},
    "the other's token, for all keys": lambda a, b: {"accessToken": a["accessToken"], "keys": [*a["keys"].values()]},
    "the other's key in my token": lambda a, b: {"accessToken": b["accessToken"]},
    "the other's key among mine": lambda a, b: {
        "accessToken": b["accessToken"],
        "keys": [b["keys"]["小.txt"], a["keys"]["小.txt"]],
    },
    "my name for it": lambda a, b: {"accessToken": b["accessToken"], "keys": ["小.txt"]},
    "the other's upload id as a key": lambda a, b: {
        "accessToken": b["accessToken"],
        "keys": [a["grants"][a["keys"]["大.mp4"]]["uploadId"]],
    },
    "a made-up spelling of my key": lambda a, b: {
        "accessToken": b["accessToken"],
        "keys": [b["keys"]["小.txt"].replace("/", "%2F")],
    },
    "a way up from my folder": lambda a, b: {"accessToken": b["accessToken"], "keys": ["b/../a/小.txt"]},
    "the storage's token for the broker's": lambda a, b: {"accessToken": str(a["grants"][a["keys"]["小.txt"]]["data"])},
}
"""What tenant b sends; ``keys`` is tenant a's key unless it says otherwise."""
LATER: dict[str, tuple[str, dict[str, Any]]] = {
    "exists": ("exists", {}),
    "exists, with parts": ("exists", {"parts": True}),
    "notifier": ("notifier", {}),
}


@pytest.mark.parametrize("call", LATER)
def test_a_grant_of_anothers_is_no_use_in_later_calls(broker: TwoTenants, call: str) -> None:
    theirs, mine = broker.gettoken("a", MINE), broker.gettoken("b", MINE)
    assert (theirs.status, mine.status) == (200, 200)
    assert set(theirs["keys"].values()).isdisjoint(mine["keys"].values())
    before = broker.place.asked()
    name, more = LATER[call]
    for what, crossing in CROSSINGS.items():
        sent = {"keys": [theirs["keys"]["小.txt"]], **more, **crossing(theirs.body, mine.body)}
        answer = broker.call(name, "b", **sent)
        assert answer.status in (401, 403), (what, answer.body)
        assert "url" not in str(answer.body), what
        assert broker.place.asked() == before, f"{what}: the storage service was asked"


RENEWALS: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "the other's token": lambda a, b: {"accessToken": a["accessToken"]},
    "the other's token, a checksum of mine": lambda a, b: {
        "accessToken": a["accessToken"],
        "files": {"大.mp4": {"checksum": "x:y"}},
    },
    "the other's token, to replace": lambda a, b: {"accessToken": a["accessToken"], "cover": True},
    "the other's server key": lambda a, b: {"accessToken": b["accessToken"], "keys": [a["keys"]["大.mp4"]]},
    "my server key for its client key": lambda a, b: {"accessToken": b["accessToken"], "keys": [b["keys"]["大.mp4"]]},
    "the storage's token for the broker's": lambda a, b: {"accessToken": str(a["grants"][a["keys"]["小.txt"]]["data"])},
}


def test_a_grant_of_anothers_is_not_renewed(broker: TwoTenants) -> None:
    theirs, mine = broker.gettoken("a", MINE), broker.gettoken("b", MINE, request="批-2")
    before = broker.place.asked()
    for what, renewal in RENEWALS.items():
        sent = {"requestToken": request_token.make("批-1"), "keys": ["大.mp4"], **renewal(theirs.body, mine.body)}
        answer = broker.call("gettoken", "b", **sent)
        assert answer.status in (401, 403), (what, answer.body)
        assert "data" not in str(answer.body), what
        assert broker.place.asked() == before, f"{what}: the storage service was asked"


@pytest.mark.parametrize("call", ["gettoken", "exists", "notifier"])
def test_nobody_is_nobody(broker: TwoTenants, call: str) -> None:
    theirs = broker.gettoken("a", MINE)
    before = broker.place.asked()
    fields = {"requestToken": request_token.make("批-1"), "accessToken": theirs["accessToken"]}
    keys = ["小.txt"] if call == "gettoken" else [theirs["keys"]["小.txt"]]
    answer = broker.call(call, "", **fields, keys=keys)
    assert (answer.status, answer.code) == (401, "UNAUTHENTICATED")
    assert broker.place.asked() == before


def test_anothers_request_token_gets_my_own_grant(broker: TwoTenants) -> None:
    """Who calls is what the business says, not what the requestToken does: the same one names two requests."""
    theirs, mine = broker.gettoken("a", MINE), broker.gettoken("b", MINE)
    assert theirs["accessToken"] != mine["accessToken"]
    assert mine["keys"] == {key: f"b/{key}" for key in MINE}
    ids = [answer["grants"][answer["keys"]["大.mp4"]]["uploadId"] for answer in (theirs, mine)]
    assert len(set(ids)) == 2


@pytest.mark.parametrize("field", ["uploadId", "upload_id", "grants", "key", "profile", "partSize", "data"])
def test_no_field_of_a_call_brings_an_upload_id(broker: TwoTenants, field: str) -> None:
    """The upload id comes from the sealed token alone: whatever else a call says of one is a business parameter."""
    theirs, mine = broker.gettoken("a", MINE), broker.gettoken("b", MINE)
    other = theirs["grants"][theirs["keys"]["大.mp4"]]
    own = mine["grants"][mine["keys"]["大.mp4"]]
    wanted: dict[str, Any] = {"grants": {"大.mp4": other}, "key": theirs["keys"]["大.mp4"], "data": other["data"]}
    fields: dict[str, Any] = {
        "files": {"大.mp4": {"size": BIG, field: wanted.get(field, other["uploadId"])}},
        field: wanted.get(field, other["uploadId"]),
    }
    renewed = broker.gettoken("b", {"大.mp4": BIG}, accessToken=mine["accessToken"], **fields)
    assert renewed.status == 200, renewed.body
    assert renewed["grants"][mine["keys"]["大.mp4"]]["uploadId"] == own["uploadId"]
    assert renewed["keys"] == {"大.mp4": "b/大.mp4"}


def test_the_service_itself_refuses_my_grant_for_anothers_upload(cloud: Place) -> None:
    """Who holds a grant may write any request: with another's upload id in it, the storage service refuses."""
    data, other = content(BIG, 1), content(BIG, 2)
    theirs, mine = cloud.grant("a/大.mp4", BIG), cloud.grant("b/大.mp4", BIG)
    receipts = cloud.put(theirs, data)
    stolen = _with_upload_of(mine, theirs)
    for number, piece in enumerate(cloud.pieces(stolen, other), 1):
        with pytest.raises(VVOSError) as caught:
            cloud.store.put_chunk(stolen, piece)
        assert not caught.value.retryable, number
    with suppress(VVOSError):  # Kodo says that there is no such upload, which is all that aborting wants
        cloud.store.abort(stolen)
    sealed = cloud.sealed(theirs, receipts)
    cloud.store.complete(sealed, receipts)
    assert cloud.read("a/大.mp4") == data


def _with_upload_of(mine: Any, theirs: Any) -> Any:
    def put_in(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: put_in(item) for name, item in value.items()}
        return value.replace(mine.upload_id, theirs.upload_id) if isinstance(value, str) else value

    return replace(mine, upload_id=theirs.upload_id, data=put_in(mine.data))
