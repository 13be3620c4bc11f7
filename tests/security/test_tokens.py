"""Forged tokens, through every call: the accessToken opens whole or not at all; the requestToken proves nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import inspect
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from vvos_core import request_token
from vvos_core.broker import seal as sealing
from vvos_core.broker.seal import Permission, Seal

from ..broker.fake import NOW, OTHER_KEY, SEAL_KEY, Bench, database

CALLS = ("gettoken", "exists", "notifier")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(database(tmp_path))
    yield made
    made.broker.close()


def refused(bench: Bench, token: str, calls: tuple[str, ...] = CALLS) -> None:
    """Every call says 401 to ``token``, and asks no provider."""
    bench.fake.asked.clear()
    for call in calls:
        fields: dict[str, Any] = {"accessToken": token, "keys": ["a"]}
        if call == "gettoken":
            fields["requestToken"] = request_token.make("r")
        answer = bench.call(call, **fields)
        assert (answer.status, answer.code) == (401, "BAD_TOKEN"), (call, token[:40], answer.body)
    assert bench.fake.asked == []


def test_every_flipped_bit_is_refused_by_every_call(bench: Bench) -> None:
    token = bench.gettoken("a")["accessToken"]
    for place in range(len(token)):
        for bit in range(7):  # the eighth makes it no ASCII, which JSON carries as another character
            flipped = token[:place] + chr(ord(token[place]) ^ (1 << bit)) + token[place + 1 :]
            refused(bench, flipped, calls=(CALLS[(place + bit) % 3],))


def test_a_token_that_is_cut_or_joined_is_refused(bench: Bench) -> None:
    token, other = bench.gettoken("a")["accessToken"], bench.gettoken("b", request="2")["accessToken"]
    for end in range(1, len(token)):
        refused(bench, token[:end], calls=(CALLS[end % 3],))
    half = len(token) // 2
    for joined in (token + other, token[:half] + other[half:], token + "\n", " " + token, token[::-1]):
        refused(bench, joined)


def _spellings(token: str) -> dict[str, str]:
    raw = base64.urlsafe_b64decode(token)
    return {
        "standard alphabet": base64.b64encode(raw + b"\xfb\xff").decode(),
        "without padding": token.rstrip("="),
        "more padding": token + "=",
        "line breaks": base64.encodebytes(raw).decode(),
        "base32": base64.b32encode(raw).decode(),
        "hex": raw.hex(),
        "twice": base64.urlsafe_b64encode(token.encode()).decode(),
        "full width": "".join(chr(ord(char) + 0xFEE0) if char.isalnum() else char for char in token),
        "percent": token.replace("=", "%3D"),
    }


def test_there_is_one_spelling(bench: Bench) -> None:
    for size in range(3):  # every number of padding characters
        token = bench.gettoken("a" + "b" * size, request=str(size))["accessToken"]
        for spelling in _spellings(token).values():
            if spelling != token:
                refused(bench, spelling)


def jwt(header: dict[str, Any], payload: dict[str, Any], key: bytes) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(payload).encode())}"
    name = {"HS256": "sha256", "HS512": "sha512"}.get(header.get("alg", ""))
    mac = hmac.new(key, signed.encode(), name).digest() if name else b""
    return f"{signed}.{part(mac)}"


def test_no_header_chooses_an_algorithm(bench: Bench) -> None:
    """There is one construction: version byte 0x80, HMAC-SHA256 over AES-128-CBC. Whatever names another is no token;
    also when it is signed with the very key that the operator configured."""
    payload = {"who": "anyone", "keys": ["a"], "exp": 4e9}
    secret = SEAL_KEY.reveal().encode()
    for alg in ("none", "None", "", "HS256", "HS512", "dir", "A128KW", "RS256"):
        refused(bench, jwt({"alg": alg, "typ": "JWT", "kid": "../../dev/null"}, payload, secret))
    parameters = inspect.signature(Seal.open).parameters
    assert set(parameters) == {"self", "token", "now", "renewing"}, "nobody can ask for another algorithm"
    raw = bytearray(base64.urlsafe_b64decode(bench.gettoken("a")["accessToken"]))
    assert raw[0] == 0x80
    for version in (0x00, 0x01, 0x7F, 0x81, 0xFF):
        raw[0] = version
        refused(bench, base64.urlsafe_b64encode(raw).decode())


def _derived(secret: bytes, info: bytes, length: int = 32) -> Fernet:
    key = HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(secret)
    return Fernet(base64.urlsafe_b64encode(key))


def _sealed(bench: Bench) -> bytes:
    """What is inside an honest token."""
    return Fernet(sealing._derive(SEAL_KEY)).decrypt(bench.gettoken("a")["accessToken"].encode())


FORGERS: dict[str, Callable[[bytes], str]] = {
    "another broker's key": lambda inside: Fernet(sealing._derive(OTHER_KEY)).encrypt(inside).decode(),
    "the configured secret itself": lambda inside: (
        Fernet(base64.urlsafe_b64encode(SEAL_KEY.reveal().encode()[:32])).encrypt(inside).decode()
    ),
    "a key for another purpose": lambda inside: (
        _derived(SEAL_KEY.reveal().encode(), b"vvos something else").encrypt(inside).decode()
    ),
    "no key": lambda inside: base64.urlsafe_b64encode(inside).decode(),
    "a digest for a MAC": lambda inside: base64.urlsafe_b64encode(inside + hashlib.sha256(inside).digest()).decode(),
    "an empty key": lambda inside: Fernet(base64.urlsafe_b64encode(bytes(32))).encrypt(inside).decode(),
}


@pytest.mark.parametrize("forger", FORGERS)
def test_a_token_sealed_by_another_is_refused(bench: Bench, forger: str) -> None:
    refused(bench, FORGERS[forger](_sealed(bench)))


@pytest.mark.parametrize("inside", [b"", b"x", b"\x78\x9c", b"\xff" * 100, bytes(1000)], ids=len)
def test_what_was_sealed_with_the_key_but_is_no_token_of_ours_is_refused(bench: Bench, inside: bytes) -> None:
    """By another program with the same secret, or by a release of before: a sentence, not a fault."""
    refused(bench, Fernet(sealing._derive(SEAL_KEY)).encrypt(inside).decode())


def test_a_token_of_another_version_is_refused(bench: Bench) -> None:
    import zlib

    values = msgspec.msgpack.decode(zlib.decompress(_sealed(bench)))
    for version in (0, 2, -1, 255, "1", None):
        packed = zlib.compress(msgspec.msgpack.encode([version, *values[1:]]))
        refused(bench, Fernet(sealing._derive(SEAL_KEY)).encrypt(packed).decode())


def test_an_expired_token_does_nothing_but_renew_and_then_not_even_that(bench: Bench) -> None:
    token = bench.gettoken("a")["accessToken"]
    bench.clock.now = NOW + bench.settings.ttl
    bench.fake.asked.clear()
    for call in ("exists", "notifier"):
        assert bench.call(call, accessToken=token, keys=["a"]).code == "TOKEN_EXPIRED"
    bench.clock.now = NOW + bench.settings.ttl + sealing.RENEWABLE
    assert bench.gettoken("a", accessToken=token, files={}).code == "TOKEN_EXPIRED"
    assert bench.fake.asked == []


def test_a_token_dated_ahead_is_good_for_no_longer_than_it_says(bench: Bench) -> None:
    """Sealed with the key, by a broker whose clock was wrong: its end is bounded by its own beginning."""
    late = Permission(who="anyone", request_id="r", issued_at=NOW, expires_at=NOW + 1e9, client="", grants=())
    token = Seal([SEAL_KEY], 1e9).seal(late)
    bench.clock.now = NOW + bench.settings.ttl + 1
    assert bench.call("exists", accessToken=token, keys=["a"]).code == "TOKEN_EXPIRED"


def test_a_forged_request_token_gets_nothing_that_its_maker_could_not_ask_for(bench: Bench) -> None:
    """The client is its only author; nothing is looked up by it but what the same caller asked."""
    honest = bench.gettoken("a", request="批")
    payload = json.dumps({"requestId": "批", "who": "root", "keys": ["b"], "admin": True}).encode()
    for header in ("e30", "e30="):
        for mac in ("", "x", "A" * 43):
            middle = base64.urlsafe_b64encode(payload).rstrip(b"=").decode()
            answer = bench.call(
                "gettoken", requestToken=f"{header}.{middle}.{mac}", keys=["a"], files={"a": {"size": 5}}
            )
            if header == "e30":
                assert answer["accessToken"] == honest["accessToken"], "the same request, whoever signed it"
            else:
                assert answer.status == 400
    for alg in ("none", "HS256"):
        assert bench.call("gettoken", requestToken=jwt({"alg": alg}, {"requestId": "x"}, b""), keys=["a"]).status == 400
    other = bench.gettoken("b", request="批")
    assert (other.status, other.code) == (409, "REQUEST_REUSED")


def test_random_tokens_are_refused(bench: Bench) -> None:
    chance = random.Random(1)
    for size in (1, 16, 57, 73, 100, 1000, 100_000):
        refused(bench, base64.urlsafe_b64encode(b"\x80" + chance.randbytes(size)).decode())
