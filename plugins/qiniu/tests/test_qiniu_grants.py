"""What a grant allows, and what nobody can do with it: the token itself, and its misuse against the service."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from vvos_qiniu import Qiniu
from vvos_qiniu.checksum import BLOCK

from vvos_core import (
    Ask,
    BadAnswer,
    BadInput,
    BadKey,
    BadToken,
    Denied,
    Exists,
    Grant,
    KeyNotGranted,
    Mismatch,
    NotFound,
    PluginError,
    TokenExpired,
    TokenRequest,
    TooLarge,
    VVOSError,
)

from .conftest import Bench, Bytes

MIB = 1024 * 1024


def policy(grant: Grant) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(str(grant.data["token"]).split(":")[2])))


def test_the_token_is_for_one_key_one_size_until_it_expires(bench: Bench) -> None:
    request = TokenRequest(
        files=(Ask(client_key="甲", key="文/甲", size=7),), request_token="x", issued_at=1000.0, expires_at=1600.5
    )
    (grant,) = bench.granting.token(request)
    assert isinstance(grant, Grant)
    assert policy(grant) == {
        "scope": "vvos:文/甲",
        "deadline": 1600,
        "insertOnly": 1,
        "fsizeMin": 7,
        "fsizeLimit": 7,
        "detectMime": -1,
    }


def test_covering_and_the_type_are_in_the_token_where_they_are_asked_for(bench: Bench) -> None:
    bench.granting = bench.made(limit_type=True)
    said = policy(bench.grant("a.png", 7, cover=True, type="image/png"))
    assert "insertOnly" not in said
    assert said["mimeLimit"] == "image/png"


def test_an_empty_file_is_not_granted_without_a_limit(bench: Bench) -> None:
    assert policy(bench.grant("a", 0))["fsizeLimit"] == 1


def test_a_grant_lasts_a_week_at_most(bench: Bench) -> None:
    (grant,) = bench.granting.token(bench.request(Ask(client_key="a", key="a", size=1), seconds=1e7))
    assert isinstance(grant, Grant)
    assert grant.expires_at < time.time() + 7 * 24 * 3600 + 1


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("size", [5, BLOCK + 1])
def test_an_expired_grant_stores_nothing_and_goes_on_when_renewed(
    bench: Bench, data: Callable[[int], bytes], size: int, version: str
) -> None:
    bench.granting = bench.made(version=version)
    content = data(size)
    grant = bench.grant("a.bin", size)
    early = bench.store(grant, content) if grant.multipart else []
    bench.later(601)
    with pytest.raises(TokenExpired):
        bench.storing.put_chunk(grant, bench.chunks(grant, content)[0])
    if early:
        with pytest.raises(TokenExpired):
            bench.storing.complete(grant, early)
    again = bench.renewed(grant)
    receipts = early or bench.store(again, content)
    assert bench.storing.complete(again, receipts).size == size


@pytest.mark.parametrize(
    "change",
    [
        {"key": "b"},
        {"client_key": "b"},
        {"size": 8},
        {"type": "text/html"},
        {"metadata": {"a": "b"}},
    ],
)
def test_a_renewal_is_never_wider(bench: Bench, change: dict[str, Any]) -> None:
    grant = bench.grant("a", 7)
    bench.refusal(Denied, bench.renewal(grant, **change))


def test_a_renewal_does_not_begin_to_cover(bench: Bench) -> None:
    grant = bench.grant("a", 7)
    bench.refusal(Denied, bench.renewal(grant), cover=True)
    bench.refusal(Denied, bench.renewal(replace(grant, provider="s3")))


@pytest.mark.parametrize("size", [3, BLOCK + 1])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_grant_cannot_put_another_key(bench: Bench, size: int, version: str) -> None:
    bench.granting = bench.made(version=version)
    grant = bench.grant("a", size)
    moved = replace(grant, key="b")
    with pytest.raises(KeyNotGranted):
        bench.storing.complete(moved, bench.store(moved, bytes(size)))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_grant_cannot_put_another_size(bench: Bench, version: str) -> None:
    small = bench.grant("a", 3)
    for content, kind in ((b"abcd", TooLarge), (b"ab", Denied)):
        with pytest.raises(kind):
            bench.storing.put_chunk(small, Bytes(content))
    bench.granting = bench.made(version=version)
    large = bench.grant("b", BLOCK + 5)
    for size, kind in ((BLOCK + 6, TooLarge), (BLOCK + 4, Denied)):
        receipts = bench.store(large, bytes(size))
        with pytest.raises(kind):
            bench.storing.complete(replace(large, size=size), receipts)


@pytest.mark.parametrize(("size", "version"), [(3, "v2"), (BLOCK + 1, "v2"), (BLOCK + 1, "v1")])
def test_a_grant_cannot_put_another_type_where_types_are_limited(bench: Bench, size: int, version: str) -> None:
    bench.granting = bench.made(limit_type=True, version=version)
    grant = bench.grant("a", size, type="video/mp4")
    other = replace(grant, type="text/html")
    with pytest.raises(Denied, match="media type"):
        bench.storing.complete(other, bench.store(other, bytes(size)))
    assert bench.storing.complete(grant, bench.store(grant, bytes(size))).size == size


@pytest.mark.parametrize(("size", "version"), [(3, "v2"), (BLOCK + 1, "v2"), (BLOCK + 1, "v1")])
def test_what_is_there_is_only_replaced_where_that_was_granted(
    bench: Bench, data: Callable[[int], bytes], size: int, version: str
) -> None:
    bench.granting = bench.made(version=version)
    first, second = data(size), data(size)
    bench.upload("a", first)
    with pytest.raises(Exists):
        bench.upload("a", second)
    assert bench.read("a") == first
    # The service takes the same content for success.
    bench.upload("a", first)
    bench.upload("a", second, cover=True)
    assert bench.read("a") == second


def test_a_grant_used_again_after_the_end_changes_nothing(bench: Bench, data: Callable[[int], bytes]) -> None:
    content = data(BLOCK + 1)
    grant, _ = bench.upload("a", content)
    with pytest.raises(NotFound):
        bench.store(grant, data(BLOCK + 1))
    small, _ = bench.upload("b", b"abc")
    with pytest.raises(Exists):
        bench.store(small, b"xyz")
    assert (bench.read("a"), bench.read("b")) == (content, b"abc")


def test_an_altered_token_is_refused(bench: Bench) -> None:
    grant = bench.grant("a", 3)
    access_key, signature, _ = str(grant.data["token"]).split(":")
    wider = base64.urlsafe_b64encode(json.dumps({**policy(grant), "scope": "vvos"}).encode()).decode()
    forged = replace(grant, data={**grant.data, "token": f"{access_key}:{signature}:{wider}"})
    with pytest.raises(BadToken) as caught:
        bench.store(forged, b"abc")
    assert signature not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "token", "kind"),
    [
        ({}, "", BadAnswer),
        ({"token": 3}, "", BadAnswer),
        ({}, "no-token", BadToken),
        ({}, "a:b:c", BadToken),
        ({}, "a:b:e30=", BadToken),
    ],
)
def test_a_grant_that_is_not_ours_is_named(
    bench: Bench, data: dict[str, Any], token: str, kind: type[VVOSError]
) -> None:
    grant = replace(bench.grant("a", 3), data=data, access_token=token)
    with pytest.raises(kind, match="'a'"):
        bench.store(grant, b"abc")


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (Ask(client_key="a", key="a" * 751, size=1), BadKey),
        (Ask(client_key="a", key="键" * 250 + "a", size=1), BadKey),
        (Ask(client_key="a", key="a/../b", size=1), BadKey),
        (Ask(client_key="a", key="a", size=-1), BadInput),
        (Ask(client_key="a", key="a", size=1, type="a\r\nb"), BadInput),
        (Ask(client_key="a", key="a", size=1, type=""), BadInput),
        (Ask(client_key="a", key="a", size=1, checksum="md5:00"), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a b": "c"}), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a" * 51: "c"}), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a": "c\n"}), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a": "c" * 1024}), BadInput),
        (Ask(client_key="a", key="a", size=10_000 * 1024 * MIB + 1), TooLarge),
    ],
)
def test_what_cannot_be_is_refused_before_it_is_signed(bench: Bench, ask: Ask, kind: type[VVOSError]) -> None:
    assert bench.refusal(kind, ask).key == ask.key
    assert not bench.emulator.requests


def test_the_longest_key_and_the_most_metadata_are_taken(bench: Bench) -> None:
    bench.upload("键" * 250, b"abc", metadata={"a": "c" * 1023})
    assert bench.read("键" * 250) == b"abc"


def test_grants_that_would_be_over_before_they_begin_are_refused(bench: Bench) -> None:
    with pytest.raises(BadInput, match="expire"):
        bench.granting.token(bench.request(Ask(client_key="a", key="a", size=1), seconds=0))


def test_a_known_checksum_is_compared_when_the_object_is_notified(bench: Bench) -> None:
    hasher = bench.storing.checksum.new()
    hasher.update(memoryview(b"abc"))
    with pytest.raises(Mismatch):
        bench.upload("a", b"abd", checksum=hasher.value())
    # A client that does not compare gets it stored; the grant remembers what it was for.
    grant, _ = bench.upload("a", b"abd")
    assert isinstance(bench.notify(replace(grant, checksum=hasher.value()), 3), Mismatch)


def test_the_half_without_settings_cannot_grant(bench: Bench) -> None:
    with pytest.raises(PluginError, match="settings"):
        Qiniu(None).token(bench.request())
