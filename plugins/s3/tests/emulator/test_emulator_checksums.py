"""Declared digests: right ones are stored, wrong and malformed ones are refused, and nothing is kept then."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode
from typing import Any

import pytest
from awscrt import checksums as crt  # type: ignore[import-untyped,unused-ignore]  # ships no types
from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # ships no types
from vvos_s3.emulator import checksums, multipart
from vvos_s3.emulator.errors import S3Error

BODY = b"The quick brown fox"
DIGESTS = {
    "CRC32": zlib.crc32(BODY).to_bytes(4, "big"),
    "CRC32C": crt.crc32c(BODY).to_bytes(4, "big"),
    "CRC64NVME": crt.crc64nvme(BODY).to_bytes(8, "big"),
    "SHA1": hashlib.sha1(BODY).digest(),
    "SHA256": hashlib.sha256(BODY).digest(),
}
VALUES = {name: b64encode(digest).decode() for name, digest in DIGESTS.items()}


@pytest.fixture
def plain(client_for: Any) -> Any:
    """A client that adds no checksum of its own."""
    return client_for(
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            retries={"total_max_attempts": 1},
        )
    )


@pytest.fixture(params=["put_object", "upload_part"])
def write(request: pytest.FixtureRequest, plain: Any, bucket: str) -> Any:
    """A call that stores a body, in both ways."""
    place: dict[str, Any] = {"Bucket": bucket, "Key": "k"}
    if request.param == "upload_part":
        place["UploadId"] = plain.create_multipart_upload(**place)["UploadId"]
        place["PartNumber"] = 1
    return lambda **arguments: getattr(plain, request.param)(**place, **arguments)


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_right_checksum(write: Any, algorithm: str) -> None:
    name = f"Checksum{algorithm}"
    assert write(Body=BODY, **{name: VALUES[algorithm]})[name] == VALUES[algorithm]


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_wrong_checksum(write: Any, algorithm: str, refused: Any) -> None:
    name = f"Checksum{algorithm}"
    refused("BadDigest", write, Body=BODY + b"!", **{name: VALUES[algorithm]})
    off = bytes([DIGESTS[algorithm][0] ^ 1]) + DIGESTS[algorithm][1:]
    refused("BadDigest", write, Body=BODY, **{name: b64encode(off).decode()})


@pytest.mark.parametrize("value", ["", "????", "AAAA", "AAAAAA", "A" * 100])
@pytest.mark.parametrize("algorithm", DIGESTS)
def test_malformed_checksum(write: Any, algorithm: str, value: str, refused: Any) -> None:
    refused("InvalidRequest", write, Body=BODY, **{f"Checksum{algorithm}": value})


def test_content_md5(write: Any, refused: Any) -> None:
    write(Body=BODY, ContentMD5=b64encode(hashlib.md5(BODY).digest()).decode())
    refused("BadDigest", write, Body=BODY, ContentMD5=b64encode(hashlib.md5(b"other").digest()).decode())
    refused("InvalidDigest", write, Body=BODY, ContentMD5="not an md5")
    refused("InvalidDigest", write, Body=BODY, ContentMD5=hashlib.md5(BODY).hexdigest())


def test_a_refused_body_is_not_stored(plain: Any, bucket: str, refused: Any) -> None:
    refused("BadDigest", plain.put_object, Bucket=bucket, Key="k", Body=BODY, ChecksumCRC32="AAAAAA==")
    refused("404", plain.head_object, Bucket=bucket, Key="k")


def test_two_checksums_at_once(raw: Any) -> None:
    headers = {"x-amz-checksum-crc32": VALUES["CRC32"], "x-amz-checksum-sha1": VALUES["SHA1"]}
    assert raw.signed("PUT", raw.path("k"), headers, BODY).code == "InvalidRequest"


def test_an_announced_algorithm_without_its_value(raw: Any) -> None:
    headers = {"x-amz-sdk-checksum-algorithm": "CRC32"}
    assert raw.signed("PUT", raw.path("k"), headers, BODY).code == "InvalidRequest"


def test_an_unknown_algorithm(raw: Any) -> None:
    assert raw.signed("PUT", raw.path("k"), {"x-amz-checksum-crc16": "AAA="}, BODY).code == "InvalidRequest"


def test_delete_objects_needs_a_digest(raw: Any) -> None:
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    target = f"/{raw.bucket}?delete="
    assert raw.signed("POST", target, {}, body).code == "InvalidRequest"
    assert raw.signed("POST", target, {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, body).code == "BadDigest"
    right = b64encode(hashlib.md5(body).digest()).decode()
    assert raw.signed("POST", target, {"Content-MD5": right}, body).status == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Complete",
        b"<Other/>",
        b"<CompleteMultipartUpload/>",
        b"<CompleteMultipartUpload><Part><ETag>x</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>one</PartNumber><ETag>x</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Wrong><PartNumber>1</PartNumber><ETag>x</ETag></Wrong></CompleteMultipartUpload>",
    ],
)
def test_malformed_complete(body: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        multipart.parse_complete(body)
    assert caught.value.code == "MalformedXML"


def test_crc_of_parts_is_the_crc_of_the_whole() -> None:
    pieces = [b"", b"a", BODY, bytes(100_000)]
    for algorithm in checksums.LINEAR:
        parts = []
        whole = checksums.new(algorithm)
        for piece in pieces:
            digest = checksums.new(algorithm)
            digest.update(piece)
            whole.update(piece)
            parts.append((digest.digest(), len(piece)))
        assert checksums.combine(algorithm, parts) == whole.digest()
