"""Whole uploads into the emulator, from grant to verified object, read back by boto3."""

from __future__ import annotations

import contextlib
import urllib.error
import urllib.request
from collections.abc import Callable
from email.header import decode_header, make_header
from typing import Any

import pytest
from msgspec.structs import replace

from vvos_core.errors import NotFound
from vvos_core.model import MIB, Found, Notified, Secret

from .conftest import Bytes

KEY = "照片 2026/端午 +%#?&=;:@'\"~[x].txt"


def read(client: Any, key: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get_object(Bucket="vvos", Key=key, ChecksumMode="ENABLED")
    answer["Body"] = answer["Body"].read()
    return answer


@pytest.mark.parametrize("checksum", ["crc64nvme", "md5"])
@pytest.mark.parametrize("size", [0, 1, 5 * MIB, 5 * MIB + 1, 10 * MIB, 12 * MIB + 7], ids="{:_}".format)
def test_round_trip(bench: Any, s3_client: Any, data: Callable[[int], bytes], checksum: str, size: int) -> None:
    bench.granting = bench.made(checksum=checksum)
    content = data(size)
    grant, stored = bench.upload(KEY, content, type="text/plain; charset=utf-8", metadata={"Owner": "小明", "n": "1 2"})
    assert grant.multipart == (size > 5 * MIB)
    assert (stored.key, stored.size) == (KEY, size)

    there = read(s3_client, KEY)
    assert there["Body"] == content
    assert there["ContentType"] == "text/plain; charset=utf-8"
    assert {name: str(make_header(decode_header(value))) for name, value in there["Metadata"].items()} == {
        "owner": "小明",
        "n": "1 2",
    }
    verdict = bench.notify(grant, size, stored.checksum)
    assert isinstance(verdict, Notified)
    assert bench.found(grant) == Found(key=KEY, exists=True, size=size, checksum=stored.checksum)
    if checksum == "crc64nvme":
        assert stored.checksum == f"crc64nvme:{there['ChecksumCRC64NVME']}"
    else:
        assert stored.checksum == f"md5:{there['ETag'].strip(chr(34))}"


def test_the_url_of_a_private_object_works_and_ends(bench: Any) -> None:
    bench.granting = bench.made(url_ttl=60)
    grant, stored = bench.upload(KEY, b"private")
    verdict = bench.notify(grant, 7, stored.checksum)
    assert urllib.request.urlopen(verdict.url).read() == b"private"
    bench.later(61)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(verdict.url)
    caught.value.close()
    assert caught.value.code == 403


def test_temporary_credentials(bench: Any, s3_client: Any) -> None:
    import boto3  # type: ignore[import-untyped,unused-ignore]  # ships no types

    info = bench.emulator.info
    sts = boto3.client(
        "sts",
        endpoint_url=info["endpoint"],
        region_name=info["region"],
        aws_access_key_id=info["access_key"],
        aws_secret_access_key=info["secret_key"],
    )
    session = sts.assume_role(RoleArn="arn:aws:iam::123456789012:role/uploads", RoleSessionName="vvos")["Credentials"]
    sts.close()
    bench.granting = bench.made(
        access_key=Secret(session["AccessKeyId"]),
        secret_key=Secret(session["SecretAccessKey"]),
        session_token=Secret(session["SessionToken"]),
    )
    content = bytes(6 * MIB)
    grant, stored = bench.upload(KEY, content)
    assert isinstance(bench.notify(grant, len(content), stored.checksum), Notified)
    assert read(s3_client, KEY)["Body"] == content


def test_a_grant_that_names_the_checksum_needs_one_reading(bench: Any) -> None:
    checksum = bench.storing.checksum
    hasher = checksum.new()
    hasher.update(memoryview(b"known"))
    grant = bench.grant(KEY, 5, checksum=hasher.value())
    (chunk,) = bench.chunks(grant, b"known")
    assert bench.storing.put_chunk(grant, chunk).checksum == hasher.value()
    assert chunk.readings == 1


def test_a_grant_of_parts_that_names_the_checksum_completes_without_another(bench: Any) -> None:
    content = bytes(6 * MIB)
    hasher = bench.storing.checksum.new()
    hasher.update(memoryview(content))
    grant = bench.grant(KEY, len(content), checksum=hasher.value())
    stored = bench.storing.complete(grant, bench.store(grant, content))
    assert stored.checksum == hasher.value()


@pytest.mark.parametrize("checksum", ["crc64nvme", "md5"])
def test_the_parts_of_an_unfinished_upload_are_receipts(bench: Any, checksum: str) -> None:
    bench.granting = bench.made(checksum=checksum)
    content = b"x" * (11 * MIB)
    grant = bench.grant(KEY, len(content))
    receipts = bench.store(grant, content)
    assert bench.found(grant) == Found(key=KEY, exists=False)
    listed = bench.found(grant, parts=True)
    assert list(listed.parts) == receipts
    grant = bench.renewed(grant, checksum=bench.storing.checksum.combine(listed.parts))
    bench.storing.complete(grant, listed.parts)
    there = bench.found(grant, parts=True)
    assert (there.exists, there.parts) == (True, ())


def test_parts_are_listed_page_by_page(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from vvos_s3 import service

    content = b"x" * (16 * MIB)
    grant = bench.grant(KEY, len(content))
    receipts = bench.store(grant, content)
    asked = service.Service._call
    pages = []

    def in_pairs(self: Any, method: str, *args: Any, **arguments: Any) -> Any:
        if method == "list_parts":
            arguments["MaxParts"] = 2
            pages.append(arguments.get("PartNumberMarker"))
        return asked(self, method, *args, **arguments)

    monkeypatch.setattr(service.Service, "_call", in_pairs)
    assert list(bench.found(grant, parts=True).parts) == receipts
    assert pages == [0, 2]


def test_ten_thousand_parts_are_listed(bench: Any) -> None:
    grant = bench.grant(KEY, 10_000 * 5 * MIB)
    receipt = bench.storing.put_chunk(grant, Bytes(bytes(5 * MIB)))
    stored = bench.emulator._running.gate._uploads._open[grant.upload_id].parts
    stored.update(dict.fromkeys(range(2, 10_001), stored[1]))
    parts = bench.found(grant, parts=True).parts
    assert parts == tuple(replace(receipt, number=number) for number in range(1, 10_001))
    assert bench.emulator.counts["ListParts"] == 10


def test_the_service_is_told_which_checksum_the_object_will_have(bench: Any) -> None:
    bench.grant(KEY, 6 * MIB)
    headers = dict(bench.emulator.requests[-1].headers)
    sent = {name.lower(): value for name, value in headers.items()}
    assert sent["x-amz-checksum-algorithm"] == "CRC64NVME"
    assert sent["x-amz-checksum-type"] == "FULL_OBJECT"


@pytest.mark.parametrize("half", ["granting", "storing"])
def test_aborting_forgets_the_parts_and_may_be_done_again(bench: Any, half: str) -> None:
    content = bytes(6 * MIB)
    grant = bench.grant(KEY, len(content))
    (first, *_) = bench.chunks(grant, content)
    bench.storing.put_chunk(grant, first)
    for _ in range(2):
        getattr(bench, half).abort(grant)
    assert bench.found(grant, parts=True) == Found(key=KEY, exists=False, parts=())
    with pytest.raises(NotFound):
        bench.storing.put_chunk(grant, first)


def test_aborting_a_single_put_does_nothing(bench: Any) -> None:
    grant = bench.grant(KEY, 3)
    for provider in (bench.granting, bench.storing):
        provider.abort(grant)
    assert bench.emulator.counts == {}


def test_a_chunk_may_be_put_again_and_an_object_completed_again(bench: Any, s3_client: Any) -> None:
    content = b"1" * (5 * MIB) + b"2" * 100
    grant = bench.grant(KEY, len(content))
    receipts = bench.store(grant, content)
    assert bench.store(grant, content) == receipts
    grant = bench.renewed(grant, checksum=bench.storing.checksum.combine(receipts))
    stored = bench.storing.complete(grant, receipts)
    with contextlib.suppress(NotFound):  # or the service has forgotten the upload; whoever asks looks for the object
        assert bench.storing.complete(grant, receipts) == stored
    assert bench.found(grant).checksum == stored.checksum
    assert read(s3_client, KEY)["Body"] == content


def test_a_batch_of_many_files_is_granted_in_order(bench: Any) -> None:
    from vvos_core.model import Ask, Grant

    sizes = [6 * MIB if number % 3 == 0 else number for number in range(40)]
    asks = [Ask(client_key=f"{n}", key=f"批/{n}", size=size) for n, size in enumerate(sizes)]
    asks[7] = Ask(client_key="7", key="../7", size=1)
    answers = bench.answers(*asks)
    assert [answer.key for answer in answers] == [ask.key for ask in asks]
    granted = [answer for answer in answers if isinstance(answer, Grant)]
    assert len(granted) == 39
    ids = {grant.upload_id for grant in granted if grant.multipart}
    assert len(ids) == 14
    assert "" not in ids
