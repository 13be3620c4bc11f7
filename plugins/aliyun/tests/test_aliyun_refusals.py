"""What a grant does not allow, and what the service's refusals become: the right error, and no secret in it."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from msgspec.structs import replace
from vvos_aliyun.grants import Signed, read

from vvos_core import (
    Ask,
    BadAnswer,
    BadInput,
    ConfigError,
    Denied,
    Grant,
    Mismatch,
    NotFound,
    SourceChanged,
    TokenExpired,
    TooLarge,
    Unavailable,
    VVOSError,
)


def send(method: str, signed: Signed, body: bytes, **headers: str) -> tuple[int, bytes]:
    """A request made by hand, as somebody who holds the grant may make it."""
    parts = urlsplit(signed.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    given = {name: value for name, value in {**signed.headers, **headers}.items() if value}
    connection.request(
        method, f"{parts.path}?{parts.query}", body, {name.replace("_", "-"): v for name, v in given.items()}
    )
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, text


def test_the_request_as_it_was_granted_is_taken(bench: Any) -> None:
    assert send("PUT", read(bench.grant("a", 3)).put(), b"abc")[0] == 200


@pytest.mark.parametrize("body", [b"ab", b"abcd", b""])
def test_another_size_is_refused(bench: Any, body: bytes) -> None:
    status, text = send("PUT", read(bench.grant("a", 3)).put(), body)
    assert (status, b"SignatureDoesNotMatch" in text) == (403, True)
    part = read(bench.grant("b", 300_000)).part(1)
    assert send("PUT", part, body)[0] == 403


def test_chunked_transfer_does_not_widen_a_grant(bench: Any) -> None:
    signed = read(bench.grant("a", 3)).put()
    parts = urlsplit(signed.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    connection.request("PUT", f"{parts.path}?{parts.query}", iter([b"abc"] * 9), signed.headers, encode_chunked=True)
    assert connection.getresponse().status in (400, 403)
    connection.close()


@pytest.mark.parametrize(
    "header",
    [
        {"content_type": "text/html"},
        {"x_oss_copy_source": "/vvos/secret"},
        {"x_oss_forbid_overwrite": ""},
        {"x_oss_forbid_overwrite": "false"},
        {"x_oss_object_acl": "public-read"},
        {"x_oss_meta_owner": "me"},
        {"x_oss_callback": "e30="},
        {"content_md5": "kAFQmDzST7DWlj99KOF/cg=="},
    ],
    ids=lambda header: next(iter(header.items())),
)
def test_an_added_changed_or_missing_header_is_refused(bench: Any, header: dict[str, str]) -> None:
    signed = read(bench.grant("a", 3)).put()
    headers = {name: value for name, value in signed.headers.items() if name.replace("-", "_") not in header}
    assert send("PUT", Signed(signed.url, headers), b"abc", **header)[0] == 403


@pytest.mark.parametrize("kind", ["bench", "sts_bench"])
@pytest.mark.parametrize("number", [0, -1, 4, 10_001])
def test_a_grant_has_requests_for_its_parts_only(request: pytest.FixtureRequest, kind: str, number: int) -> None:
    requests = read(request.getfixturevalue(kind).grant("a", 300_000))
    with pytest.raises(BadAnswer, match=f"{number}"):
        requests.part(number)


def test_a_grant_is_good_for_its_key_and_method_only(bench: Any) -> None:
    signed = read(bench.grant("文/a", 3)).put()
    assert send("PUT", Signed(signed.url.replace("/a?", "/b?"), signed.headers), b"abc")[0] == 403
    assert send("GET", signed, b"")[0] == 403
    assert send("PUT", Signed(signed.url + "&acl", signed.headers), b"abc")[0] == 403


def test_the_completion_of_one_upload_does_not_complete_another(bench: Any) -> None:
    one, two = bench.grant("a", 300_000), bench.grant("a", 300_000)
    signed = read(one).complete()
    assert send("POST", Signed(signed.url.replace(one.upload_id, two.upload_id), signed.headers), b"<x/>")[0] == 403
    without = {name: value for name, value in signed.headers.items() if name != "x-oss-forbid-overwrite"}
    assert send("POST", Signed(signed.url, without), b"<x/>")[0] == 403


def test_the_look_of_a_grant_reads_no_bytes(bench: Any, aliyun_bucket: Any) -> None:
    aliyun_bucket.put_object("a", b"secret")
    look = read(bench.grant("a", 300_000)).look()
    assert send("HEAD", look, b"")[0] == 200
    assert send("GET", look, b"")[0] == 403


@pytest.mark.parametrize("kind", ["bench", "sts_bench"])
@pytest.mark.parametrize("size", [3, 300_000])
def test_an_expired_grant_says_so_and_a_renewed_one_goes_on(
    request: pytest.FixtureRequest, kind: str, size: int, data: Callable[[int], bytes]
) -> None:
    bench = request.getfixturevalue(kind)
    content = data(size)
    grant = bench.grant("a", size)
    chunks = bench.chunks(grant, content)
    bench.later(700)
    with pytest.raises(TokenExpired) as caught:
        bench.storing.put_chunk(grant, chunks[0])
    assert not caught.value.retryable
    bench.later(0)
    renewed = bench.renewed(grant)
    assert (renewed.upload_id, renewed.key) == (grant.upload_id, grant.key)
    bench.storing.complete(renewed, bench.store(renewed, content))
    assert b"".join(bench.emulator.read("a")) == content


@pytest.mark.parametrize(
    "changes", [{"key": "b"}, {"size": 4}, {"type": "a/b"}, {"client_key": "b"}, {"metadata": {"a": "b"}}], ids=str
)
def test_a_renewal_is_never_wider(bench: Any, changes: dict[str, Any]) -> None:
    grant = bench.grant("a", 3)
    assert isinstance(bench.refusal(Denied, bench.renewal(grant, **changes)), Denied)


def test_a_renewal_does_not_begin_to_replace(bench: Any) -> None:
    grant = bench.grant("a", 3)
    assert "cover" in bench.refusal(Denied, bench.renewal(grant), cover=True).message


def test_a_grant_with_a_checksum_is_for_those_bytes(bench: Any, data: Callable[[int], bytes]) -> None:
    hasher = bench.storing.checksum.new()
    hasher.update(memoryview(b"abc"))
    grant = bench.grant("a", 3, checksum=hasher.value())
    with pytest.raises(Mismatch):
        bench.store(grant, b"xyz")
    assert bench.emulator.counts["PutObject"] == 0
    bench.store(grant, b"abc")
    big = bench.grant("b", 300_000, checksum=hasher.value())
    with pytest.raises(Mismatch):
        bench.storing.complete(big, bench.store(big, data(300_000)))
    assert not bench.found(big).exists


@pytest.mark.parametrize("size", [150_000, 300_000])
def test_a_file_that_changes_while_it_is_sent_is_noticed(bench: Any, data: Callable[[int], bytes], size: int) -> None:
    content = data(size)
    grant = bench.grant("a", size)
    short = bench.chunks(grant, content)[0]
    short._data = short._data[:-1]
    short.__class__ = type(
        "Long", (type(short),), {"__len__": lambda self: min(size, 102_400 if grant.multipart else size)}
    )
    with pytest.raises(SourceChanged):
        bench.storing.put_chunk(grant, short)


def test_notify_finds_what_is_not_what_was_granted(bench: Any, aliyun_bucket: Any) -> None:
    grant = bench.grant("a", 3)
    assert isinstance(bench.notify(grant, 3), NotFound)
    aliyun_bucket.put_object("a", b"xyz")
    assert isinstance(bench.notify(grant, 3, "crc64ecma:1"), Mismatch)
    aliyun_bucket.put_object("a", b"four")
    assert isinstance(bench.notify(grant, 3), Mismatch)


@pytest.mark.parametrize("key", ["../a", "a//b", "/a", "a\x00", "\\a", "文" * 342, "x" * 1024], ids=repr)
def test_impossible_keys_are_refused_before_anything_is_sent(bench: Any, key: str) -> None:
    bench.refusal(BadInput, Ask(client_key="k", key=key, size=1))
    assert not bench.emulator.requests


def test_a_key_of_1023_bytes_is_taken(bench: Any) -> None:
    bench.upload("文" * 341, b"abc")
    assert b"".join(bench.emulator.read("文" * 341)) == b"abc"


@pytest.mark.parametrize("key", ["a*", "a?b", "${oss:x}"])
def test_a_key_that_a_policy_would_take_for_a_pattern_gets_no_credentials(sts_bench: Any, key: str) -> None:
    grant, _ = sts_bench.upload(key, b"abc")
    assert list(grant.data) == ["presigned"]
    assert sts_bench.emulator.counts["AssumeRole"] == 0
    assert b"".join(sts_bench.emulator.read(key)) == b"abc"


def test_sts_credentials_are_good_for_one_key_and_for_putting_only(sts_bench: Any) -> None:
    import oss2  # type: ignore[import-untyped,unused-ignore]  # ships no types

    sts_bench.upload("a/1", b"abc")
    given = sts_bench.grant("a/1", 3, cover=True).data["sts"]
    auth = oss2.StsAuth(given["access_key"], given["secret_key"], given["token"], oss2.AUTH_VERSION_4)
    info = sts_bench.emulator.info
    bucket = oss2.Bucket(auth, info["endpoint"], info["bucket"], region=info["region"])
    bucket.put_object("a/1", b"xyz")
    calls: list[Callable[[], object]] = [
        lambda: bucket.put_object("a/12", b"x"),
        lambda: bucket.put_object("a", b"x"),
        lambda: bucket.get_object("a/1"),
        lambda: bucket.delete_object("a/1"),
        lambda: bucket.list_objects(),
        lambda: bucket.copy_object("vvos", "a/1", "a/1"),
        lambda: bucket.put_object_acl("a/1", "public-read"),
    ]
    for refused in calls:
        with pytest.raises(oss2.exceptions.AccessDenied):
            refused()
    bucket.session.session.close()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"bucket": "other-bucket"}, "other-bucket"),
        ({"region": "cn-beijing"}, "region"),
    ],
    ids=["bucket", "region"],
)
def test_a_wrong_profile_is_told_from_a_wrong_request(bench: Any, changes: dict[str, str], word: str) -> None:
    bench.granting = bench.made(**changes)
    error = bench.refusal(ConfigError, Ask(client_key="a", key="a", size=300_000))
    assert word in error.message


def test_wrong_keys_are_denied_without_being_shown(bench: Any) -> None:
    from vvos_core import Secret

    bench.granting = bench.made(secret_key=Secret("CANARY-SECRET"))
    error = bench.refusal(Denied, Ask(client_key="a", key="a", size=300_000))
    assert "oss:PutObject" in error.message
    assert "CANARY" not in error.message
    small = bench.grant("a", 3)
    with pytest.raises(Denied) as caught:
        bench.store(small, b"abc")
    assert not {"CANARY", "x-oss-signature="} & set(str(caught.value).split())


def test_a_role_that_is_not_there(sts_bench: Any) -> None:
    sts_bench.granting = sts_bench.made(role_arn="acs:ram::1:role/nobody")
    assert "role_arn" in sts_bench.refusal(ConfigError, Ask(client_key="a", key="a", size=3)).message


@pytest.mark.parametrize("size", [3, 300_000])
def test_a_service_that_is_away_may_come_back(bench: Any, size: int) -> None:
    bench.granting = bench.made(endpoint="http://127.0.0.1:1")
    (answer,) = bench.granting.token(bench.request(Ask(client_key="a", key="a", size=size)))
    if isinstance(answer, Grant):
        with pytest.raises(Unavailable) as caught:
            bench.store(answer, b"abc")
        answer = caught.value
    assert isinstance(answer, Unavailable)
    assert answer.retryable


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (Ask(client_key="a", key="a", size=-1), BadInput),
        (Ask(client_key="a", key="a", size=5 * 1024**3 * 10_000 + 1), TooLarge),
        (Ask(client_key="a", key="a", size=1, type="a\nb"), BadInput),
        (Ask(client_key="a", key="a", size=1, type="文/本"), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a_b": "x"}), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a": "x\ny"}), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a": " x"}), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a": "1", "A": "2"}), BadInput),
        (Ask(client_key="a", key="a", size=1, metadata={"a": "x" * 9000}), BadInput),
        (Ask(client_key="a", key="a", size=1, checksum="crc64ecma:x"), BadInput),
    ],
)
def test_what_cannot_be_granted(bench: Any, ask: Ask, kind: type[VVOSError]) -> None:
    bench.refusal(kind, ask)
    assert not bench.emulator.requests


def test_a_grant_of_somebody_else(bench: Any) -> None:
    grant = replace(bench.grant("a", 3), data={"presigned": {"put": 3}})
    with pytest.raises(BadAnswer):
        bench.store(grant, b"abc")
    with pytest.raises(BadAnswer):
        bench.store(replace(grant, data={}), b"abc")
