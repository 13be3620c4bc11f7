"""Whole uploads, in both kinds of grant: what is read back is what was put."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from vvos_core import Exists, Found, Grant, NotFound, Notified, Stored

from .conftest import Bytes

KEY = "文件/含 空格 +%#?&=.bin"
SIZES = [0, 1, 199_999, 200_000, 200_001, 204_800, 204_801, 350_001]


@pytest.mark.parametrize("size", SIZES)
def test_an_object_comes_back_as_it_was(
    bench: Any, data: Callable[[int], bytes], aliyun_bucket: Any, size: int
) -> None:
    content = data(size)
    grant, stored = bench.upload(KEY, content)
    assert grant.multipart == (size > 200_000)
    assert aliyun_bucket.get_object(KEY).read() == content
    assert stored == Stored(key=KEY, size=size, checksum=stored.checksum)
    assert stored.checksum.startswith("crc64ecma:")
    verdict = bench.notify(grant, size, stored.checksum)
    assert isinstance(verdict, Notified)
    assert verdict.url.endswith("/vvos/%E6%96%87%E4%BB%B6/%E5%90%AB%20%E7%A9%BA%E6%A0%BC%20%2B%25%23%3F%26%3D.bin")


@pytest.mark.parametrize("size", [0, 1, 200_001, 350_001])
def test_with_sts_credentials_too(sts_bench: Any, data: Callable[[int], bytes], aliyun_bucket: Any, size: int) -> None:
    key = KEY.replace("?", "")  # which would not get credentials
    content = data(size)
    grant, stored = sts_bench.upload(key, content, type="text/x-文".encode().decode("ascii", "ignore"))
    assert aliyun_bucket.get_object(key).read() == content
    assert isinstance(sts_bench.notify(grant, size, stored.checksum), Notified)
    assert sts_bench.emulator.counts["AssumeRole"] == 1


@pytest.mark.parametrize("size", [10, 200_001])
@pytest.mark.parametrize("kind", ["bench", "sts_bench"])
def test_type_and_metadata(request: pytest.FixtureRequest, aliyun_bucket: Any, size: int, kind: str) -> None:
    bench = request.getfixturevalue(kind)
    metadata = {"Owner": "张三", "note": "a  b, c=?", "empty": ""}
    bench.upload("文.txt", bytes(size), type='text/plain; charset="utf-8"', metadata=metadata)
    headers = aliyun_bucket.head_object("文.txt").headers
    assert headers["content-type"] == 'text/plain; charset="utf-8"'
    read = {name: headers[f"x-oss-meta-{name}"].encode("latin-1").decode() for name in ("owner", "note", "empty")}
    assert read == {"owner": "张三", "note": "a  b, c=?", "empty": ""}


def test_exactly_four_mebibytes_is_one_put_by_default(bench: Any) -> None:
    granting = bench.made(threshold=4 << 20, part_size=4 << 20)
    sizes = [4 << 20, (4 << 20) + 1]
    from vvos_core import Ask

    grants = granting.token(bench.request(*(Ask(client_key=str(s), key=str(s), size=s) for s in sizes)))
    assert [grant.multipart for grant in grants] == [False, True]
    from vvos_aliyun import Aliyun

    assert Aliyun.rules.threshold == 4 << 20


def test_chunks_in_any_order_and_twice(bench: Any, data: Callable[[int], bytes], aliyun_bucket: Any) -> None:
    content = data(500_000)
    grant = bench.grant("a", len(content))
    chunks = bench.chunks(grant, content)
    again = chunks + chunks[1:3]
    random.Random(7).shuffle(again)
    receipts = {chunk.number: bench.storing.put_chunk(grant, chunk) for chunk in again}
    bench.storing.complete(grant, [receipts[number] for number in sorted(receipts)])
    assert aliyun_bucket.get_object("a").read() == content


def test_completing_again_after_a_lost_answer_is_harmless(bench: Any, data: Callable[[int], bytes]) -> None:
    content = data(300_000)
    grant = bench.grant("a", len(content))
    receipts = bench.store(grant, content)
    first = bench.storing.complete(grant, receipts)
    assert bench.storing.complete(grant, receipts) == first


def test_completing_again_is_refused_when_other_bytes_are_there_now(bench: Any, data: Any, aliyun_bucket: Any) -> None:
    content = data(300_000)
    grant = bench.grant("a", len(content))
    receipts = bench.store(grant, content)
    bench.storing.complete(grant, receipts)
    aliyun_bucket.put_object("a", data(300_000))
    with pytest.raises(NotFound):
        bench.storing.complete(grant, receipts)


@pytest.mark.parametrize("size", [10, 300_000])
@pytest.mark.parametrize("kind", ["bench", "sts_bench"])
def test_nothing_is_replaced_without_leave(request: pytest.FixtureRequest, data: Any, size: int, kind: str) -> None:
    bench = request.getfixturevalue(kind)
    first, other = data(size), data(size)
    bench.upload("a", first)
    with pytest.raises(Exists):
        bench.upload("a", other)
    assert b"".join(bench.emulator.read("a")) == first
    bench.upload("a", other, cover=True)
    assert b"".join(bench.emulator.read("a")) == other


def test_of_two_uploads_that_race_one_wins_and_the_other_hears_of_it(bench: Any, data: Any) -> None:
    one, two = data(300_000), data(300_000)
    grants = [bench.grant("a", 300_000), bench.grant("a", 300_000)]
    receipts = [bench.store(grant, content) for grant, content in zip(grants, (one, two), strict=True)]
    bench.storing.complete(grants[1], receipts[1])
    with pytest.raises(Exists):
        bench.storing.complete(grants[0], receipts[0])
    assert b"".join(bench.emulator.read("a")) == two


def test_exists_before_during_and_after(bench: Any, data: Callable[[int], bytes]) -> None:
    content = data(350_000)
    grant = bench.grant("a", len(content))
    assert bench.found(grant) == Found(key="a", exists=False)
    chunks = bench.chunks(grant, content)
    receipts = [bench.storing.put_chunk(grant, chunk) for chunk in (chunks[2], chunks[0])]
    during = bench.found(grant, parts=True)
    assert during.parts == (receipts[1], receipts[0])  # with their checksums, which the SDK drops
    rest = [bench.storing.put_chunk(grant, chunk) for chunk in (chunks[1], chunks[3])]
    stored = bench.storing.complete(grant, [during.parts[0], rest[0], during.parts[1], rest[1]])
    there = Found(key="a", exists=True, size=350_000, checksum=stored.checksum)
    assert bench.found(grant) == there
    assert bench.found(grant, parts=True) == replace(there, parts=())


def test_ten_thousand_parts_are_listed(bench: Any) -> None:
    grant = bench.grant("a", 102_400 * 10_000)
    stored = bench.emulator._running.store.buckets["vvos"].uploads[grant.upload_id].parts
    receipt = bench.storing.put_chunk(grant, Bytes(bytes(102_400)))
    stored.update(dict.fromkeys(range(2, 10_001), stored[1]))
    parts = bench.found(grant, parts=True).parts
    assert parts == tuple(replace(receipt, number=number) for number in range(1, 10_001))
    assert bench.emulator.counts["ListParts"] == 10


@pytest.mark.parametrize("kind", ["bench", "sts_bench"])
def test_completing_again_is_harmless_whichever_refusal_the_service_finds_first(
    request: pytest.FixtureRequest, data: Callable[[int], bytes], kind: str
) -> None:
    bench = request.getfixturevalue(kind)
    content = data(300_000)
    one, two = bench.grant("甲", len(content)), bench.grant("甲", len(content))
    first = bench.storing.complete(one, bench.store(one, content))
    # To the second grant the key is taken, and by the very object that it was to make.
    assert bench.storing.complete(two, bench.store(two, content)) == first
    assert bench.found(two, parts=True).parts == ()
    three = bench.grant("甲", len(content))
    with pytest.raises(Exists):
        bench.storing.complete(three, bench.store(three, data(len(content))))


@pytest.mark.parametrize("half", ["granting", "storing"])
def test_abort_forgets_the_upload_and_is_harmless_again(bench: Any, data: Any, half: str) -> None:
    content = data(300_000)
    grant = bench.grant("a", len(content))
    receipts = bench.store(grant, content)
    for _ in range(2):
        getattr(bench, half).abort(grant)
    assert bench.found(grant, parts=True) == Found(key="a", exists=False, parts=())
    with pytest.raises(NotFound):
        bench.storing.put_chunk(grant, bench.chunks(grant, content)[0])
    with pytest.raises(NotFound):
        bench.storing.complete(grant, receipts)


def test_a_file_of_the_largest_number_of_parts(bench: Any) -> None:
    size = 10_000 * 102_400
    grant = bench.grant("a", size)
    from vvos_aliyun.grants import read

    assert grant.multipart
    assert read(grant).part(10_000).url.count("partNumber=10000") == 1
    last = bench.storing.put_chunk(grant, type(bench.chunks(grant, b"x" * 300_000)[0])(bytes(102_400), 10_000))
    assert last.number == 10_000


def test_a_url_that_is_presigned(bench: Any, data: Any) -> None:
    import requests

    content = data(10)
    grant, stored = bench.upload("文.bin", content)
    bench.granting = bench.made(url_ttl=60)
    verdict = bench.notify(grant, 10, stored.checksum)
    assert requests.get(verdict.url, timeout=5).content == content
    assert requests.get(verdict.url.partition("?")[0], timeout=5).status_code == 403
    bench.later(120)
    assert requests.get(verdict.url, timeout=5).status_code == 403


def test_many_files_in_one_call_keep_their_order(bench: Any) -> None:
    from vvos_core import Ask, BadKey

    asks = [Ask(client_key=str(n), key=f"n/{n}", size=(300_000 if n % 3 == 0 else 10)) for n in range(20)]
    asks[7] = Ask(client_key="7", key="../7", size=1)
    answers = bench.answers(*asks)
    assert isinstance(answers[7], BadKey)
    assert [a.key for a in answers if isinstance(a, Grant)] == [f"n/{n}" for n in range(20) if n != 7]
