"""Keys cannot wander: what is accepted arrives as it is, byte for byte, and what would not is refused on both sides."""

from __future__ import annotations

import base64
import json
import re
import socket
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
import pytest
from hypothesis import HealthCheck, assume, example, given, settings, strategies as st
from msgspec.structs import replace

from vvos_core import VVOS, BadInput, BadKey, Denied, Grant, Mismatch, Secret, request_token
from vvos_core.calls import Calls
from vvos_core.keys import check_key
from vvos_core.loader import load, storing
from vvos_core.model import MIB, Ask, ExistsRequest, Plan, TokenRequest
from vvos_core.profile import Profile
from vvos_core.testing.doubles import Piece

from ..broker.fake import Bench, database
from ..effort import examples
from .places import SMALL, Place
from .wire import Seen, Wire

KEYS_OF = {"access_key": Secret("ak-of-this-test"), "secret_key": Secret("sk-of-this-test")}
NOW = 1_800_000_000.0


def whole_path(root: str) -> Callable[[Seen], str]:
    """The key is the path below ``root``."""

    def key(seen: Seen) -> str:
        path = unquote_to_bytes(seen.path).decode()
        assert path.startswith(root)
        return path[len(root) :]

    return key


def in_base64(pattern: str) -> Callable[[Seen], str]:
    """The key is in base64, where ``pattern`` finds it in the path."""

    def key(seen: Seen) -> str:
        found = re.search(pattern, seen.path)
        assert found is not None, seen.path
        return base64.urlsafe_b64decode(found[1]).decode()

    return key


def in_form(seen: Seen) -> str:
    """The key is a field of a form, and in the token of another one."""
    found = re.search(rb'name="key"\r\n\r\n(.*?)\r\n--', seen.body, re.DOTALL)
    token = re.search(rb'name="token"\r\n\r\n(.*?)\r\n--', seen.body, re.DOTALL)
    assert found is not None
    assert token is not None
    scope = json.loads(base64.urlsafe_b64decode(token[1].rpartition(b":")[2]))["scope"]
    assert scope == "vvos:" + found[1].decode()
    return found[1].decode()


def only_its_token(seen: Seen) -> str:
    """A block names no key; its token does."""
    token = dict(seen.headers)["authorization"].rpartition(":")[2]
    scope: str = json.loads(base64.urlsafe_b64decode(token))["scope"]
    return scope.removeprefix("vvos:")


class Way(msgspec.Struct, frozen=True):
    """One way of putting: a provider with settings, how large a file, and how each request tells its key."""

    provider: str
    size: int
    put: Callable[[Seen], str]
    complete: Callable[[Seen], str] | None = None
    settings: dict[str, Any] = {}


PARTS = 5 * MIB + 1
S3 = {"region": "us-east-1", "threshold": 5 * MIB, "part_size": 5 * MIB}
OSS = {"region": "cn-hangzhou", "threshold": 102_400, "part_size": 102_400}
KODO = {"domain": "http://cdn.test", "threshold": MIB, "part_size": MIB}
BLOCKS = {"domain": "http://cdn.test", "version": "v1"}
V2 = in_base64(r"^/buckets/vvos/objects/([\w=-]+)/uploads/")
WAYS = {
    "s3, path style": Way("s3", 1, whole_path("/vvos/"), settings=S3 | {"path_style": True}),
    "s3, virtual host": Way("s3", 1, whole_path("/"), settings=S3 | {"path_style": False}),
    "s3, parts": Way("s3", PARTS, whole_path("/vvos/"), whole_path("/vvos/"), S3 | {"checksum": "md5"}),
    "oss, path style": Way("aliyun", 1, whole_path("/vvos/"), settings=OSS | {"path_style": True}),
    "oss, virtual host": Way("aliyun", 1, whole_path("/"), settings=OSS | {"path_style": False}),
    "oss, parts": Way("aliyun", 102_401, whole_path("/vvos/"), whole_path("/vvos/"), OSS),
    "kodo, form": Way("qiniu", 1, in_form, settings=KODO),
    "kodo, parts": Way("qiniu", MIB + 1, V2, V2, KODO),
    "kodo, blocks": Way("qiniu", 4 * MIB + 1, only_its_token, in_base64(r"^/mkfile/\d+/key/([\w=-]+)"), BLOCKS),
    "webdav": Way("webdav", 1, whole_path("/folder/")),
}


def profile(way: Way, url: str) -> Profile:
    """A profile of the provider that believes ``url`` to be its service; host names are looked up by the test."""
    if way.provider == "webdav":
        own: dict[str, Any] = {"url": f"{url}/folder", "secret": Secret("s" * 32)}
    elif way.provider == "qiniu":
        own = {"bucket": "vvos", "endpoint": url, "up_hosts": [url], "rs_hosts": [url], **KEYS_OF}
    else:
        own = {"bucket": "vvos", "endpoint": url.replace("127.0.0.1", "wire.test"), "path_style": True, **KEYS_OF}
    return Profile(name="p", provider=way.provider, settings={**own, **way.settings})


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    """The socket; every name below ``wire.test`` is this machine."""
    look_up = socket.getaddrinfo

    def found(host: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return look_up("127.0.0.1" if str(name).endswith("wire.test") else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    with Wire() as listening:
        yield listening


NASTY = st.sampled_from(
    [
        "%2e%2e",
        "%2E",
        "%2f",
        "%252e%252e",
        "%",
        "%%",
        "%00",
        "%zz",
        "...",
        "..a",
        "a..",
        ".vvos",
        "\\",
        "..\\..",
        "?",
        "#",
        "a?b=c&d",
        "#x",
        "+",
        "a+b c",
        " ",
        "  a  ",
        ";",
        ";x=y",
        ":",
        "http:",
        "@",
        "&",
        "=",
        "*",
        "~",
        "|",
        "^",
        "`",
        "{}",
        "<a>",
        "'",
        '"',
        "é",
        "Å",
        "ﬁ",
        "한글",
        "照片",
        "端午节",
        "👩‍👩‍👧‍👦",
        "🏳️‍🌈",
        "\u202e",
        "\u200b",
        "\xa0",
        "\ufeff",
    ]
)
SEGMENTS = NASTY | st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=10)
SHORT_KEYS = st.lists(SEGMENTS, min_size=1, max_size=5).map("/".join)


@st.composite
def long_keys(draw: st.DrawFn) -> str:
    """Of 700 to 1024 bytes, in which the characters are one to four bytes long."""
    unit = draw(SEGMENTS)
    key = (unit + "/") * 1024
    most = draw(st.integers(700, 1024))
    return key.encode()[:most].decode(errors="ignore").rstrip("/")


KEYS = (SHORT_KEYS | long_keys()).map(lambda key: unicodedata.normalize("NFC", key))


def granted(way: Way, calls: Calls, key: str) -> Grant | Exception:
    ask = Ask(client_key="k", key=key, size=way.size)
    request = TokenRequest(files=(ask,), request_token="x", issued_at=NOW, expires_at=NOW + 600)
    (answer,) = calls.token(request)
    if isinstance(answer, Grant):
        calls.exists(ExistsRequest(grants=(answer,)))
    return answer


@pytest.mark.parametrize("name", WAYS)
def test_the_path_on_the_wire_decodes_to_the_key(name: str, wire: Wire) -> None:
    """Of every accepted key, and of every request: putting, completing, and the granting half's begin and look."""
    way = WAYS[name]
    calls, store, tried = load(profile(way, wire.url)), storing(way.provider), [0]

    @settings(
        max_examples=examples(30 if way.size < MIB else 6), suppress_health_check=list(HealthCheck), deadline=None
    )
    @example("a/%2e%2e/b")
    @example("照片/..\\x/端午节 2026+%2F?#.jpg")
    @example("a//b".replace("//", "/%2F/"))
    @example("文" * 250)
    @given(KEYS)
    def check(key: str) -> None:
        wire.seen.clear()
        grant = granted(way, calls, key)
        if not isinstance(grant, Grant):
            assert isinstance(grant, BadInput)
            assert wire.seen == [], "refused keys are asked of nobody"
            assume(False)
        tried[0] += 1
        asked = len(wire.seen)
        plan = Plan(size=way.size, multipart=grant.multipart, part_size=grant.part_size)
        spans = [plan.span(number) for number in range(1, plan.count + 1)]
        data = bytes(way.size)
        receipts = [
            store.put_chunk(grant, Piece(data[offset : offset + length], number))
            for number, (offset, length) in enumerate(spans, 1)
        ]
        assert [way.put(seen) for seen in wire.seen[asked:]] == [key] * plan.count
        if way.complete is not None:
            with suppress(Mismatch):  # the socket knows no checksum of whole objects
                store.complete(grant, receipts)
            assert way.complete(wire.seen[-1]) == key
        for seen in wire.seen[:asked]:
            assert of_the_granting_half(way, seen) == key

    check()
    assert tried[0] >= 5, "hardly any key was accepted: nothing was shown"


def of_the_granting_half(way: Way, seen: Seen) -> str:
    """The key of a request that an SDK made."""
    if way.provider != "qiniu":
        return way.put(seen)
    if seen.path.startswith("/buckets/"):
        return in_base64(r"/objects/([\w=-]+)/uploads$")(seen)
    found = re.fullmatch(r"op=/?stat/([\w=-]+)", unquote_to_bytes(seen.body).decode())
    assert found is not None, seen
    return base64.urlsafe_b64decode(found[1]).decode().removeprefix("vvos:")


def test_a_key_on_a_file_system_is_that_path_and_no_other(tmp_path: Path) -> None:
    way, store = Way("directory", 1, in_form), storing("directory")

    @settings(max_examples=examples(15), suppress_health_check=list(HealthCheck), deadline=None)
    @example(".vvos/secret")
    @example("a/.vvos/secret")
    @given(KEYS)
    def check(key: str) -> None:
        with TemporaryDirectory(dir=tmp_path) as made:
            root = Path(made, "root")
            root.mkdir()
            calls = load(Profile(name="p", provider="directory", settings={"root": str(root)}))
            grant = granted(way, calls, key)
            if isinstance(grant, Grant):
                # A segment may be too long for the file system.
                with suppress(BadKey):
                    store.put_chunk(grant, Piece(b"x"))
                    assert (root / key).read_bytes() == b"x"
            files = {str(path.relative_to(made)) for path in Path(made).rglob("*") if path.is_file()}
            assert files <= {f"root/{key}", "root/.vvos/secret"}

    check()


REFUSED = [
    "",
    ".",
    "..",
    "../a",
    "a/..",
    "a/../b",
    "a/./b",
    "/a",
    "a/",
    "a//b",
    "//host/a",
    "a\nb",
    "a\x00",
    "a\x7f",
    "a\x85",
    "\ud800",
    "a\uffff",
    "e\u0301",
    unicodedata.normalize("NFD", "가"),
    "\u212b",
    "x" * 1025,
    "文" * 342,
]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(database(tmp_path))
    yield made
    made.broker.close()


def test_refused_keys_are_refused_by_client_and_broker(bench: Bench) -> None:
    for key in REFUSED:
        with pytest.raises(BadKey):
            check_key(key)
        upload = VVOS(api={"gettoken": "http://127.0.0.1:1/t", "notifier": "http://127.0.0.1:1/n"})
        upload.add_files((b"x", key))
        (result,) = upload.submit()
        assert result.error is not None
        assert result.error.code == "BAD_KEY"
        fields = {"requestToken": request_token.make(), "keys": [key], "files": {key: {"size": SMALL}}}
        assert bench.send("gettoken", json.dumps(fields).encode()).status == 400
    assert bench.fake.asked == []


def test_refused_keys_are_refused_by_every_provider(place: Place) -> None:
    before = place.asked()
    for key in REFUSED:
        assert isinstance(place.ask(key), BadKey), key
    assert place.asked() == before


@pytest.mark.parametrize("key", REFUSED, ids=lambda key: repr(key)[:20])
def test_a_refused_server_key_of_the_business_is_granted_to_nobody(key: str, tmp_path: Path) -> None:
    from vvos_core import hookimpl
    from vvos_core.broker.hooks import Access, BusinessCall, Placed

    class Careless:
        @hookimpl
        def authorize(self, call: BusinessCall) -> Access:
            return Access(who="tester")

        @hookimpl
        def name_key(self, call: BusinessCall, file: Ask, access: Access) -> Placed:
            return Placed(key=key)

    bench = Bench(database(tmp_path), business=Careless())
    try:
        answer = bench.gettoken("a.txt")
        assert (answer.status, answer.codes) == (400, {"a.txt": "BAD_KEY"})
        assert bench.fake.asked == []
    finally:
        bench.broker.close()


def test_a_grant_of_a_refused_key_is_not_renewed(place: Place) -> None:
    """Whatever the old grant says: the key of a renewal is the old one, and was checked when it was granted."""
    old = place.grant("a")
    assert isinstance(place.ask("../a", client_key="a", renew=replace(old, data={})), Denied)
