"""Multipart uploads through boto3: what works, and every refusal S3 has for them."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from awscrt import checksums as crt  # type: ignore[import-untyped,unused-ignore]  # ships no types
from boto3.s3.transfer import TransferConfig  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.exceptions import ClientError  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_s3.emulator import S3Emulator

MIB = 1024 * 1024
FIRST = os.urandom(5 * MIB)
SECOND = os.urandom(5 * MIB + 3)
LAST = b"the end"


class Upload:
    """One upload of the object `k`."""

    def __init__(self, client: Any, bucket: str, **options: Any) -> None:
        self.client = client
        self.place = {"Bucket": bucket, "Key": "k"}
        self.id = client.create_multipart_upload(**self.place, **options)["UploadId"]
        self.parts: list[dict[str, Any]] = []

    def put(self, number: int, body: bytes, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.upload_part(
            **self.place, UploadId=self.id, PartNumber=number, Body=body, **options
        )
        sums = {k: v for k, v in answer.items() if k.startswith("Checksum")}
        self.parts.append({"PartNumber": number, "ETag": answer["ETag"], **sums})
        return answer

    def complete(self, parts: list[dict[str, Any]] | None = None, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.complete_multipart_upload(
            **self.place, UploadId=self.id, MultipartUpload={"Parts": self.parts if parts is None else parts}, **options
        )
        return answer

    def abort(self) -> None:
        self.client.abort_multipart_upload(**self.place, UploadId=self.id)

    def body(self) -> bytes:
        data: bytes = self.client.get_object(**self.place)["Body"].read()
        return data


@pytest.fixture
def upload(s3_client: Any, bucket: str) -> Upload:
    return Upload(s3_client, bucket)


def crc64(data: bytes) -> str:
    return b64encode(crt.crc64nvme(data).to_bytes(8, "big")).decode()


def test_by_hand_with_gaps_and_replaced_parts(upload: Upload) -> None:
    upload.put(9, LAST)
    upload.put(2, b"replaced below")
    upload.put(2, FIRST)
    upload.put(5, SECOND)
    etags = {part["PartNumber"]: part for part in upload.parts}
    answer = upload.complete([etags[2], etags[5], etags[9]])
    md5s = b"".join(hashlib.md5(data).digest() for data in (FIRST, SECOND, LAST))
    assert answer["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-3"'
    assert upload.body() == FIRST + SECOND + LAST
    head = upload.client.head_object(**upload.place, ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (crc64(FIRST + SECOND + LAST), "FULL_OBJECT")
    assert (answer["ChecksumCRC64NVME"], answer["ChecksumType"]) == (head["ChecksumCRC64NVME"], "FULL_OBJECT")


def test_a_part_is_read_by_its_number_and_ranges_cross_parts(upload: Upload) -> None:
    upload.put(1, FIRST)
    upload.put(2, SECOND)
    upload.complete()
    got = upload.client.get_object(**upload.place, PartNumber=2)
    assert (got["Body"].read(), got["PartsCount"]) == (SECOND, 2)
    around = upload.client.get_object(**upload.place, Range=f"bytes={5 * MIB - 2}-{5 * MIB + 1}")
    assert around["Body"].read() == FIRST[-2:] + SECOND[:2]
    upload.client.copy_object(Bucket=upload.place["Bucket"], Key="copy", CopySource=upload.place)
    copy = upload.client.get_object(Bucket=upload.place["Bucket"], Key="copy", ChecksumMode="ENABLED")
    assert (copy["Body"].read(), copy["ChecksumCRC64NVME"]) == (FIRST + SECOND, crc64(FIRST + SECOND))
    assert copy["ETag"] == f'"{hashlib.md5(FIRST + SECOND).hexdigest()}"'


@pytest.mark.parametrize("algorithm", [None, "CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_upload_fileobj_with_threads(s3_client: Any, bucket: str, algorithm: str | None) -> None:
    data = os.urandom(17 * MIB)
    extra = {"Metadata": {"name": "x"}, "ContentType": "video/mp4"}
    if algorithm:
        extra["ChecksumAlgorithm"] = algorithm
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3_client.upload_fileobj(io.BytesIO(data), bucket, "目录/k", ExtraArgs=extra, Config=config)
    target = io.BytesIO()
    s3_client.download_fileobj(bucket, "目录/k", target, Config=config)
    assert target.getvalue() == data
    head = s3_client.head_object(Bucket=bucket, Key="目录/k", ChecksumMode="ENABLED")
    assert (head["ContentType"], head["Metadata"]) == ("video/mp4", {"name": "x"})
    assert head["ETag"].endswith('-4"')
    assert head[f"Checksum{algorithm or 'CRC32'}"]


@pytest.mark.parametrize(
    ("algorithm", "kind", "compute"),
    [
        ("CRC64NVME", "FULL_OBJECT", lambda data: crt.crc64nvme(data).to_bytes(8, "big")),
        ("CRC32", "FULL_OBJECT", lambda data: crt.crc32(data).to_bytes(4, "big")),
        ("CRC32C", "FULL_OBJECT", lambda data: crt.crc32c(data).to_bytes(4, "big")),
    ],
)
def test_checksum_of_the_full_object(
    client_for: Any, bucket: str, algorithm: str, kind: str, compute: Callable[[bytes], bytes], refused: Any
) -> None:
    # As presigned parts do: no checksum on the parts, one for the object when completing.
    client = client_for(config=Config(signature_version="s3v4", request_checksum_calculation="when_required"))
    upload = Upload(client, bucket, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    upload.put(1, FIRST)
    upload.put(2, LAST)
    for part in upload.parts:
        part.pop(f"Checksum{algorithm}", None)
    value = b64encode(compute(FIRST + LAST)).decode()
    wrong = b64encode(compute(LAST + FIRST)).decode()
    name = f"Checksum{algorithm}"
    refused("BadDigest", upload.complete, **{name: wrong, "ChecksumType": kind})
    refused("InvalidRequest", upload.complete, **{name: value, "ChecksumType": "COMPOSITE"})
    refused("InvalidRequest", upload.complete, **{name: "no base64"})
    other = refused("InvalidRequest", upload.complete, ChecksumSHA1=b64encode(hashlib.sha1(b"").digest()).decode())
    assert "Checksum Type mismatch" in str(other)
    refused("InvalidRequest", upload.complete, **{name: value}, MpuObjectSize=len(FIRST))
    sums: dict[str, Any] = {name: value, "ChecksumType": kind, "MpuObjectSize": len(FIRST + LAST)}
    answer = upload.complete(**sums)
    assert (answer[name], answer["ChecksumType"]) == (value, kind)
    assert upload.client.head_object(**upload.place, ChecksumMode="ENABLED")[name] == value


def test_composite_checksum(s3_client: Any, bucket: str, refused: Any) -> None:
    upload = Upload(s3_client, bucket, ChecksumAlgorithm="SHA256")
    refused("InvalidRequest", upload.put, number=1, body=FIRST, ChecksumAlgorithm="SHA1")
    upload.put(1, FIRST, ChecksumAlgorithm="SHA256")
    upload.put(2, LAST, ChecksumAlgorithm="SHA256")
    bare = [{"PartNumber": p["PartNumber"], "ETag": p["ETag"]} for p in upload.parts]
    assert "must include the checksum for each part" in str(refused("InvalidRequest", upload.complete, parts=bare))
    swapped = [{**upload.parts[0], "ChecksumSHA256": upload.parts[1]["ChecksumSHA256"]}, upload.parts[1]]
    refused("InvalidPart", upload.complete, parts=swapped)
    digests = hashlib.sha256(FIRST).digest() + hashlib.sha256(LAST).digest()
    expected = f"{b64encode(hashlib.sha256(digests).digest()).decode()}-2"
    assert upload.complete()["ChecksumSHA256"] == expected
    head = s3_client.head_object(**upload.place, ChecksumMode="ENABLED")
    assert (head["ChecksumSHA256"], head["ChecksumType"]) == (expected, "COMPOSITE")


def test_a_part_answers_with_its_checksum(client_for: Any, bucket: str) -> None:
    client = client_for(config=Config(signature_version="s3v4", request_checksum_calculation="when_required"))
    upload = Upload(client, bucket)
    assert upload.put(1, LAST)["ChecksumCRC64NVME"] == crc64(LAST)
    crc32 = b64encode(crt.crc32(LAST).to_bytes(4, "big")).decode()
    assert upload.put(1, LAST, ChecksumAlgorithm="CRC32")["ChecksumCRC32"] == crc32


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("SHA256", "FULL_OBJECT"), ("CRC64NVME", "COMPOSITE"), (None, "FULL_OBJECT")]
)
def test_impossible_checksum_modes(s3_client: Any, bucket: str, algorithm: str | None, kind: str, refused: Any) -> None:
    options = {"ChecksumType": kind} | ({"ChecksumAlgorithm": algorithm} if algorithm else {})
    refused("InvalidRequest", s3_client.create_multipart_upload, Bucket=bucket, Key="k", **options)


def test_list_parts_pages_over_gaps(upload: Upload) -> None:
    for number in (2, 30, 400):
        upload.put(number, b"%d" % number)
    first = upload.client.list_parts(**upload.place, UploadId=upload.id, MaxParts=2)
    assert ([p["PartNumber"] for p in first["Parts"]], first["IsTruncated"]) == ([2, 30], True)
    rest = upload.client.list_parts(
        **upload.place, UploadId=upload.id, MaxParts=2, PartNumberMarker=first["NextPartNumberMarker"]
    )
    assert ([p["PartNumber"] for p in rest["Parts"]], rest["IsTruncated"]) == ([400], False)
    assert rest["Parts"][0]["Size"] == 3
    assert rest["Parts"][0]["ETag"] == f'"{hashlib.md5(b"400").hexdigest()}"'


def test_list_uploads(s3_client: Any, bucket: str) -> None:
    ids: dict[str, list[str]] = {}
    for key in ("a/1", "a/1", "a/2", "文", "z"):
        ids.setdefault(key, []).append(s3_client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"])
    everything = s3_client.list_multipart_uploads(Bucket=bucket)
    assert [item["Key"] for item in everything["Uploads"]] == ["a/1", "a/1", "a/2", "z", "文"]
    pages = s3_client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, PaginationConfig={"PageSize": 1})
    paged = [(item["Key"], item["UploadId"]) for page in pages for item in page["Uploads"]]
    assert paged == [(item["Key"], item["UploadId"]) for item in everything["Uploads"]]
    assert {upload_id for _, upload_id in paged} == {upload_id for found in ids.values() for upload_id in found}
    grouped = s3_client.list_multipart_uploads(Bucket=bucket, Delimiter="/")
    assert [item["Prefix"] for item in grouped["CommonPrefixes"]] == ["a/"]
    assert [item["Key"] for item in grouped["Uploads"]] == ["z", "文"]
    some = s3_client.list_multipart_uploads(Bucket=bucket, Prefix="a/2")
    assert [item["Key"] for item in some["Uploads"]] == ["a/2"]


def test_a_part_copied_from_an_object(upload: Upload, refused: Any) -> None:
    upload.client.put_object(Bucket=upload.place["Bucket"], Key="源", Body=FIRST + LAST)
    source = {"Bucket": upload.place["Bucket"], "Key": "源"}
    copy = upload.client.upload_part_copy(
        **upload.place, UploadId=upload.id, PartNumber=1, CopySource=source, CopySourceRange=f"bytes=0-{5 * MIB - 1}"
    )
    upload.parts.append({"PartNumber": 1, "ETag": copy["CopyPartResult"]["ETag"]})
    upload.put(2, LAST)
    refused(
        "InvalidArgument",
        upload.client.upload_part_copy,
        **upload.place,
        UploadId=upload.id,
        PartNumber=3,
        CopySource=source,
        CopySourceRange="bytes=0-99999999999",
    )
    upload.complete()
    assert upload.body() == FIRST + LAST


def test_refused_part_lists(upload: Upload, refused: Any) -> None:
    upload.put(1, FIRST)
    upload.put(2, SECOND)
    upload.put(3, LAST)
    one, two, three = upload.parts
    refused("InvalidPartOrder", upload.complete, parts=[two, one, three])
    refused("InvalidPartOrder", upload.complete, parts=[one, one])
    refused("InvalidPart", upload.complete, parts=[one, {**two, "ETag": one["ETag"]}])
    refused("InvalidPart", upload.complete, parts=[one, {**three, "PartNumber": 4}])
    refused("MalformedXML", upload.complete, parts=[])
    wrong_sum = {**two, "ChecksumCRC32": one["ChecksumCRC32"]}
    refused("InvalidPart", upload.complete, parts=[one, wrong_sum])
    refused("404", upload.client.head_object, **upload.place)
    upload.complete([one, two, three])
    assert upload.body() == FIRST + SECOND + LAST


def test_a_small_part_before_the_last(upload: Upload, refused: Any) -> None:
    upload.put(1, FIRST[:-1])
    upload.put(2, LAST)
    refused("EntityTooSmall", upload.complete)
    upload.put(1, FIRST)
    upload.complete([upload.parts[2], upload.parts[1]])
    assert upload.body() == FIRST + LAST


def test_a_stale_etag(upload: Upload, refused: Any) -> None:
    upload.put(1, b"old")
    upload.put(1, b"new")
    refused("InvalidPart", upload.complete, parts=[upload.parts[0]])


@pytest.mark.parametrize("number", [0, 10_001, -1])
def test_part_numbers_outside_the_limits(upload: Upload, number: int, refused: Any) -> None:
    refused("InvalidArgument", upload.put, number=number, body=b"x")


def test_the_highest_part_number(upload: Upload) -> None:
    upload.put(10_000, LAST)
    upload.complete()
    assert upload.body() == LAST


def test_nothing_works_after_abort(upload: Upload, refused: Any) -> None:
    upload.put(1, LAST)
    upload.abort()
    refused("NoSuchUpload", upload.complete)
    refused("NoSuchUpload", upload.put, number=2, body=b"x")
    refused("NoSuchUpload", upload.abort)
    refused("NoSuchUpload", upload.client.list_parts, **upload.place, UploadId=upload.id)
    assert "Uploads" not in upload.client.list_multipart_uploads(Bucket=upload.place["Bucket"])


def test_an_upload_belongs_to_its_key(upload: Upload, refused: Any) -> None:
    upload.put(1, LAST)
    upload.place = {**upload.place, "Key": "other"}
    refused("NoSuchUpload", upload.complete)
    refused("NoSuchUpload", upload.put, number=1, body=b"x")
    refused("NoSuchUpload", upload.abort)


def test_completing_again_answers_the_same_once_more(upload: Upload, refused: Any) -> None:
    upload.put(1, FIRST)
    upload.put(2, LAST)
    first = upload.complete(IfNoneMatch="*")
    again = upload.complete(IfNoneMatch="*")
    assert (again["ETag"], again["ChecksumCRC64NVME"]) == (first["ETag"], first["ChecksumCRC64NVME"])
    refused("NoSuchUpload", upload.complete, parts=upload.parts[:1])
    refused("NoSuchUpload", upload.put, number=3, body=b"x")
    assert upload.body() == FIRST + LAST


def test_conditions_on_complete(upload: Upload, refused: Any) -> None:
    etag = upload.client.put_object(**upload.place, Body=b"there already")["ETag"]
    upload.put(1, LAST)
    refused("PreconditionFailed", upload.complete, IfNoneMatch="*")
    refused("PreconditionFailed", upload.complete, IfMatch='"other"')
    assert upload.body() == b"there already"
    upload.complete(IfMatch=etag)
    assert upload.body() == LAST


@pytest.fixture
def _restless_threads() -> Iterator[None]:
    """Python changes threads so often that a race which can be lost is lost."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_restless_threads")
@pytest.mark.parametrize("how", ["put", "complete"])
def test_of_two_racing_writers_exactly_one_wins(s3_client: Any, s3_emulator: S3Emulator, bucket: str, how: str) -> None:
    for attempt in range(5):
        key = f"race-{attempt}"
        start = threading.Barrier(4)
        results: list[str] = []

        def prepare(number: int, key: str = key) -> Callable[[], Any]:
            body = f"writer {number}".encode()
            if how == "put":
                return lambda: s3_client.put_object(Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
            place = {"Bucket": bucket, "Key": key}
            upload_id = s3_client.create_multipart_upload(**place)["UploadId"]
            etag = s3_client.upload_part(**place, UploadId=upload_id, PartNumber=1, Body=body)["ETag"]
            parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
            return lambda: s3_client.complete_multipart_upload(
                **place, UploadId=upload_id, MultipartUpload=parts, IfNoneMatch="*"
            )

        def write(action: Callable[[], Any], start: threading.Barrier = start, results: list[str] = results) -> None:
            start.wait(10)
            try:
                action()
            except ClientError as error:
                results.append(error.response["Error"]["Code"])
            else:
                results.append("stored")

        threads = [threading.Thread(target=write, args=(prepare(number),)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert sorted(results) == ["PreconditionFailed"] * 3 + ["stored"]
