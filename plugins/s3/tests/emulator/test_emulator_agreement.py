"""What boto3 does, the emulator answers as S3 does: whole objects, listings, copies, metadata."""

from __future__ import annotations

import hashlib
import io
from base64 import b64encode
from typing import Any

import pytest
from awscrt import checksums as crt  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types
from hypothesis import HealthCheck, given, settings, strategies as st

KEYS = [
    "plain.txt",
    "目录/文件 名.txt",
    "a+b %25 %2F #?&=;,@:$!*'()~x",
    "double//slash/",
    "./dots/../stay",
    "emoji 🎬/ñ",
    "%",
    "a\\b|c^d`e{f}",
    "x" * 1024,
]


@pytest.mark.parametrize("key", KEYS)
def test_any_key_can_be_put_read_listed_copied_and_deleted(s3_client: Any, bucket: str, key: str) -> None:
    s3_client.put_object(Bucket=bucket, Key=key, Body=b"content")
    assert s3_client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"content"
    assert [item["Key"] for item in s3_client.list_objects_v2(Bucket=bucket)["Contents"]] == [key]
    assert [item["Key"] for item in s3_client.list_objects(Bucket=bucket)["Contents"]] == [key]
    s3_client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key})
    assert s3_client.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"content"
    s3_client.delete_object(Bucket=bucket, Key=key)
    assert [item["Key"] for item in s3_client.list_objects_v2(Bucket=bucket)["Contents"]] == ["copy"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # Without control characters (XML cannot hold them) and the leading slash that boto3 would take for an empty part.
    key=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=80),
    body=st.binary(max_size=2000),
)
def test_what_was_put_is_what_is_read(s3_client: Any, bucket: str, key: str, body: bytes) -> None:
    put = s3_client.put_object(Bucket=bucket, Key=key, Body=body)
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    got = s3_client.get_object(Bucket=bucket, Key=key)
    assert (got["Body"].read(), got["ContentLength"], got["ETag"]) == (body, len(body), put["ETag"])
    s3_client.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in s3_client.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize("size", [0, 1, 256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024 + 7])
def test_bodies_of_every_size(s3_client: Any, bucket: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    s3_client.put_object(Bucket=bucket, Key="k", Body=io.BytesIO(body[:size]))
    assert s3_client.get_object(Bucket=bucket, Key="k")["Body"].read() == body[:size]
    assert s3_client.head_object(Bucket=bucket, Key="k")["ContentLength"] == size


@pytest.mark.parametrize(
    ("wanted", "expected", "content_range"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-2", b"89", "bytes 8-9/10"),
        ("bytes=-99", b"0123456789", "bytes 0-9/10"),
        ("bytes=4-99", b"456789", "bytes 4-9/10"),
    ],
)
def test_ranges(s3_client: Any, bucket: str, wanted: str, expected: bytes, content_range: str) -> None:
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = s3_client.get_object(Bucket=bucket, Key="k", Range=wanted)
    assert (got["Body"].read(), got["ContentRange"]) == (expected, content_range)
    assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    head = s3_client.head_object(Bucket=bucket, Key="k", Range=wanted)
    assert head["ContentLength"] == len(expected)


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_the_object_is_refused(s3_client: Any, bucket: str, wanted: str, refused: Any) -> None:
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    refused("InvalidRange", s3_client.get_object, Bucket=bucket, Key="k", Range=wanted)


@pytest.mark.parametrize("wanted", ["bytes=5-2", "bytes=0-1,3-4", "lines=1-2"])
def test_a_range_s3_does_not_understand_gives_the_whole(s3_client: Any, bucket: str, wanted: str) -> None:
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert s3_client.get_object(Bucket=bucket, Key="k", Range=wanted)["Body"].read() == b"0123456789"


def test_headers_and_metadata_come_back(s3_client: Any, bucket: str) -> None:
    sent: dict[str, Any] = {
        "ContentType": "video/mp4",
        "CacheControl": "max-age=60",
        "ContentDisposition": 'attachment; filename="x.mp4"',
        "ContentEncoding": "gzip",
        "ContentLanguage": "zh",
        "Metadata": {"plain": "1", "under_score": "2", "with-dash": "%E6%96%87  spaces"},
    }
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"x", **sent)
    head = s3_client.head_object(Bucket=bucket, Key="k")
    assert {name: head[name] for name in sent} == sent
    got = s3_client.get_object(Bucket=bucket, Key="k", ResponseContentType="text/plain")
    assert got["ContentType"] == "text/plain"
    leaked = {"x-amz-content-sha256", "content-md5", "x-amz-sdk-checksum-algorithm"}
    assert not leaked & set(head["ResponseMetadata"]["HTTPHeaders"])


def test_listing_with_prefix_delimiter_and_pages(s3_client: Any, bucket: str) -> None:
    for key in ("a/1", "a/2", "b/1", "c", "d"):
        s3_client.put_object(Bucket=bucket, Key=key, Body=b"")
    page = s3_client.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [item["Prefix"] for item in page["CommonPrefixes"]] == ["a/", "b/"]
    pages = s3_client.get_paginator("list_objects_v2").paginate(Bucket=bucket, PaginationConfig={"PageSize": 2})
    assert [item["Key"] for page in pages for item in page["Contents"]] == ["a/1", "a/2", "b/1", "c", "d"]
    deleted = s3_client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/1"}, {"Key": "none"}]})
    assert {item["Key"] for item in deleted["Deleted"]} == {"a/1", "none"}
    assert [item["Key"] for item in s3_client.list_objects_v2(Bucket=bucket, Prefix="a/")["Contents"]] == ["a/2"]


def test_conditions_on_reading(s3_client: Any, bucket: str, refused: Any) -> None:
    etag = s3_client.put_object(Bucket=bucket, Key="k", Body=b"x")["ETag"]
    assert s3_client.get_object(Bucket=bucket, Key="k", IfMatch=etag)["Body"].read() == b"x"
    refused("PreconditionFailed", s3_client.get_object, Bucket=bucket, Key="k", IfMatch='"other"')
    refused("304", s3_client.get_object, Bucket=bucket, Key="k", IfNoneMatch=etag)
    refused("404", s3_client.head_object, Bucket=bucket, Key="none")
    refused("NoSuchKey", s3_client.get_object, Bucket=bucket, Key="none")
    refused("NoSuchBucket", s3_client.get_object, Bucket="no-such-bucket", Key="k")
    refused("NoSuchBucket", s3_client.put_object, Bucket="no-such-bucket", Key="k", Body=b"")


def test_if_match_on_writing(s3_client: Any, bucket: str, refused: Any) -> None:
    etag = s3_client.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    refused("PreconditionFailed", s3_client.put_object, Bucket=bucket, Key="k", Body=b"2", IfMatch='"other"')
    refused("PreconditionFailed", s3_client.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch="*")
    refused("NotImplemented", s3_client.put_object, Bucket=bucket, Key="k", Body=b"2", IfNoneMatch=etag)
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"3", IfMatch=etag)
    assert s3_client.get_object(Bucket=bucket, Key="k")["Body"].read() == b"3"


def test_copy_keeps_or_replaces_metadata_and_reports_a_checksum(s3_client: Any, bucket: str) -> None:
    s3_client.put_object(Bucket=bucket, Key="源", Body=b"body", Metadata={"a": "1"}, ContentType="text/x")
    source = {"Bucket": bucket, "Key": "源"}
    kept = s3_client.copy_object(Bucket=bucket, Key="kept", CopySource=source, ChecksumAlgorithm="SHA256")
    assert kept["CopyObjectResult"]["ChecksumSHA256"] == b64encode(hashlib.sha256(b"body").digest()).decode()
    head = s3_client.head_object(Bucket=bucket, Key="kept", ChecksumMode="ENABLED")
    assert (head["Metadata"], head["ContentType"]) == ({"a": "1"}, "text/x")
    assert head["ChecksumSHA256"] == kept["CopyObjectResult"]["ChecksumSHA256"]
    s3_client.copy_object(
        Bucket=bucket, Key="replaced", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}
    )
    assert s3_client.head_object(Bucket=bucket, Key="replaced")["Metadata"] == {"b": "2"}


def test_overwritten_and_deleted_objects_stay_readable_to_who_reads_them(s3_client: Any, bucket: str) -> None:
    body = bytes(4 * 1024 * 1024)
    s3_client.put_object(Bucket=bucket, Key="k", Body=body)
    reading = s3_client.get_object(Bucket=bucket, Key="k")["Body"]
    first = reading.read(1000)
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"new")
    s3_client.delete_object(Bucket=bucket, Key="k")
    assert first + reading.read() == body


def test_versions(s3_client: Any, bucket: str) -> None:
    s3_client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    old = s3_client.put_object(Bucket=bucket, Key="k", Body=b"old")["VersionId"]
    new = s3_client.put_object(Bucket=bucket, Key="k", Body=b"newer")["VersionId"]
    assert s3_client.get_object(Bucket=bucket, Key="k", VersionId=old)["Body"].read() == b"old"
    s3_client.delete_object(Bucket=bucket, Key="k")
    assert s3_client.get_object(Bucket=bucket, Key="k", VersionId=new)["Body"].read() == b"newer"
    assert len(s3_client.list_object_versions(Bucket=bucket)["Versions"]) == 2


def test_tags_and_attributes(s3_client: Any, bucket: str) -> None:
    s3_client.put_object(Bucket=bucket, Key="k", Body=b"abc", Tagging="a=1")
    assert s3_client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "a", "Value": "1"}]
    s3_client.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "b", "Value": "2"}]})
    assert s3_client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "b", "Value": "2"}]
    got = s3_client.get_object_attributes(Bucket=bucket, Key="k", ObjectAttributes=["ETag", "ObjectSize", "Checksum"])
    assert (got["ObjectSize"], got["ETag"]) == (3, hashlib.md5(b"abc").hexdigest())
    assert got["Checksum"]["ChecksumCRC32"]


def test_buckets(s3_client: Any, bucket: str, refused: Any) -> None:
    s3_client.create_bucket(Bucket="another")
    s3_client.put_object(Bucket="another", Key="k", Body=b"x")
    s3_client.create_bucket(Bucket="another")  # allowed to the owner in us-east-1, and keeps what is there
    assert s3_client.get_object(Bucket="another", Key="k")["Body"].read() == b"x"
    assert {item["Name"] for item in s3_client.list_buckets()["Buckets"]} == {bucket, "another"}
    s3_client.head_bucket(Bucket="another")
    refused("BucketNotEmpty", s3_client.delete_bucket, Bucket="another")
    s3_client.delete_object(Bucket="another", Key="k")
    s3_client.delete_bucket(Bucket="another")
    refused("404", s3_client.head_bucket, Bucket="another")


def test_without_a_declared_checksum_s3_computes_crc64nvme(client_for: Any, bucket: str) -> None:
    client = client_for(config=Config(signature_version="s3v4", request_checksum_calculation="when_required"))
    expected = b64encode(crt.crc64nvme(b"hello").to_bytes(8, "big")).decode()
    put = client.put_object(Bucket=bucket, Key="k", Body=b"hello")
    assert put["ChecksumCRC64NVME"] == expected
    head = client.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (head["ChecksumCRC64NVME"], head["ChecksumType"]) == (expected, "FULL_OBJECT")
    assert "ChecksumCRC64NVME" not in client.head_object(Bucket=bucket, Key="k")
    got = client.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ChecksumCRC64NVME"]) == (b"hello", expected)


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_checksum_algorithm(s3_client: Any, bucket: str, algorithm: str) -> None:
    put = s3_client.put_object(Bucket=bucket, Key="k", Body=b"hello", ChecksumAlgorithm=algorithm)
    head = s3_client.head_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    assert s3_client.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")["Body"].read() == b"hello"
