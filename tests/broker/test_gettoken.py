"""gettoken: who may, under which name, how often; one answer for one request, and nothing for what is not granted."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from vvos_core import request_token
from vvos_core.broker.hooks import Access, BusinessCall, Placed, Unauthenticated
from vvos_core.broker.ledger import Ledger
from vvos_core.broker.service import Broker
from vvos_core.calls import Calls
from vvos_core.errors import ConfigError, Denied, Exists, PluginError, Unavailable
from vvos_core.hooks import hookimpl
from vvos_core.model import MIB, Ask
from vvos_core.profile import BrokerSettings

from .fake import NOW, RULES, SEAL_KEY, Bench, Clock, FakeCalls, made

MakeBench = Callable[..., Bench]


class Shop:
    """A business: the header says who; some are refused, some are sent elsewhere."""

    def __init__(self) -> None:
        self.calls: list[BusinessCall] = []

    @hookimpl
    def authorize(self, call: BusinessCall) -> Access:
        self.calls.append(call)
        who = call.headers.get("authorization", "")
        if not who:
            raise Unauthenticated("log in first.")
        if who == "guest":
            raise Denied("guests do not upload.")
        if who == "crash":
            raise RuntimeError("a secret of the business")
        return Access(who=who, prefix=f"users/{who}")

    @hookimpl
    def name_key(self, call: BusinessCall, file: Ask, access: Access) -> Placed | None:
        if file.client_key.endswith(".exe"):
            raise Denied("programs are not taken.")
        if file.client_key.startswith("bad"):
            return Placed(key="../escape")
        if file.client_key.startswith("same"):
            return Placed(key="one")
        if file.type.startswith("video/"):
            return Placed(key=f"v/{file.client_key}", profile="videos")
        if file.client_key == "lost":
            return Placed(key="x", profile="nowhere")
        return None


def test_answers_the_published_fields_and_the_added_ones(bench: Bench) -> None:
    answer = bench.gettoken("相册/a.jpg", "b.bin", files={"相册/a.jpg": {"size": 5}, "b.bin": {"size": 3 * MIB}})
    assert answer.status == 200
    assert answer["keys"] == {"相册/a.jpg": "相册/a.jpg", "b.bin": "b.bin"}
    assert (answer["success"], answer["code"], answer["provider"]) == (True, "SUCCESS", "fake")
    assert (answer["expiresAt"], answer["expiresIn"]) == (NOW + 3600, 3600)
    assert "failed" not in answer.body
    assert answer["grants"]["b.bin"] == {
        "provider": "fake",
        "size": 3 * MIB,
        "type": "application/octet-stream",
        "expiresAt": NOW + 3600,
        "multipart": True,
        "partSize": MIB,
        "uploadId": "upload-1",
        "seal": True,
        "data": {"signature": f"b.bin@{NOW}+{NOW + 3600}/"},
    }


def test_the_provider_is_asked_for_what_was_asked(bench: Bench) -> None:
    said = {"size": 7, "type": "image/jpeg", "checksum": "crc64nvme:AAAA=", "metadata": {"title": "春节"}}
    bench.gettoken("a", files={"a": said}, cover=True, client="web", album=3)
    (request,) = bench.fake.requests
    assert request.files == (
        Ask(client_key="a", key="a", size=7, type="image/jpeg", checksum="crc64nvme:AAAA=", metadata={"title": "春节"}),
    )
    assert (request.cover, request.client, request.issued_at, request.expires_at) == (True, "web", NOW, NOW + 3600)
    assert request.call.body == {"album": 3}
    assert request.call.header == {}
    assert request.request_token == request_token.make("batch-1")


def test_cover_is_off_unless_asked_for(bench: Bench) -> None:
    bench.gettoken("a")
    assert bench.fake.requests[0].cover is False


def test_the_same_request_gets_the_same_answer(make_bench: MakeBench) -> None:
    bench = make_bench(naming="random")
    first = bench.gettoken("a.jpg", "b.bin", size=3 * MIB)
    bench.clock.now += 600
    again = bench.gettoken("b.bin", "a.jpg", size=3 * MIB, album=4)
    assert again.body == {**first.body, "expiresIn": 3000}
    assert bench.fake.requests[1].issued_at == NOW
    assert all(ask.renew is not None for ask in bench.fake.requests[1].files)
    assert make_bench(naming="random").gettoken("a.jpg", "b.bin", size=3 * MIB).body["keys"] == first["keys"]


@pytest.mark.parametrize(
    "changed",
    [
        {"keys": ("a", "b")},
        {"keys": ("b",)},
        {"size": 6},
        {"cover": True},
        {"files": {"a": {"size": 5, "type": "text/plain"}}},
        {"files": {"a": {"size": 5, "checksum": "md5:AAAA"}}},
        {"files": {"a": {"size": 5, "metadata": {"k": "v"}}}},
    ],
)
def test_a_request_token_is_for_one_request(bench: Bench, changed: dict[str, Any]) -> None:
    bench.gettoken("a")
    asked = len(bench.fake.asked)
    answer = bench.gettoken(*changed.pop("keys", ("a",)), **changed)
    assert (answer.status, answer.code) == (409, "REQUEST_REUSED")
    assert len(bench.fake.asked) == asked


def test_a_request_that_has_expired_says_what_to_do(bench: Bench) -> None:
    bench.gettoken("a")
    bench.clock.now += 3600
    answer = bench.gettoken("a")
    assert (answer.status, answer.code) == (401, "TOKEN_EXPIRED")
    assert "renew it with its accessToken" in answer["message"]


def test_request_ids_are_each_callers_own(make_bench: MakeBench) -> None:
    bench = make_bench(business=Shop(), profiles={"main": FakeCalls(), "videos": FakeCalls()})
    one = bench.gettoken("a", headers={"authorization": "小明"})
    other = bench.gettoken("b", headers={"authorization": "小红"})
    assert one["keys"] == {"a": "users/小明/a"}
    assert other["keys"] == {"b": "users/小红/b"}


def test_one_refused_file_does_not_stop_the_others(make_bench: MakeBench) -> None:
    bench = make_bench(max_size=100)
    bench.fake.refuses["c"] = Exists("c is there.", key="c")
    files = {"a": {"size": 5}, "b": {"size": 101}, "c": {"size": 5}, "长" * 300: {"size": 1}}
    answer = bench.gettoken("a", "b", "c", "d", "长" * 300, files=files)
    assert answer.status == 200
    assert (answer["success"], answer.code) == (False, "PARTIAL")
    assert answer["keys"] == {"a": "a"}
    assert answer.codes == {"b": "TOO_LARGE", "c": "EXISTS", "d": "BAD_REQUEST", "长" * 300: "BAD_KEY"}
    assert "files['d'].size" in answer["failed"][2]["message"]
    assert bench.gettoken("a", "b", "c", "d", "长" * 300, files=files).body == answer.body


def test_when_every_file_is_refused_the_answer_is_an_error_that_lists_them(bench: Bench) -> None:
    bench.fake.refuses = {"a": Exists("a is there."), "b": Denied("b is not yours.")}
    answer = bench.gettoken("a", "b")
    assert (answer.status, answer.code, answer["success"]) == (409, "EXISTS", False)
    assert answer.codes == {"a": "EXISTS", "b": "DENIED"}
    bench.fake.refuses = {}
    assert bench.gettoken("a", "b").status == 200, "nothing was granted, so nothing was recorded"


def test_a_provider_that_is_down_is_503_and_can_be_asked_again(bench: Bench) -> None:
    bench.fake.down = True
    assert (bench.gettoken("a").status, bench.gettoken("a").code) == (503, "UNAVAILABLE")
    bench.fake.down = False
    assert bench.gettoken("a").status == 200


def test_retry_after_is_passed_on(bench: Bench) -> None:
    bench.fake.refuses["a"] = Unavailable("slow down.", retry_after=2.1)
    assert bench.gettoken("a").headers["Retry-After"] == "3"


def test_the_providers_own_limits_hold(bench: Bench) -> None:
    assert bench.gettoken("a", size=RULES.max_size + 1).code == "TOO_LARGE"
    assert bench.gettoken("a", size=RULES.max_size, request="b").status == 200


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("../a", "BAD_KEY"),
        ("a/../b", "BAD_KEY"),
        ("a//b", "BAD_KEY"),
        ("/a", "BAD_KEY"),
        ("a/", "BAD_KEY"),
        ("", "BAD_KEY"),
        (".", "BAD_KEY"),
        ("a\0b", "BAD_KEY"),
        ("a\nb", "BAD_KEY"),
        ("e\u0301", "BAD_KEY"),
        ("x" * 1025, "BAD_KEY"),
        ("长" * 342, "BAD_KEY"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_and_nobody_is_asked(bench: Bench, key: str, code: str) -> None:
    answer = bench.gettoken("good", key)
    assert (answer.status, answer.code) == (400, code)
    assert bench.fake.asked == []


@pytest.mark.parametrize(
    ("fields", "status", "code", "names"),
    [
        ({"keys": ["a", "b", "a"]}, 400, "DUPLICATE_KEY", "'a' is there twice"),
        ({"keys": [f"k{n}" for n in range(1001)]}, 413, "TOO_LARGE", "1001 keys"),
        ({"keys": [str(n) for n in range(100_000)]}, 413, "TOO_LARGE", "100000 keys"),
        ({"keys": ["a"], "files": {"b": {"size": 1}}}, 400, "BAD_REQUEST", "'b' is not in `keys`"),
        ({"keys": ["a"], "files": {str(n): {} for n in range(1001)}}, 413, "TOO_LARGE", "1001 keys"),
        ({"client": "x" * 201}, 400, "BAD_REQUEST", "`client`"),
        ({"client": "a\nb"}, 400, "BAD_REQUEST", "`client`"),
        ({"requestToken": "abc"}, 400, "BAD_REQUEST", "requestToken"),
        ({"requestToken": made({"requestId": 1})}, 400, "BAD_REQUEST", "requestToken"),
        ({"files": {"a": {"size": 1, "type": "a\r\nX-Evil: 1"}}}, 400, "BAD_REQUEST", "files['a'].type"),
        ({"files": {"a": {"size": 1, "type": "图/片"}}}, 400, "BAD_REQUEST", "files['a'].type"),
        ({"files": {"a": {"size": 1, "type": "x" * 256}}}, 400, "BAD_REQUEST", "files['a'].type"),
        ({"files": {"a": {"size": 1, "checksum": "abc"}}}, 400, "BAD_REQUEST", "files['a'].checksum"),
        ({"files": {"a": {"size": 1, "metadata": {"x": "y" * 2048}}}}, 400, "BAD_REQUEST", "2049 bytes"),
        ({"files": {"a": {"size": 1, "metadata": {str(n): "" for n in range(65)}}}}, 400, "BAD_REQUEST", "64 entries"),
        ({"files": {"a": {"size": 1, "metadata": {"a b": "c"}}}}, 400, "BAD_REQUEST", "the name 'a b'"),
        ({"files": {"a": {"size": 1, "metadata": {"a": "b\r\nc"}}}}, 400, "BAD_REQUEST", "metadata['a']"),
        ({"files": {"a": {"size": 1, "metadata": {"a": "b", "A": "c"}}}}, 400, "BAD_REQUEST", "upper and lower"),
    ],
)
def test_limits_and_forms(bench: Bench, fields: dict[str, Any], status: int, code: str, names: str) -> None:
    answer = bench.call("gettoken", **{"requestToken": request_token.make(), "keys": ["a"], **fields})
    assert (answer.status, answer.code) == (status, code)
    assert names in answer["message"]
    assert bench.fake.asked == []


def test_a_body_over_the_limit_is_413(make_bench: MakeBench) -> None:
    bench = make_bench(max_body=1000)
    assert bench.call("gettoken", pad="x" * 1000).status == 413


def test_a_token_that_would_not_fit_into_a_call_is_refused_and_its_uploads_are_aborted(make_bench: MakeBench) -> None:
    bench = make_bench(max_body=900)
    keys = ["".join(chr(0x4E00 + random.randrange(20_000)) for _ in range(50)) for _ in range(2)]  # does not compress
    answer = bench.gettoken(*keys, size=3 * MIB)
    assert (answer.status, answer.code) == (413, "TOO_LARGE")
    assert "fewer" in answer["message"]
    assert bench.fake.aborted == ["upload-1", "upload-2"]


def test_the_business_says_who_may(make_bench: MakeBench) -> None:
    shop = Shop()
    bench = make_bench(business=shop, prefix="up")
    assert (bench.gettoken("a").status, bench.gettoken("a").code) == (401, "UNAUTHENTICATED")
    assert bench.gettoken("a").headers["WWW-Authenticate"]
    refused = bench.gettoken("a", headers={"authorization": "guest"})
    assert (refused.status, refused.code, refused["message"]) == (403, "DENIED", "guests do not upload.")
    assert bench.fake.asked == []
    answer = bench.gettoken("相/a", headers={"authorization": "小明"}, cover=True, client="web", album=7)
    assert answer["keys"] == {"相/a": "up/users/小明/相/a"}
    seen = shop.calls[-1]
    assert (seen.call, seen.params, seen.keys, seen.request_id) == ("gettoken", {"album": 7}, ("相/a",), "batch-1")
    assert (seen.cover, seen.client, seen.now, seen.renewal) == (True, "web", NOW, False)


def test_a_business_that_fails_is_500_without_details(make_bench: MakeBench, caplog: pytest.LogCaptureFixture) -> None:
    answer = make_bench(business=Shop()).gettoken("a", headers={"authorization": "crash"})
    assert (answer.status, answer.code) == (500, "INTERNAL")
    assert "secret" not in str(answer.body)
    assert "under request id test" in answer["message"]
    assert "RuntimeError: a secret of the business" in caplog.text, "the log has the traceback"


def test_one_batch_can_go_to_several_profiles_and_each_is_asked_once(make_bench: MakeBench) -> None:
    videos = FakeCalls("other")
    bench = make_bench(business=Shop(), profiles={"main": FakeCalls(), "videos": videos})
    files = {f"{n}.{kind}": {"size": 1, "type": f"{kind}/x"} for n in range(5) for kind in ("image", "video")}
    answer = bench.gettoken(*files, files=files, headers={"authorization": "小明"})
    assert len(answer["keys"]) == 10
    assert (bench.fake.asked, videos.asked) == (["token"], ["token"])
    assert answer["grants"]["v/0.video"]["provider"] == "other"
    assert answer["grants"]["users/小明/0.image"]["provider"] == "fake"
    videos.objects = {"v/0.video": (1, "")}
    bench.call("exists", {"authorization": "小明"}, accessToken=answer["accessToken"], keys=["v/0.video"])
    assert (bench.fake.asked, videos.asked) == (["token"], ["token", "exists"])


def test_the_business_can_refuse_and_rename_single_files(make_bench: MakeBench) -> None:
    bench = make_bench(business=Shop())
    files = ("a.txt", "b.exe", "bad.txt", "same1", "same2", "lost")
    answer = bench.gettoken(*files, headers={"authorization": "x"})
    assert answer["keys"] == {"a.txt": "users/x/a.txt", "same1": "one"}
    assert answer.codes["b.exe"] == "DENIED"
    assert answer.codes["bad.txt"] == "BAD_KEY"
    assert answer.codes["same2"] == "DUPLICATE_KEY"
    assert answer.codes["lost"] == "CONFIG"
    assert "nowhere" not in str(answer.body)


def test_a_fault_of_the_brokers_own_is_told_without_details(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench()
    bench.fake.refuses["a"] = PluginError("the secret bucket of the operator")
    answer = bench.gettoken("a", "b")
    assert answer.codes == {"a": "PLUGIN"}
    assert "secret" not in str(answer.body)
    assert "the secret bucket of the operator" in caplog.text


def test_a_grant_for_another_key_than_asked_is_not_passed_on(bench: Bench) -> None:
    honest = bench.fake.token
    bench.fake.token = lambda request: honest(request)[::-1]  # type: ignore[method-assign]  # a broken provider
    answer = bench.gettoken("a", "b")
    assert (answer.status, answer.code) == (500, "CONTRACT")


def test_uploads_begun_for_nothing_are_aborted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.ledger is not None

    def fails(*args: object, **fields: object) -> None:
        raise Unavailable("the broker's database did not answer; try again.")

    monkeypatch.setattr(bench.ledger, "grant", fails)
    answer = bench.gettoken("a", "b", size=3 * MIB)
    assert (answer.status, answer.code) == (503, "UNAVAILABLE")
    assert bench.fake.aborted == ["upload-1", "upload-2"]


def test_an_abort_that_fails_changes_no_answer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def abort(grant: object) -> None:
        raise OSError("gone")

    def full(*args: object, **fields: object) -> None:
        raise Unavailable("the broker's database did not answer; try again.")

    monkeypatch.setattr(bench.fake, "abort", abort)
    monkeypatch.setattr(bench.ledger, "grant", full)
    assert bench.gettoken("a", size=3 * MIB).status == 503


def test_the_business_can_send_a_whole_call_to_a_profile(make_bench: MakeBench) -> None:
    class Elsewhere:
        @hookimpl
        def authorize(self, call: BusinessCall) -> Access:
            return Access(who="x", profile="videos")

    videos = FakeCalls("other")
    bench = make_bench(business=Elsewhere(), profiles={"main": FakeCalls(), "videos": videos})
    assert bench.gettoken("a")["provider"] == "other"
    assert (bench.fake.asked, videos.asked) == ([], ["token"])


def test_two_at_once_get_one_grant_and_the_losers_uploads_are_aborted(make_bench: MakeBench, any_database: str) -> None:
    bench = make_bench(database=any_database, naming="random")
    both_in = threading.Barrier(2)
    bench.fake.before = lambda name: _meet(both_in)
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(bench.gettoken("a", "b", size=3 * MIB))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].body == answers[1].body
    granted = {grant["uploadId"] for grant in answers[0]["grants"].values()}
    assert len(granted) == 2
    assert set(bench.fake.aborted) == {f"upload-{n}" for n in range(1, 5)} - granted


def _meet(barrier: threading.Barrier) -> None:
    """Both calls are past their look into the ledger before either records; the loser's second call goes through."""
    try:
        barrier.wait(timeout=5)
        barrier.abort()
    except threading.BrokenBarrierError:
        pass


def test_mistakes_show_at_the_start_and_leave_no_database(make_bench: MakeBench) -> None:
    def broken(name: str) -> Calls:
        raise PluginError(f"profile {name} is broken")

    def database() -> Ledger:
        raise AssertionError("opened for nothing")

    settings = BrokerSettings(seal_keys=(SEAL_KEY,), access="open")
    with pytest.raises(PluginError, match="profile main is broken"):
        Broker(settings, broken, open_ledger=database, default_profile="main")
    with pytest.raises(ConfigError, match="seal_keys"):
        make_bench(seal_keys=())


def test_another_broker_with_the_same_keys_and_database_serves_the_same(make_bench: MakeBench) -> None:
    clock = Clock()
    one, other = make_bench(clock=clock), make_bench(clock=clock)
    first = one.gettoken("a")
    assert other.gettoken("a").body == first.body
    other.fake.objects["a"] = (5, "")
    found = other.call("exists", accessToken=first["accessToken"], keys=["a"])
    assert found["objects"] == [{"key": "a", "exists": True, "size": 5}]
