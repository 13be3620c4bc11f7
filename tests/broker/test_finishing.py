"""exists and notifier: only for whom it was granted, verified at the provider, recorded once, answered alike."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from vvos_core.broker.hooks import Access, BusinessCall
from vvos_core.errors import Denied, ServiceFailed
from vvos_core.hooks import hookimpl
from vvos_core.model import MIB, Receipt

from .fake import Answer, Bench, FakeCalls

MakeBench = Callable[..., Bench]
KEYS = ("相册/a.jpg", "b.bin")


class Headers:
    @hookimpl
    def authorize(self, call: BusinessCall) -> Access:
        if call.params.get("refuse"):
            raise Denied("not today.")
        return Access(who=call.headers["who"])


@pytest.fixture
def token(bench: Bench) -> str:
    answer = bench.gettoken(
        *KEYS, files={"相册/a.jpg": {"size": 5, "checksum": "md5:AAAA"}, "b.bin": {"size": 3 * MIB}}
    )
    bench.fake.asked.clear()
    return str(answer["accessToken"])


def upload(bench: Bench) -> None:
    bench.fake.objects.update({"相册/a.jpg": (5, "md5:AAAA"), "b.bin": (3 * MIB, "")})


def finish(bench: Bench, token: str, *keys: str, **fields: Any) -> Answer:
    return bench.call("notifier", accessToken=token, keys=list(keys or KEYS), **fields)


def test_exists_says_what_is_there(bench: Bench, token: str) -> None:
    bench.fake.objects["相册/a.jpg"] = (5, "md5:AAAA")
    answer = bench.call("exists", accessToken=token, keys=list(KEYS))
    assert answer.body == {
        "success": True,
        "code": "SUCCESS",
        "objects": [
            {"key": "相册/a.jpg", "exists": True, "size": 5, "checksum": "md5:AAAA"},
            {"key": "b.bin", "exists": False},
        ],
    }


def test_exists_lists_parts_when_asked(bench: Bench, token: str) -> None:
    bench.fake.parts["b.bin"] = (Receipt(number=1, size=MIB, proof="etag"),)
    listed = [{"number": 1, "size": MIB, "proof": "etag"}]
    answer = bench.call("exists", accessToken=token, keys=["b.bin"], parts=True)
    assert answer["objects"] == [{"key": "b.bin", "exists": False, "parts": listed}]
    bench.fake.objects["b.bin"] = (7, "")
    answer = bench.call("exists", accessToken=token, keys=["b.bin"], parts=True)
    assert answer["objects"] == [{"key": "b.bin", "exists": True, "size": 7, "parts": listed}]


def test_no_parts_are_told_from_parts_of_which_nothing_is_said(bench: Bench, token: str) -> None:
    asked = bench.call("exists", accessToken=token, keys=["相册/a.jpg", "b.bin"], parts=True)
    single, large = asked["objects"]
    assert "parts" not in single
    assert large["parts"] == []
    (not_asked,) = bench.call("exists", accessToken=token, keys=["b.bin"])["objects"]
    assert "parts" not in not_asked


def test_exists_fails_by_the_key(bench: Bench, token: str) -> None:
    bench.fake.refuses["b.bin"] = ServiceFailed("fake failed.")
    answer = bench.call("exists", accessToken=token, keys=list(KEYS))
    assert (answer.status, answer["success"], answer.code) == (200, False, "PARTIAL")
    assert answer.codes == {"b.bin": "SERVICE_FAILED"}
    bench.fake.down = True
    answer = bench.call("exists", accessToken=token, keys=list(KEYS))
    assert (answer.status, answer["objects"], answer.code) == (200, [], "UNAVAILABLE")


def test_notifier_verifies_records_answers_and_tells(bench: Bench, token: str) -> None:
    upload(bench)
    answer = finish(bench, token)
    assert answer.body == {
        "code": "SUCCESS",
        "objects": [
            {"key": "相册/a.jpg", "url": "https://fake.test/相册/a.jpg"},
            {"key": "b.bin", "url": "https://fake.test/b.bin"},
        ],
        "success": True,
    }
    assert bench.fake.asked == ["verify"]
    assert sorted(bench.deliver()) == sorted(KEYS)


def test_repeating_it_answers_the_same_and_tells_nobody_twice(bench: Bench, token: str) -> None:
    upload(bench)
    first = finish(bench, token)
    bench.fake.down = True
    bench.fake.objects.clear()
    assert finish(bench, token).body == first.body
    assert bench.fake.asked == ["verify"]
    assert sorted(bench.deliver()) == sorted(KEYS)


def test_a_renewed_token_is_of_the_same_upload(bench: Bench, token: str) -> None:
    upload(bench)
    first = finish(bench, token)
    renewed = bench.gettoken(*KEYS, accessToken=token, files={})["accessToken"]
    assert finish(bench, renewed).body == first.body
    assert len(bench.deliver()) == 2


def test_nothing_can_be_put_with_the_renewal_of_what_is_finished(bench: Bench, token: str) -> None:
    upload(bench)
    finish(bench, token, "相册/a.jpg")
    bench.fake.asked.clear()
    bench.fake.requests.clear()
    answer = bench.gettoken(*KEYS, accessToken=token, files={})
    assert answer["keys"] == dict(zip(KEYS, KEYS, strict=True))
    assert "data" not in answer["grants"]["相册/a.jpg"]
    assert "data" in answer["grants"]["b.bin"]
    (asked,) = bench.fake.requests
    assert [ask.key for ask in asked.files] == ["b.bin"]
    twice = bench.gettoken("相册/a.jpg", accessToken=answer["accessToken"], files={})
    assert "data" not in twice["grants"]["相册/a.jpg"]


def test_what_was_answered_stays_when_the_object_is_replaced(bench: Bench, token: str) -> None:
    upload(bench)
    first = finish(bench, token)
    bench.fake.objects["相册/a.jpg"] = (6, "md5:ZZZZ")
    assert finish(bench, token).body == first.body
    told = {"相册/a.jpg": {"size": 5, "checksum": "md5:AAAA"}}
    assert finish(bench, token, "相册/a.jpg", files=told).code == "SUCCESS"
    assert finish(bench, token, "相册/a.jpg", files={"相册/a.jpg": {"size": 6}}).code == "CHECKSUM_MISMATCH"


def test_every_reason_is_in_failed_and_the_rest_is_done(bench: Bench) -> None:
    keys = ("好", "gone", "short", "changed", "lied", "down")
    files = {key: {"size": 5, "checksum": "md5:AAAA"} for key in keys}
    token = bench.gettoken(*keys, files=files)["accessToken"]
    bench.fake.objects = {key: (5, "md5:AAAA") for key in keys if key != "gone"}
    bench.fake.objects |= {"short": (4, "md5:AAAA"), "changed": (5, "md5:BBBB")}
    bench.fake.refuses["down"] = ServiceFailed("fake failed.")
    answer = finish(bench, token, *keys, files={"lied": {"checksum": "md5:CCCC"}})
    assert [item["key"] for item in answer["objects"]] == ["好"]
    assert answer.codes == {
        "gone": "NOT_FOUND",
        "short": "CHECKSUM_MISMATCH",
        "changed": "CHECKSUM_MISMATCH",
        "lied": "CHECKSUM_MISMATCH",
        "down": "SERVICE_FAILED",
    }
    assert bench.deliver() == ["好"]


def test_another_upload_to_the_same_key_is_told_again(bench: Bench, token: str) -> None:
    upload(bench)
    finish(bench, token)
    later = bench.gettoken("b.bin", size=3 * MIB, request="batch-2", cover=True)["accessToken"]
    assert finish(bench, later, "b.bin").code == "SUCCESS"
    assert bench.deliver().count("b.bin") == 2


def test_what_fails_verification_is_listed_and_the_others_succeed(bench: Bench, token: str) -> None:
    bench.fake.objects["相册/a.jpg"] = (5, "md5:AAAA")
    answer = finish(bench, token)
    assert (answer.status, answer["success"], answer.code) == (200, False, "PARTIAL")
    assert [item["key"] for item in answer["objects"]] == ["相册/a.jpg"]
    assert answer.codes == {"b.bin": "NOT_FOUND"}
    bench.fake.objects["b.bin"] = (3 * MIB, "")
    assert finish(bench, token).code == "SUCCESS"
    assert sorted(bench.deliver()) == sorted(KEYS)


def test_when_all_fail_the_code_is_the_first_ones(bench: Bench, token: str) -> None:
    bench.fake.objects = {"相册/a.jpg": (6, ""), "b.bin": (3 * MIB, "")}
    answer = finish(bench, token, "相册/a.jpg")
    assert (answer.status, answer.code, answer["objects"]) == (200, "CHECKSUM_MISMATCH", [])
    assert bench.deliver() == []


def test_a_provider_that_is_down_does_not_hide_what_was_recorded(bench: Bench, token: str) -> None:
    upload(bench)
    finish(bench, token, "b.bin")
    bench.fake.down = True
    answer = finish(bench, token)
    assert [item["key"] for item in answer["objects"]] == ["b.bin"]
    assert answer.codes == {"相册/a.jpg": "UNAVAILABLE"}


def test_the_client_must_have_sent_what_was_granted(bench: Bench, token: str) -> None:
    upload(bench)
    wrong = {"相册/a.jpg": {"size": 5, "checksum": "md5:BBBB"}, "b.bin": {"size": 6}}
    answer = finish(bench, token, files=wrong)
    assert answer.codes == dict.fromkeys(KEYS, "CHECKSUM_MISMATCH")
    assert bench.fake.asked == []
    right = {"相册/a.jpg": {"size": 5, "checksum": "md5:AAAA"}, "b.bin": {"size": 3 * MIB}}
    assert finish(bench, token, files=right).code == "SUCCESS"


def test_the_clients_checksum_is_compared_at_the_provider(bench: Bench, token: str) -> None:
    bench.fake.objects["b.bin"] = (3 * MIB, "crc64nvme:CCCC")
    answer = finish(bench, token, "b.bin", files={"b.bin": {"checksum": "crc64nvme:DDDD"}})
    assert answer.codes == {"b.bin": "CHECKSUM_MISMATCH"}
    assert finish(bench, token, "b.bin", files={"b.bin": {"checksum": "crc64nvme:CCCC"}}).code == "SUCCESS"


def test_the_granted_checksum_is_compared_when_the_client_names_none(bench: Bench, token: str) -> None:
    bench.fake.objects["相册/a.jpg"] = (5, "md5:BBBB")
    assert finish(bench, token, "相册/a.jpg").codes == {"相册/a.jpg": "CHECKSUM_MISMATCH"}


def test_an_answer_for_another_key_is_not_recorded(bench: Bench, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    upload(bench)
    honest = bench.fake.verify
    monkeypatch.setattr(bench.fake, "verify", lambda request: honest(request)[::-1])
    assert finish(bench, token).codes == dict.fromkeys(KEYS, "CONTRACT")
    monkeypatch.undo()
    assert finish(bench, token).code == "SUCCESS"


@pytest.mark.parametrize("call", ["exists", "notifier"])
@pytest.mark.parametrize("key", ["c", "相册/a.jpg ", "../b.bin", "", "相册"])
def test_a_key_outside_the_token_is_403_and_nobody_is_asked(bench: Bench, token: str, call: str, key: str) -> None:
    answer = bench.call(call, accessToken=token, keys=["b.bin", key])
    assert (answer.status, answer.code) == (403, "KEY_NOT_GRANTED")
    assert bench.fake.asked == []


@pytest.mark.parametrize("call", ["exists", "notifier"])
def test_tokens_that_are_none(bench: Bench, token: str, call: str) -> None:
    for place in range(0, len(token), 7):
        for bit in (0, 3, 7):
            altered = token[:place] + chr(ord(token[place]) ^ (1 << bit)) + token[place + 1 :]
            answer = bench.call(call, accessToken=altered, keys=["b.bin"])
            assert (answer.status, answer.code) == (401, "BAD_TOKEN")
    bench.clock.now += 3600
    answer = bench.call(call, accessToken=token, keys=["b.bin"])
    assert (answer.status, answer.code) == (401, "TOKEN_EXPIRED")
    assert bench.fake.asked == []


@pytest.mark.parametrize("call", ["exists", "notifier"])
def test_keys_are_counted_and_single(bench: Bench, token: str, call: str) -> None:
    assert bench.call(call, accessToken=token, keys=["b.bin", "b.bin"]).code == "DUPLICATE_KEY"
    assert bench.call(call, accessToken=token, keys=[str(n) for n in range(1001)]).status == 413
    assert bench.call(call, accessToken=token, keys=[]).status == 400
    assert bench.fake.asked == []


def test_what_notifier_says_of_files_is_checked(bench: Bench, token: str) -> None:
    assert finish(bench, token, "b.bin", files={"c": {}}).code == "BAD_REQUEST"
    answer = finish(bench, token, "b.bin", files={"b.bin": {"checksum": "x\ny"}})
    assert (answer.status, answer["message"]) == (
        400,
        "`files['b.bin'].checksum`: expected \"algorithm:value\".",
    )


@pytest.mark.parametrize("call", ["exists", "notifier"])
def test_two_tenants_cannot_use_each_others_tokens(make_bench: MakeBench, call: str) -> None:
    bench = make_bench(business=Headers())
    mine = bench.gettoken("a", headers={"who": "小明"})["accessToken"]
    bench.gettoken("b", headers={"who": "小红"})
    bench.fake.asked.clear()
    answer = bench.call(call, {"who": "小红"}, accessToken=mine, keys=["a"])
    assert (answer.status, answer.code) == (403, "DENIED")
    assert bench.call(call, {"who": "小明"}, accessToken=mine, keys=["b"]).code == "KEY_NOT_GRANTED"
    assert bench.call(call, {"who": "小明"}, accessToken=mine, keys=["a"], refuse=True).status == 403
    assert bench.fake.asked == []
    assert bench.call(call, {"who": "小明"}, accessToken=mine, keys=["a"]).status == 200


def test_the_business_sees_the_client_keys(make_bench: MakeBench) -> None:
    seen: list[BusinessCall] = []

    class Business:
        @hookimpl
        def authorize(self, call: BusinessCall) -> Access:
            seen.append(call)
            return Access(who="x")

    bench = make_bench(business=Business(), naming="random")
    answer = bench.gettoken("相册/a.jpg", client="web")
    key = answer["keys"]["相册/a.jpg"]
    bench.call("notifier", {"cookie": "c"}, accessToken=answer["accessToken"], keys=[key], order=7)
    call = seen[-1]
    assert (call.call, call.keys, call.params, call.client) == ("notifier", ("相册/a.jpg",), {"order": 7}, "web")
    assert (call.headers, call.request_id) == ({"cookie": "c"}, "batch-1")


def test_each_profile_is_told_of_its_own(make_bench: MakeBench) -> None:
    from vvos_core.broker.hooks import Placed

    class Business:
        @hookimpl
        def name_key(self, file: Any) -> Placed:
            return Placed(key=file.client_key, profile=file.client_key)

    profiles = {"one": FakeCalls(), "two": FakeCalls()}
    bench = make_bench(business=Business(), access="open", profiles=profiles)
    token = bench.gettoken("one", "two")["accessToken"]
    for name, fake in profiles.items():
        fake.objects[name] = (5, "")
    profiles["two"].down = True
    assert finish(bench, token, "one", "two").codes == {"two": "UNAVAILABLE"}
    bench.deliver()
    assert (profiles["one"].told, profiles["two"].told) == (["one"], [])


def test_two_at_once_record_and_tell_once(make_bench: MakeBench, any_database: str) -> None:
    bench = make_bench(database=any_database)
    keys = [f"第{n}张" for n in range(50)]
    token = bench.gettoken(*keys)["accessToken"]
    bench.fake.objects = dict.fromkeys(keys, (5, ""))
    both_in = threading.Barrier(2)

    def before(name: str) -> None:
        both_in.wait(timeout=10)

    bench.fake.before = before
    answers: list[Answer] = []
    orders = (keys, keys[::-1])
    threads = [
        threading.Thread(target=lambda order=order: answers.append(finish(bench, token, *order))) for order in orders
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.code for answer in answers] == ["SUCCESS", "SUCCESS"]
    assert sorted(bench.deliver()) == sorted(keys)
