"""Where requests go: the region query, fixed hosts, the next host when one fails; and plain backends."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from msgspec.structs import replace
from qiniu import Auth  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_qiniu import Qiniu
from vvos_qiniu.blocks import _as_safe
from vvos_qiniu.checksum import BLOCK
from vvos_qiniu.hosts import Regions, Sender

from vvos_core import (
    Answer,
    BadAnswer,
    Chunk,
    ConfigError,
    Exists,
    Http,
    NotFound,
    ServiceFailed,
    SourceChanged,
    Unavailable,
    VVOSError,
)

from .conftest import Bench, Bytes


@pytest.fixture
def dead() -> Iterator[str]:
    """An address where nobody listens: the port is bound, so that nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


class FakeHttp(Http):
    """Answers by host, and remembers who was asked."""

    def __init__(self, answers: dict[str, int | VVOSError]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def send(self, method: str, url: str, **_: object) -> Answer:
        host = url.split("/")[2]
        self.asked.append(host)
        answer = self.answers[host]
        if isinstance(answer, VVOSError):
            raise answer
        return Answer(status=answer, headers={})


HOSTS = ("http://one", "http://two", "http://three")


def send(http: FakeHttp, times: int = 1, now: Callable[[], float] = lambda: 0.0) -> tuple[str, Answer]:
    sender = Sender(http, now)
    for _ in range(times - 1):
        sender.send("GET", HOSTS, "/x", what="looking")
    return sender.send("GET", HOSTS, "/x", what="looking")


def test_the_next_host_is_taken_when_one_cannot_be_reached() -> None:
    http = FakeHttp({"one": Unavailable("gone"), "two": 599, "three": 200})
    assert send(http)[0] == "http://three"
    assert http.asked == ["one", "two", "three"]


def test_a_host_that_failed_is_asked_last_for_a_while() -> None:
    http = FakeHttp({"one": Unavailable("gone"), "two": 200, "three": 200})
    send(http, 3)
    assert http.asked == ["one", "two", "two", "two"]
    times = iter([0.0, 0.0, 61.0, 61.0])
    http.asked.clear()
    send(http, 2, lambda: next(times))
    assert http.asked == ["one", "two", "one", "two"]


@pytest.mark.parametrize("status", [400, 401, 403, 573, 579, 612, 614, 631, 701])
def test_a_refusal_is_not_taken_to_another_host(status: int) -> None:
    http = FakeHttp({"one": status, "two": 200, "three": 200})
    assert send(http)[1].status == status


def test_when_all_fail_the_last_is_told() -> None:
    with pytest.raises(Unavailable, match="third"):
        send(FakeHttp({"one": 599, "two": Unavailable("second"), "three": Unavailable("third")}))
    assert send(FakeHttp({"one": Unavailable("x"), "two": 599, "three": 502}))[1].status == 502
    with pytest.raises(ServiceFailed, match="no host"):
        Sender(FakeHttp({})).send("GET", (), "/", what="looking")


def test_what_the_source_raises_is_not_taken_to_another_host() -> None:
    http = FakeHttp({"one": SourceChanged("cut")})
    with pytest.raises(SourceChanged):
        send(http)
    assert http.asked == ["one"]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("size", [3, BLOCK + 1])
def test_uploads_go_on_at_the_second_host(
    bench: Bench, dead: str, data: Callable[[int], bytes], version: str, size: int
) -> None:
    live = bench.emulator.info["endpoint"]
    bench.granting = bench.made(up_hosts=(dead, live), rs_hosts=(live,), version=version)
    content = data(size)
    bench.upload("甲", content)
    assert bench.read("甲") == content
    assert bench.emulator.counts["Query"] == 0


@pytest.mark.parametrize(
    ("answered", "used", "expected"),
    [
        ("http://up-z1.qiniup.com", "https://upload.qiniup.com", "https://up-z1.qiniup.com"),
        ("http://up:8080", "http://other", "http://up:8080"),
        ("up.qiniup.com", "https://upload.qiniup.com", "https://up.qiniup.com"),
        ("", "https://upload.qiniup.com", ""),
        ("file:///etc/passwd", "https://upload.qiniup.com", ""),
        ("ftp://up", "https://upload.qiniup.com", ""),
    ],
)
def test_the_answered_host_never_takes_tls_away(answered: str, used: str, expected: str) -> None:
    assert _as_safe(answered, used) == expected


def test_looking_goes_on_at_the_second_host(bench: Bench, dead: str) -> None:
    grant, _ = bench.upload("甲", b"abc")
    bench.granting = bench.made(rs_hosts=(dead, bench.emulator.info["endpoint"]))
    assert not isinstance(bench.notify(grant, 3), VVOSError)


def test_without_any_host_left_it_may_pass(bench: Bench, dead: str) -> None:
    grant = bench.grant("甲", 3)
    with pytest.raises(Unavailable, match="refused the connection"):
        bench.store(replace(grant, data={**grant.data, "hosts": [dead]}), b"abc")
    bench.granting = bench.made(rs_hosts=(dead,))
    with pytest.raises(Unavailable, match="could not be reached"):
        bench.found(grant)


def test_the_region_is_asked_for_once(bench: Bench) -> None:
    for n in range(3):
        bench.notify(bench.upload(f"{n}", b"abc")[0], 3)
    assert bench.emulator.counts["Query"] == 1


def test_the_region_is_asked_for_again_when_its_answer_is_old(bench: Bench) -> None:
    info = bench.emulator.info
    now = [0.0]
    regions = Regions(Sender(Http()), info["endpoint"], lambda: now[0])
    for moment, queries in ((0.0, 1), (86399.0, 1), (86401.0, 2)):
        now[0] = moment
        assert regions.find(info["access_key"], info["bucket"], what="x", key="k").up == (info["endpoint"],)
        assert bench.emulator.counts["Query"] == queries


def test_a_bucket_that_is_not_there_is_a_mistake_in_the_profile(bench: Bench) -> None:
    bench.granting = bench.made(bucket="nobody")
    with pytest.raises(ConfigError, match="nobody"):
        bench.answers(bench.renewal(bench.plain("a", 1, "x"), renew=None))


def test_an_address_that_is_not_kodo_is_named(bench: Bench) -> None:
    class Other(FakeHttp):
        def send(self, method: str, url: str, **_: object) -> Answer:
            return Answer(status=200, headers={}, body=b"<html>")

    with pytest.raises(BadAnswer, match="not how Kodo answers"):
        Regions(Sender(Other({})), "http://one").find("ak", "b", what="x", key="k")


# ── plain backends ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def plain(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """The client of a plain backend: an upload token, and a service in a place of its own."""
    monkeypatch.setenv("QINIU_ENDPOINT", bench.emulator.info["endpoint"])
    bench.storing = Qiniu(None)
    return bench


def token(bench: Bench, key: str | None, **policy: object) -> str:
    info = bench.emulator.info
    made: str = Auth(info["access_key"], info["secret_key"]).upload_token(info["bucket"], key, 600, policy)
    return made


def lasting(bench: Bench, key: str) -> str:
    """A token that is still good after the emulator's clock was moved by days."""
    info = bench.emulator.info
    made: str = Auth(info["access_key"], info["secret_key"]).upload_token(info["bucket"], key, 30 * 24 * 3600)
    return made


@pytest.mark.parametrize("size", [0, 3, BLOCK, BLOCK + 1, 3 * BLOCK])
def test_a_plain_backends_token_is_enough(plain: Bench, data: Callable[[int], bytes], size: int) -> None:
    content = data(size)
    grant = plain.plain("文/甲", size, token(plain, "文/甲"))
    made = plain.storing.complete(grant, plain.store(grant, content))
    assert plain.read("文/甲") == content
    assert made.checksum.startswith("qetag:")
    assert plain.emulator.counts["InitParts"] == (1 if size > BLOCK else 0)
    assert plain.emulator.counts["Query"] == 1


def test_all_threads_of_a_plain_upload_share_one_upload(plain: Bench, data: Callable[[int], bytes]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    content = data(8 * BLOCK)
    grant = plain.plain("a", len(content), token(plain, "a"))
    with ThreadPoolExecutor(8) as pool:
        receipts = list(pool.map(lambda chunk: plain.storing.put_chunk(grant, chunk), plain.chunks(grant, content)))
    assert plain.emulator.counts["InitParts"] == 1
    plain.storing.complete(grant, receipts)
    assert plain.read("a") == content


def test_a_plain_upload_of_two_processes_is_begun_again(plain: Bench, data: Callable[[int], bytes]) -> None:
    content = data(2 * BLOCK)
    grant = plain.plain("a", len(content), token(plain, "a"))
    first, second = plain.chunks(grant, content)
    before = plain.storing.put_chunk(grant, first)
    plain.storing = Qiniu(None)
    after = plain.storing.put_chunk(grant, second)
    with pytest.raises(NotFound, match="different uploads"):
        plain.storing.complete(grant, [before, after])
    assert plain.storing.complete(grant, plain.store(grant, content)).size == len(content)


def test_a_plain_upload_can_be_aborted(plain: Bench, data: Callable[[int], bytes]) -> None:
    content = data(BLOCK + 1)
    grant = plain.plain("a", len(content), token(plain, "a"))
    plain.store(grant, content)
    plain.storing.abort(grant)
    plain.storing.abort(grant)
    assert plain.emulator.counts["AbortParts"] == 1


def test_a_plain_upload_that_was_forgotten_is_begun_again(plain: Bench, data: Callable[[int], bytes]) -> None:
    content = data(BLOCK + 1)
    grant = plain.plain("甲", len(content), token(plain, "甲"))
    plain.storing.put_chunk(grant, plain.chunks(grant, content)[0])
    plain.later(8 * 24 * 3600)  # an unfinished upload is kept for a week
    grant = replace(grant, access_token=lasting(plain, "甲"))
    with pytest.raises(NotFound):
        plain.storing.put_chunk(grant, plain.chunks(grant, content)[1])
    assert plain.storing.complete(grant, plain.store(grant, content)).size == len(content)
    assert plain.emulator.counts["InitParts"] == 2


def test_an_object_whose_callback_failed_is_there_and_the_upload_says_so(
    plain: Bench, data: Callable[[int], bytes], dead: str
) -> None:
    for size in (3, BLOCK + 1):
        content, key = data(size), f"{size}"
        grant = plain.plain(key, size, token(plain, key, callbackUrl=f"{dead}/told", callbackBody="key=$(key)"))
        with pytest.raises(BadAnswer, match="it is stored, but the business did not take the callback"):
            plain.storing.complete(grant, plain.store(grant, content))
        assert plain.read(key) == content


def test_a_plain_token_for_the_bucket_does_not_replace(plain: Bench, data: Callable[[int], bytes]) -> None:
    for size in (3, BLOCK + 1):
        key = f"{size}"
        first = plain.plain(key, size, token(plain, None))
        plain.storing.complete(first, plain.store(first, data(size)))
        with pytest.raises(Exists):
            plain.storing.complete(first, plain.store(first, data(size)))


def test_a_plain_token_with_an_answer_of_its_own_still_works(plain: Bench) -> None:
    for body in ('{"ok":$(fsize)}', " ", '{"hash":"other"}'):
        grant = plain.plain("a", 3, token(plain, "a", returnBody=body))
        assert plain.storing.complete(grant, plain.store(grant, b"abc")).size == 3


def test_a_source_that_is_cut_short_is_noticed(bench: Bench) -> None:
    class Short(Bytes):
        def __len__(self) -> int:
            return 10

    for size in (10, BLOCK + 1):
        grant = bench.grant(f"{size}", size)
        chunk: Chunk = Short(b"short")
        with pytest.raises(SourceChanged):
            bench.storing.put_chunk(grant, chunk)
