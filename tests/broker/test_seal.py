"""The accessToken: it holds all of a permission, for its time, and nobody else can make or change one."""

from __future__ import annotations

import base64
import random
import zlib

import msgspec
import pytest
from cryptography.fernet import Fernet
from hypothesis import given, strategies as st

from vvos_core.broker import seal as sealing
from vvos_core.broker.seal import RENEWABLE, Permission, Seal
from vvos_core.errors import BadToken, ConfigError, TokenExpired
from vvos_core.model import Grant, Secret

from .fake import NOW, OTHER_KEY, SEAL_KEY

TTL = 3600


def permission(*grants: Grant) -> Permission:
    return Permission(
        who="小明", request_id="b-1", issued_at=NOW, expires_at=NOW + TTL, client="web", grants=grants or (grant("a"),)
    )


def grant(key: str, **fields: object) -> Grant:
    given: dict[str, object] = {"provider": "fake", "key": key, "client_key": f"my/{key}", "size": 5, "profile": "main"}
    return msgspec.convert({**given, **fields}, Grant)


names = st.text(min_size=1, max_size=40)


@given(
    st.lists(
        st.builds(
            Grant,
            provider=names,
            key=names,
            client_key=names,
            size=st.integers(0, 2**62),
            type=names,
            cover=st.booleans(),
            expires_at=st.floats(0, 1e10),
            multipart=st.booleans(),
            part_size=st.integers(0, 2**40),
            upload_id=names,
            checksum=names,
            seal=st.booleans(),
            metadata=st.dictionaries(names, names, max_size=3),
            profile=names,
        ),
        min_size=1,
        max_size=5,
        unique_by=(lambda g: g.key, lambda g: g.client_key),
    )
)
def test_opens_to_what_was_sealed(grants: list[Grant]) -> None:
    seal = Seal([SEAL_KEY], TTL)
    opened = seal.open(seal.seal(permission(*grants)), NOW)
    assert (opened.who, opened.request_id, opened.client) == ("小明", "b-1", "web")
    assert list(opened.by_key.values()) == grants
    assert opened.by_client_key == {item.client_key: item for item in grants}


def test_holds_no_capability() -> None:
    seal = Seal([SEAL_KEY], TTL)
    token = seal.seal(permission(grant("a", data={"signature": "s"}, access_token="older")))
    opened = seal.open(token, NOW).by_key["a"]
    assert opened.data == {}
    assert opened.access_token == ""


def test_every_flipped_bit_is_refused() -> None:
    seal = Seal([SEAL_KEY], TTL)
    for length in range(3):  # each number of base64 padding characters
        token = seal.seal(permission(grant("a", type="x" * (16 * length + 1), metadata={"r": str(random.random())})))
        for place in range(len(token)):
            for bit in range(8):
                flipped = token[:place] + chr(ord(token[place]) ^ (1 << bit)) + token[place + 1 :]
                with pytest.raises(BadToken):
                    seal.open(flipped, NOW)


@given(st.text())
def test_other_text_is_refused(text: str) -> None:
    seal = Seal([SEAL_KEY], TTL)
    with pytest.raises(BadToken):
        seal.open(text, NOW)


@pytest.mark.parametrize(
    "change", [lambda t: t + "=", lambda t: t + "\n", lambda t: " " + t, lambda t: t[:-1], lambda t: ""]
)
def test_no_second_spelling(change: object) -> None:
    seal = Seal([SEAL_KEY], TTL)
    with pytest.raises(BadToken):
        seal.open(change(seal.seal(permission())), NOW)  # type: ignore[operator]  # the lambdas above


def test_another_brokers_token_is_refused() -> None:
    token = Seal([OTHER_KEY], TTL).seal(permission())
    with pytest.raises(BadToken):
        Seal([SEAL_KEY], TTL).open(token, NOW)


def test_keys_rotate_without_breaking_what_is_in_flight() -> None:
    before, both, after = Seal([OTHER_KEY], TTL), Seal([SEAL_KEY, OTHER_KEY], TTL), Seal([SEAL_KEY], TTL)
    assert both.open(before.seal(permission()), NOW).who == "小明"
    assert after.open(both.seal(permission()), NOW).who == "小明"
    with pytest.raises(BadToken):
        after.open(before.seal(permission()), NOW)


def test_expires_by_its_content_and_by_ttl() -> None:
    seal = Seal([SEAL_KEY], TTL)
    token = seal.seal(permission())
    seal.open(token, NOW + TTL - 0.001)
    with pytest.raises(TokenExpired):
        seal.open(token, NOW + TTL)
    with pytest.raises(TokenExpired):
        Seal([SEAL_KEY], 60).open(token, NOW + 60)


def test_can_be_renewed_for_seven_days_after() -> None:
    seal = Seal([SEAL_KEY], TTL)
    token = seal.seal(permission())
    assert seal.open(token, NOW + TTL + RENEWABLE - 1, renewing=True).who == "小明"
    with pytest.raises(TokenExpired, match="too long ago"):
        seal.open(token, NOW + TTL + RENEWABLE, renewing=True)


def test_a_token_of_another_release_is_refused_with_a_sentence() -> None:
    key = sealing._derive(SEAL_KEY)
    for content in (b"\xc0", msgspec.msgpack.encode([2, "who", "id", NOW, NOW + TTL, "", [], []])):
        token = Fernet(key).encrypt(zlib.compress(content)).decode()
        with pytest.raises(BadToken, match="another release"):
            Seal([SEAL_KEY], TTL).open(token, NOW)


def test_unpacks_a_bounded_size_only() -> None:
    bomb = zlib.compress(b"\0" * (sealing.MAX_BYTES * 20), 9)
    token = Fernet(sealing._derive(SEAL_KEY)).encrypt(bomb).decode()
    with pytest.raises(BadToken, match="too large"):
        Seal([SEAL_KEY], TTL).open(token, NOW)


def test_the_derived_key_is_not_the_secret() -> None:
    secret = "x" * 32
    assert base64.urlsafe_b64decode(sealing._derive(Secret(secret))) != secret.encode()


def test_needs_a_key() -> None:
    with pytest.raises(ConfigError, match=r"broker\.seal_keys: it is missing\. Write seal_keys = "):
        Seal([], TTL)


def test_a_thousand_keys_leave_room_in_a_body() -> None:
    grants = [
        grant(f"相册/2026/第{n}张照片.jpg", upload_id=random.randbytes(72).hex(), checksum="crc64nvme:AAAAAAAAAAA=")
        for n in range(1000)
    ]
    token = Seal([SEAL_KEY], TTL).seal(permission(*grants))
    assert len(token) < 256 * 1024
