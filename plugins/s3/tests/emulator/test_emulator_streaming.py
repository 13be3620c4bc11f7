"""aws-chunked bodies with a trailing checksum, as boto3 sends them over TLS: framed by botocore, sent without TLS."""

from __future__ import annotations

import io
import zlib
from base64 import b64encode
from typing import Any

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum  # type: ignore[import-untyped,unused-ignore]  # ships no types

BODY = bytes(range(256)) * 5000
CRC32 = b64encode(zlib.crc32(BODY).to_bytes(4, "big"))
PAYLOAD = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


def framed() -> bytes:
    wrapper = AwsChunkedWrapper(
        io.BytesIO(BODY), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32", chunk_size=100_000
    )
    data: bytes = wrapper.read()
    return data


def put(raw: Any, body: bytes, target: str | None = None, **changes: str) -> Any:
    headers = {
        "Content-Encoding": "gzip,aws-chunked",
        "x-amz-trailer": "x-amz-checksum-crc32",
        "x-amz-sdk-checksum-algorithm": "CRC32",
        "x-amz-decoded-content-length": str(len(BODY)),
    }
    headers.update({name.replace("_", "-"): value for name, value in changes.items()})
    return raw.signed("PUT", target or raw.path("k"), headers, body, payload=PAYLOAD)


def test_a_streamed_object(raw: Any, s3_client: Any, bucket: str) -> None:
    answer = put(raw, framed())
    assert (answer.status, answer.headers["x-amz-checksum-crc32"]) == (200, CRC32.decode())
    got = s3_client.get_object(Bucket=bucket, Key="k", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ContentLength"]) == (BODY, len(BODY))
    assert (got["ChecksumCRC32"], got["ContentEncoding"]) == (CRC32.decode(), "gzip")


def test_a_streamed_part(raw: Any, s3_client: Any, bucket: str) -> None:
    upload_id = s3_client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    assert put(raw, framed(), f"{raw.path('k')}?partNumber=1&uploadId={upload_id}").status == 200
    parts = s3_client.list_parts(Bucket=bucket, Key="k", UploadId=upload_id)["Parts"]
    assert (parts[0]["Size"], parts[0]["ChecksumCRC32"]) == (len(BODY), CRC32.decode())


def test_with_chunked_transfer_as_well(raw: Any, s3_client: Any, bucket: str) -> None:
    body = framed()
    headers = raw.sign(
        "PUT",
        raw.path("k"),
        {"x-amz-trailer": "x-amz-checksum-crc32", "x-amz-decoded-content-length": str(len(BODY))},
        body,
        payload=PAYLOAD,
    )
    headers["Transfer-Encoding"] = "chunked"
    wire = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:777], body[777:])) + b"0\r\n\r\n"
    assert raw.send("PUT", raw.path("k"), headers, wire).status == 200
    assert s3_client.get_object(Bucket=bucket, Key="k")["Body"].read() == BODY


def test_a_trailer_needs_a_streamed_body(raw: Any) -> None:
    headers = {"x-amz-trailer": "x-amz-checksum-crc32"}
    assert raw.signed("PUT", raw.path("k"), headers, BODY).code == "MalformedTrailerError"


@pytest.mark.parametrize(
    ("body", "changes", "code"),
    [
        (lambda: framed().replace(CRC32, b"AAAAAA=="), {}, "BadDigest"),
        (lambda: framed().replace(CRC32, b"AAAA"), {}, "InvalidRequest"),
        (lambda: framed().replace(b"\x05\x06", b"\x05\x07", 1), {}, "BadDigest"),
        (lambda: framed().replace(b"x-amz-checksum-crc32", b"x-amz-checksum-crc33"), {}, "MalformedTrailerError"),
        (lambda: framed().replace(b"x-amz-checksum-crc32:", b"x-amz-checksum-crc32 "), {}, "MalformedTrailerError"),
        (lambda: framed().replace(b"x-amz-ch", b"x-amz-other:1\r\nx-amz-ch"), {}, "MalformedTrailerError"),
        (lambda: framed().replace(b"\r\n186a0\r\n", b"..186a0\r\n", 1), {}, "IncompleteBody"),
        (lambda: framed(), {"x_amz_trailer": "x-amz-checksum-sha1"}, "InvalidRequest"),
        (lambda: framed(), {"x_amz_decoded_content_length": "12"}, "IncompleteBody"),
        (lambda: framed(), {"x_amz_decoded_content_length": "many"}, "MissingContentLength"),
        (lambda: framed()[:-40], {}, "IncompleteBody"),
        (lambda: framed()[:5000], {}, "IncompleteBody"),
        (lambda: framed() + b"more", {}, "IncompleteBody"),
        (lambda: BODY, {}, "IncompleteBody"),
    ],
)
def test_refused_streams(raw: Any, body: Any, changes: dict[str, str], code: str) -> None:
    assert put(raw, body(), **changes).code == code
    assert raw.signed("GET", raw.path("k")).code == "NoSuchKey"
