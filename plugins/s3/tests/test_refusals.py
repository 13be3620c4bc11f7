"""What a grant does not allow, the service refuses; and what must not be granted is not."""

from __future__ import annotations

import threading
from typing import Any
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from vvos_core.errors import (
    BadAnswer,
    BadInput,
    BadKey,
    ConfigError,
    Denied,
    Exists,
    Mismatch,
    NotFound,
    TokenExpired,
    TooLarge,
    VVOSError,
)
from vvos_core.model import GIB, MIB, Ask, Notified, Secret

KEY = "照片/a b.jpg"
BIG = 5 * MIB + 10


def put(bench: Any, grant: Any, content: bytes) -> Any:
    return bench.storing.put_chunk(grant, bench.chunks(grant, content)[0])


def with_url(grant: Any, change: Any) -> Any:
    """The grant with its presigned put changed."""
    signed = grant.data["put"]
    return replace(grant, data={**grant.data, "put": {**signed, "url": change(signed["url"])}})


def with_headers(grant: Any, **headers: str | None) -> Any:
    signed = grant.data["put"]
    changed = {**signed["headers"], **{name.replace("_", "-"): value for name, value in headers.items()}}
    kept = {name: value for name, value in changed.items() if value is not None}
    return replace(grant, data={**grant.data, "put": {**signed, "headers": kept}})


def test_another_key_is_refused(bench: Any, s3_client: Any) -> None:
    grant = bench.grant(KEY, 3)
    with pytest.raises(Denied, match="SignatureDoesNotMatch"):
        put(bench, with_url(grant, lambda url: url.replace(quote("a b.jpg"), "other.jpg")), b"abc")
    assert s3_client.list_objects_v2(Bucket="vvos")["KeyCount"] == 0


@pytest.mark.parametrize("content", [b"ab", b"abcd"])
def test_another_size_is_refused(bench: Any, content: bytes) -> None:
    with pytest.raises(Denied, match="SignatureDoesNotMatch"):
        put(bench, bench.grant(KEY, 3), content)


def test_another_size_of_a_part_is_refused(bench: Any) -> None:
    grant = bench.grant(KEY, BIG)
    first, last = bench.chunks(grant, bytes(BIG))
    first.number, last.number = 2, 1
    for chunk in (first, last):
        with pytest.raises(Denied, match="SignatureDoesNotMatch"):
            bench.storing.put_chunk(grant, chunk)


@pytest.mark.parametrize(
    "headers",
    [
        {"content_type": "text/html"},
        {"content_type": None},
        {"if_none_match": None},
        {"x_amz_meta_owner": "somebody else"},
        {"x_amz_meta_more": "unsigned"},
        {"x_amz_acl": "public-read"},
        {"x_amz_copy_source": "/vvos/secret"},
    ],
    ids=str,
)
def test_other_headers_are_refused(bench: Any, s3_client: Any, headers: dict[str, str | None]) -> None:
    grant = bench.grant(KEY, 3, type="image/jpeg", metadata={"owner": "小明"})
    with pytest.raises(Denied):
        put(bench, with_headers(grant, **headers), b"abc")
    assert s3_client.list_objects_v2(Bucket="vvos")["KeyCount"] == 0


def test_an_expired_grant_is_said_to_be_expired(bench: Any) -> None:
    small, large = bench.grant("a", 3), bench.grant("b", BIG)
    receipts = bench.store(large, bytes(BIG))
    sealed = bench.renewed(large, checksum=bench.storing.checksum.combine(receipts))
    bench.later(601)
    for grant, size in ((small, 3), (large, BIG)):
        with pytest.raises(TokenExpired):
            put(bench, grant, bytes(size))
    with pytest.raises(TokenExpired):
        bench.storing.complete(sealed, receipts)
    with pytest.raises(TokenExpired):
        bench.storing.abort(large)
    bench.granting.abort(large)


def test_a_part_of_the_time_is_not_lost(bench: Any) -> None:
    grant = bench.grant(KEY, 3)
    bench.later(590)
    put(bench, grant, b"abc")


@pytest.mark.parametrize("size", [3, BIG])
def test_an_existing_object_stays_as_it_is(bench: Any, s3_client: Any, size: int) -> None:
    s3_client.put_object(Bucket="vvos", Key=KEY, Body=b"first")
    with pytest.raises(Exists):
        bench.upload(KEY, bytes(size))
    assert s3_client.get_object(Bucket="vvos", Key=KEY)["Body"].read() == b"first"
    bench.upload(KEY, bytes(size), cover=True)
    assert s3_client.get_object(Bucket="vvos", Key=KEY)["Body"].read() == bytes(size)


@pytest.mark.parametrize("size", [3, BIG])
def test_of_two_that_race_one_wins(bench: Any, s3_client: Any, size: int) -> None:
    """Both are granted, and both have stored their parts, before either may make the object."""
    barrier = threading.Barrier(4)
    outcomes: list[bytes | VVOSError] = []

    def race(content: bytes) -> None:
        grant = bench.grant(KEY, size)
        receipts = bench.store(grant, content) if grant.multipart else []
        if receipts:
            grant = bench.renewed(grant, checksum=bench.storing.checksum.combine(receipts))
        barrier.wait(20)
        try:
            bench.storing.complete(grant, receipts or bench.store(grant, content))
            outcomes.append(content)
        except VVOSError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=race, args=(bytes([number]) * size,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, bytes)]
    assert [type(outcome) for outcome in outcomes if isinstance(outcome, VVOSError)] == [Exists] * 3
    assert s3_client.get_object(Bucket="vvos", Key=KEY)["Body"].read() == winner


@pytest.mark.parametrize("checksum", ["crc64nvme", "md5"])
def test_a_byte_that_changes_between_two_readings_is_refused(bench: Any, s3_client: Any, checksum: str) -> None:
    bench.granting = bench.made(checksum=checksum)
    size = 300 * 1024
    grant = bench.grant(KEY, size)
    chunk = type(bench.chunks(grant, bytes(size))[0])(bytes(size), later=b"a" * size)
    with pytest.raises(Mismatch):
        bench.storing.put_chunk(grant, chunk)
    assert s3_client.list_objects_v2(Bucket="vvos")["KeyCount"] == 0


@pytest.mark.parametrize("checksum", ["crc64nvme", "md5"])
def test_a_small_chunk_is_read_once(bench: Any, s3_client: Any, checksum: str) -> None:
    bench.granting = bench.made(checksum=checksum)
    grant = bench.grant(KEY, 3)
    chunk = type(bench.chunks(grant, b"abc")[0])(b"abc", later=b"abC")
    bench.storing.put_chunk(grant, chunk)
    assert s3_client.get_object(Bucket="vvos", Key=KEY)["Body"].read() == b"abc"


@pytest.mark.parametrize("checksum", ["crc64nvme:BeXKuz/B+us=", "md5:900150983cd24fb0d6963f7d28e17f72"])
def test_other_bytes_than_the_grant_names_are_refused(bench: Any, s3_client: Any, checksum: str) -> None:
    bench.granting = bench.made(checksum=checksum.partition(":")[0])
    put(bench, bench.grant(KEY, 3, checksum=checksum), b"abc")
    s3_client.delete_object(Bucket="vvos", Key=KEY)
    with pytest.raises(Mismatch):
        put(bench, bench.grant(KEY, 3, checksum=checksum), b"abC")
    assert s3_client.list_objects_v2(Bucket="vvos")["KeyCount"] == 0


def test_a_part_that_changed_on_the_way_is_no_object(bench: Any, s3_client: Any) -> None:
    """The part was stored with other bytes than its receipt says: the signed checksum of the object does not fit."""
    content = b"a" * BIG
    grant = bench.grant(KEY, BIG)
    receipts = bench.store(grant, content)
    changed = bench.store(grant, b"A" + content[1:])
    forged = [replace(new, checksum=old.checksum) for old, new in zip(receipts, changed, strict=True)]
    sealed = bench.renewed(grant, checksum=bench.storing.checksum.combine(receipts))
    with pytest.raises(Mismatch):
        bench.storing.complete(sealed, forged)
    assert s3_client.list_objects_v2(Bucket="vvos")["KeyCount"] == 0


def test_md5_of_parts_is_compared_with_the_object(bench: Any) -> None:
    bench.granting = bench.made(checksum="md5")
    content = b"a" * BIG
    grant = bench.grant(KEY, BIG)
    receipts = bench.store(grant, content)
    receipts[1] = replace(receipts[1], checksum="md5:" + "0" * 32)
    with pytest.raises(Mismatch):
        bench.storing.complete(grant, receipts)


def test_a_part_that_is_another_one_is_not_found(bench: Any) -> None:
    grant = bench.grant(KEY, BIG)
    receipts = bench.store(grant, b"a" * BIG)
    sealed = bench.renewed(grant, checksum=bench.storing.checksum.combine(receipts))
    bench.store(grant, b"b" * BIG)
    with pytest.raises(NotFound):
        bench.storing.complete(sealed, receipts)


def test_a_grant_without_the_checksum_does_not_complete(bench: Any) -> None:
    grant = bench.grant(KEY, BIG)
    with pytest.raises(TokenExpired, match="renew"):
        bench.storing.complete(grant, bench.store(grant, bytes(BIG)))


def test_notify_says_what_differs(bench: Any, s3_client: Any) -> None:
    grant, stored = bench.upload(KEY, b"abc")
    other = stored.checksum[:-2] + ("A=" if stored.checksum[-2:] != "A=" else "E=")
    assert isinstance(bench.notify(grant, 3), Notified)
    assert isinstance(bench.notify(grant, 3, stored.checksum), Notified)
    assert isinstance(bench.notify(grant, 4, stored.checksum), Mismatch)
    assert isinstance(bench.notify(grant, 3, other), Mismatch)
    assert isinstance(bench.notify(replace(grant, checksum=other), 3), Mismatch)
    assert isinstance(bench.notify(replace(grant, size=4), 3), Mismatch)
    s3_client.put_object(Bucket="vvos", Key=KEY, Body=b"abd", ChecksumAlgorithm="CRC64NVME")
    assert isinstance(bench.notify(grant, 3, stored.checksum), Mismatch)
    s3_client.put_object(Bucket="vvos", Key=KEY, Body=b"abc", ChecksumAlgorithm="SHA256")
    assert isinstance(bench.notify(grant, 3, stored.checksum), BadAnswer)
    s3_client.delete_object(Bucket="vvos", Key=KEY)
    assert isinstance(bench.notify(grant, 3, stored.checksum), NotFound)


@pytest.mark.parametrize(
    ("kind", "ask"),
    [
        (BadKey, {"key": "a/../b"}),
        (BadKey, {"key": "文" * 342}),
        (BadInput, {"size": -1}),
        (TooLarge, {"size": 10_000 * 5 * GIB + 1}),
        (BadInput, {"type": ""}),
        (BadInput, {"type": "text/plain\r\nX-Amz-Acl: public-read"}),
        (BadInput, {"type": "文"}),
        (BadInput, {"metadata": {"名": "x"}}),
        (BadInput, {"metadata": {"a": "x" * 2048}}),
        (BadInput, {"metadata": {"a": "x\ny"}}),
        (BadInput, {"metadata": {"A": "1", "a": "2"}}),
        (BadInput, {"checksum": "md5:" + "0" * 32}),
        (BadInput, {"checksum": "crc64nvme:AAAA"}),
        (BadInput, {"checksum": "crc64nvme:AAAAAAAAAAA\n"}),
        (BadInput, {"checksum": "nonsense"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_granted_is_refused_by_itself(bench: Any, kind: type[VVOSError], ask: dict[str, Any]) -> None:
    good = Ask(client_key="good", key="good", size=1)
    bad = Ask(**{"client_key": "bad", "key": "bad", "size": 1, **ask})
    first, refused, last = bench.answers(good, bad, good)
    assert type(refused) is kind
    assert refused.key == bad.key
    assert first.key == last.key == "good"
    assert bench.emulator.counts == {}


@pytest.mark.parametrize("value", ["0" * 31, "0" * 32 + "-2", "0" * 32 + "\n", "Z" * 32])
def test_an_md5_that_is_none_is_refused(bench: Any, value: str) -> None:
    bench.granting = bench.made(checksum="md5")
    bench.refusal(BadInput, Ask(client_key="a", key="a", size=1, checksum=f"md5:{value}"))


def test_a_grant_that_ends_before_it_begins_is_refused(bench: Any) -> None:
    with pytest.raises(BadInput, match="expire"):
        bench.granting.token(bench.request(Ask(client_key="a", key="a", size=1), seconds=0))


def test_a_grant_is_good_for_a_week_at_most(bench: Any) -> None:
    request = bench.request(Ask(client_key="a", key="a", size=1), seconds=30 * 24 * 3600)
    (grant,) = bench.granting.token(request)
    assert grant.expires_at == request.issued_at + 7 * 24 * 3600
    assert "X-Amz-Expires=604800&" in grant.data["put"]["url"]


def test_a_missing_bucket_is_named(bench: Any) -> None:
    bench.granting = bench.made(bucket="nirgends")
    error = bench.refusal(ConfigError, Ask(client_key="a", key="a", size=BIG))
    assert "nirgends" in error.message
    with pytest.raises(ConfigError, match="no bucket"):
        put(bench, bench.grant(KEY, 1), b"x")


def test_wrong_keys_are_denied_without_being_shown(bench: Any) -> None:
    bench.granting = bench.made(secret_key=Secret("wrong-wrong-wrong"))
    grant = bench.grant(KEY, 1)
    errors = [bench.refusal(Denied, Ask(client_key="a", key="a", size=BIG)), bench.found(grant)]
    with pytest.raises(Denied) as caught:
        put(bench, grant, b"x")
    for error in [*errors, caught.value]:
        assert isinstance(error, Denied)
        assert "wrong-wrong" not in repr(error)
        assert bench.emulator.info["access_key"] not in repr(error)
