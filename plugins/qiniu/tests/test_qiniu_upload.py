"""Whole uploads through both halves: every way of putting, every size at its edge, and what is there afterwards."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from qiniu import Auth, BucketManager  # type: ignore[import-untyped,unused-ignore]  # ships no types
from qiniu.http.endpoint import Endpoint  # type: ignore[import-untyped,unused-ignore]  # ships no types
from qiniu.utils import etag_stream  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_qiniu.checksum import BLOCK

from vvos_core import Ask, Found, Grant, Mismatch, NotFound, Notified, Stored

from .conftest import Bench, Bytes

MIB = 1024 * 1024
KEY = "照片/雨 天+%#?&=~*'\"夜.mp4"


def stat(bench: Bench, key: str) -> dict[str, Any]:
    info = bench.emulator.info
    auth = Auth(info["access_key"], info["secret_key"], True)
    manager = BucketManager(auth, query_regions_endpoints=[Endpoint.from_host(info["endpoint"])])
    told, answer = manager.stat(info["bucket"], key)
    assert told is not None, answer
    return dict(told)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 17])
def test_every_size_comes_back_as_it_was(bench: Bench, data: Callable[[int], bytes], size: int, version: str) -> None:
    bench.granting = bench.made(version=version)
    content = data(size)
    grant, stored = bench.upload(KEY, content, type="video/mp4", metadata={"author": "甲 乙"})
    assert stored == Stored(key=KEY, size=size, checksum=f"qetag:{etag_stream(io.BytesIO(content))}")
    assert bench.read(KEY) == content
    there = stat(bench, KEY)
    assert (there["fsize"], there["mimeType"], there["x-qn-meta"]) == (size, "video/mp4", {"author": "甲 乙"})
    assert isinstance(bench.notify(grant, size, stored.checksum), Notified)


@pytest.mark.parametrize(
    ("size", "version", "calls"),
    [
        (BLOCK, "v2", {"Form": 1}),
        (BLOCK + 1, "v2", {"InitParts": 1, "UploadPart": 2, "CompleteParts": 1}),
        (BLOCK + 1, "v1", {"MakeBlock": 2, "MakeFile": 1}),
    ],
)
def test_four_mib_is_one_form_and_one_byte_more_is_not(
    bench: Bench, data: Callable[[int], bytes], size: int, version: str, calls: dict[str, int]
) -> None:
    bench.granting = bench.made(version=version)
    bench.upload("a.bin", data(size))
    counts = dict(bench.emulator.counts)
    assert counts.pop("Query") == 1
    assert counts == calls


def test_parts_of_another_size_have_the_third_form_of_the_hash(bench: Bench, data: Callable[[int], bytes]) -> None:
    bench.granting = bench.made(part_size=5 * MIB)
    content = data(11 * MIB)
    grant, stored = bench.upload(KEY, content)
    assert grant.part_size == 5 * MIB
    assert stored.checksum.startswith("qetag:n")
    assert stored.checksum == f"qetag:{stat(bench, KEY)['hash']}"
    assert isinstance(bench.notify(grant, len(content), stored.checksum), Notified)


def test_chunks_in_any_order_and_twice(bench: Bench, data: Callable[[int], bytes]) -> None:
    for version in ("v1", "v2"):
        bench.granting = bench.made(version=version)
        content = data(3 * BLOCK + 5)
        grant = bench.grant(f"片/{version}", len(content))
        first, second, third, last = bench.chunks(grant, content)
        for chunk in (last, second, third, second, first):
            receipt = bench.storing.put_chunk(grant, chunk)
            assert (receipt.number, receipt.size) == (chunk.number, len(chunk))
        receipts = bench.store(grant, content)
        assert bench.storing.complete(grant, receipts).size == len(content)
        assert bench.read(grant.key) == content


def test_a_part_is_read_once_and_its_hash_is_compared_with_what_was_stored(
    bench: Bench, data: Callable[[int], bytes]
) -> None:
    content = data(BLOCK + 1)
    grant = bench.grant("a.bin", len(content))
    chunk = bench.chunks(grant, content)[0]
    receipt = bench.storing.put_chunk(grant, chunk)
    assert chunk.readings == 1
    assert receipt.checksum == f"qetag:{etag_stream(io.BytesIO(content[:BLOCK]))}" == f"qetag:{receipt.proof}"


@pytest.mark.parametrize("size", [100, 300 * 1024])
def test_a_small_file_is_read_once_and_a_larger_one_that_changed_before_its_form_is_refused(
    bench: Bench, data: Callable[[int], bytes], size: int
) -> None:
    small, content = bench.grant("b.bin", size), data(size)
    chunk = bench.chunks(small, content)[0]
    chunk._later = bytes(size)
    if size == 100:
        bench.storing.put_chunk(small, chunk)
        assert chunk.readings == 1
        assert bench.read("b.bin") == content
        return
    with pytest.raises(Mismatch):
        bench.storing.put_chunk(small, chunk)
    # By the service, before anything was stored.
    assert [record.operation for record in bench.emulator.requests if record.status == 406] == ["Form"]


def test_a_receipt_of_other_bytes_is_noticed_when_the_object_is_made(
    bench: Bench, data: Callable[[int], bytes]
) -> None:
    for version in ("v1", "v2"):
        bench.granting = bench.made(version=version)
        content = data(BLOCK + 1)
        grant = bench.grant(f"{version}.bin", len(content))
        first, last = bench.store(grant, content)
        other = replace(first, checksum=bench.storing.checksum.new().value())
        with pytest.raises(Mismatch):
            bench.storing.complete(grant, [other, last])


def test_v1_goes_on_at_the_host_that_was_answered(bench: Bench, data: Callable[[int], bytes]) -> None:
    bench.granting = bench.made(version="v1")
    bench.emulator.gate.blocks.host = bench.emulator.info["endpoint"].replace("127.0.0.1", "localhost")
    bench.upload("a.bin", data(BLOCK + 1))
    made = [dict(record.headers) for record in bench.emulator.requests if record.operation == "MakeFile"]
    assert [headers["Host"].partition(":")[0] for headers in made] == ["localhost"]


def test_a_batch_is_looked_at_with_one_call(bench: Bench, data: Callable[[int], bytes]) -> None:
    from vvos_core import ExistsRequest

    grants = [grant for _, grant in ((n, bench.grant(f"批/{n}", 3)) for n in range(20))]
    bench.store(grants[7], b"abc")
    bench.emulator.counts.clear()
    found = bench.granting.exists(ExistsRequest(grants=tuple(grants)))
    assert [item.exists for item in found if isinstance(item, Found)] == [n == 7 for n in range(20)]
    assert dict(bench.emulator.counts) == {"batch": 1}


def test_exists_lists_the_parts_of_an_unfinished_upload(bench: Bench, data: Callable[[int], bytes]) -> None:
    content = data(3 * BLOCK)
    grant = bench.grant(KEY, len(content))
    assert bench.found(grant, parts=True) == Found(key=KEY, exists=False, parts=())
    chunks = bench.chunks(grant, content)
    stored = [bench.storing.put_chunk(grant, chunk) for chunk in (chunks[2], chunks[0])]
    found = bench.found(grant, parts=True)
    assert isinstance(found, Found)
    assert found.parts == (stored[1], stored[0])
    assert bench.found(grant) == Found(key=KEY, exists=False)
    # Going on from the listing alone keeps the check of the whole.
    rest = bench.storing.put_chunk(grant, chunks[1])
    made = bench.storing.complete(grant, [found.parts[0], rest, found.parts[1]])
    assert made.checksum == f"qetag:{etag_stream(io.BytesIO(content))}"
    there = bench.found(grant, parts=True)
    assert there == Found(key=KEY, exists=True, size=len(content), checksum=made.checksum, parts=())


def test_ten_thousand_parts_are_listed(bench: Bench) -> None:
    grant = bench.grant("a.bin", 10_000 * BLOCK)
    receipt = bench.storing.put_chunk(grant, Bytes(bytes(BLOCK)))
    stored = bench.emulator.gate._parts._uploads[grant.upload_id].parts
    stored.update(dict.fromkeys(range(2, 10_001), stored[1]))
    found = bench.found(grant, parts=True)
    assert isinstance(found, Found)
    assert found.parts == tuple(replace(receipt, number=number) for number in range(1, 10_001))
    assert bench.emulator.counts["ListParts"] == 10


def test_abort_forgets_the_parts_and_is_harmless_again(bench: Bench, data: Callable[[int], bytes]) -> None:
    content = data(BLOCK + 1)
    for abort in (bench.storing.abort, bench.granting.abort):
        grant = bench.grant("a.bin", len(content))
        receipts = bench.store(grant, content)
        abort(grant)
        abort(grant)
        assert bench.found(grant, parts=True) == Found(key="a.bin", exists=False, parts=())
        with pytest.raises(NotFound):
            bench.storing.put_chunk(grant, bench.chunks(grant, content)[0])
        with pytest.raises(NotFound):
            bench.storing.complete(grant, receipts)
    aborts = [record.status for record in bench.emulator.requests if record.operation == "AbortParts"]
    assert aborts == [200, 612, 200, 612]


def test_complete_again_says_that_the_upload_is_gone(bench: Bench, data: Callable[[int], bytes]) -> None:
    content = data(BLOCK + 1)
    grant = bench.grant("a.bin", len(content))
    receipts = bench.store(grant, content)
    made = bench.storing.complete(grant, receipts)
    with pytest.raises(NotFound):
        bench.storing.complete(grant, receipts)
    assert bench.found(grant) == Found(key="a.bin", exists=True, size=len(content), checksum=made.checksum)


def test_blocks_completed_again_make_the_same_object(bench: Bench, data: Callable[[int], bytes]) -> None:
    bench.granting = bench.made(version="v1")
    content = data(BLOCK + 1)
    grant = bench.grant("a.bin", len(content))
    receipts = bench.store(grant, content)
    assert bench.storing.complete(grant, receipts) == bench.storing.complete(grant, receipts)


def test_a_renewed_grant_goes_on_with_the_same_upload(bench: Bench, data: Callable[[int], bytes]) -> None:
    for version in ("v1", "v2"):
        bench.granting = bench.made(version=version)
        content = data(2 * BLOCK)
        grant = bench.grant(f"{version}.bin", len(content))
        assert bool(grant.upload_id) == (version == "v2")
        first = bench.storing.put_chunk(grant, bench.chunks(grant, content)[0])
        # The profile may change meanwhile; what was begun goes on.
        bench.granting = bench.made(version="v2" if version == "v1" else "v1")
        again = bench.renewed(grant)
        assert again.upload_id == grant.upload_id
        second = bench.storing.put_chunk(again, bench.chunks(again, content)[1])
        assert bench.storing.complete(again, [first, second]).size == len(content)


def test_notify_answers_the_url(bench: Bench) -> None:
    grant, stored = bench.upload(KEY, b"abc")
    plain = bench.notify(grant, 3, stored.checksum)
    assert isinstance(plain, Notified)
    assert plain.url.startswith(bench.emulator.info["endpoint"] + "/%E7%85%A7")
    assert "?" not in plain.url


def test_notify_does_not_take_another_object_for_verified(bench: Bench) -> None:
    grant, stored = bench.upload("a.txt", b"abc")
    other = bench.grant("b.txt", 3)
    assert isinstance(bench.notify(other, 3), NotFound)
    assert isinstance(bench.notify(grant, 4), Mismatch)
    wrong = bench.storing.checksum.new().value()
    assert isinstance(bench.notify(grant, 3, wrong), Mismatch)
    assert isinstance(bench.notify(replace(grant, checksum=wrong), 3, stored.checksum), Mismatch)
    assert isinstance(bench.notify(grant, 3), Notified)


def test_the_largest_plan_grows_by_whole_blocks() -> None:
    from vvos_qiniu import Qiniu

    from vvos_core import plan_chunks

    size = 10_000 * BLOCK + 1
    assert plan_chunks(size, Qiniu.rules).part_size == 2 * BLOCK


def test_a_grant_never_shows_its_token(bench: Bench) -> None:
    grant = bench.grant("a.txt", 3)
    assert isinstance(grant, Grant)
    assert str(grant.data["token"]) not in repr(grant)


def test_asks_that_fail_leave_the_others_alone(bench: Bench) -> None:
    from vvos_core import BadKey

    good, bad = bench.answers(Ask(client_key="a", key="a", size=1), Ask(client_key="b", key="../b", size=1))
    assert isinstance(good, Grant)
    assert isinstance(bad, BadKey)
