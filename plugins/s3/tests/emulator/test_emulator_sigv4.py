"""The verifier alone, against the examples AWS publishes: a judge that is neither botocore nor us.

Source: AWS S3 API Reference, "Examples: Signature Calculations in AWS Signature Version 4", "Authenticating Requests:
Using Query Parameters" and "Transferring Payload in Multiple Chunks".
"""

from __future__ import annotations

import io
from typing import Any

import pytest
from vvos_s3.emulator.chunked import ChunkedBody
from vvos_s3.emulator.errors import S3Error
from vvos_s3.emulator.sigv4 import EMPTY_SHA256, Credential, Verified, parse_date, verify

from vvos_core.testing.server import Body, Headers

ROOT = Credential("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = parse_date("20130524T000000Z") or 0.0
HOST = "examplebucket.s3.amazonaws.com"
SCOPE = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"


def check(
    method: str, path: str, query: str, headers: list[tuple[str, str]], now: float = NOW, host: str = HOST
) -> Verified:
    return verify(
        method=method,
        path=path,
        query=query,
        headers=Headers([("Host", host), *headers]),
        region="us-east-1",
        now=now,
        credentials={ROOT.access_key: ROOT}.get,
        body_sha256=lambda: EMPTY_SHA256,
    )


def authorization(signed: str, signature: str) -> tuple[str, str]:
    return (
        "Authorization",
        f"AWS4-HMAC-SHA256 Credential={SCOPE},SignedHeaders={signed},Signature={signature}",
    )


EXAMPLES: dict[str, tuple[str, str, str, list[tuple[str, str]]]] = {
    "GET object": (
        "GET",
        "/test.txt",
        "",
        [
            ("Range", "bytes=0-9"),
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", "20130524T000000Z"),
            authorization(
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
        ],
    ),
    "PUT object": (
        "PUT",
        "/test%24file.text",
        "",
        [
            ("Date", "Fri, 24 May 2013 00:00:00 GMT"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"),
            ("x-amz-date", "20130524T000000Z"),
            authorization(
                "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
        ],
    ),
    "GET lifecycle": (
        "GET",
        "/",
        "lifecycle",
        [
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", "20130524T000000Z"),
            authorization(
                "host;x-amz-content-sha256;x-amz-date",
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
        ],
    ),
    "list": (
        "GET",
        "/",
        "max-keys=2&prefix=J",
        [
            ("x-amz-content-sha256", EMPTY_SHA256),
            ("x-amz-date", "20130524T000000Z"),
            authorization(
                "host;x-amz-content-sha256;x-amz-date",
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ],
    ),
    "presigned": (
        "GET",
        "/test.txt",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
        [],
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_published_examples(name: str) -> None:
    method, path, query, headers = EXAMPLES[name]
    assert check(method, path, query, headers).credential == ROOT
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        check("POST", path, query, headers)


@pytest.mark.parametrize(("after", "fine"), [(0, True), (86_400, True), (86_401, False)])
def test_a_presigned_request_lives_to_the_last_second(after: float, fine: bool) -> None:
    method, path, query, headers = EXAMPLES["presigned"]
    if fine:
        check(method, path, query, headers, NOW + after)
    else:
        with pytest.raises(S3Error, match="Request has expired"):
            check(method, path, query, headers, NOW + after)


SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
CHUNKS = [
    (b"a" * 65_536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"),
    (b"a" * 1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"),
    (b"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"),
]


def body_of(data: bytes) -> Body:
    """A body for the decoder."""
    return Body(io.BytesIO(data), len(data), lambda: None)


def seed() -> Verified:
    return check(
        "PUT",
        "/examplebucket/chunkObject.txt",
        "",
        [
            ("x-amz-date", "20130524T000000Z"),
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            ("Content-Encoding", "aws-chunked"),
            ("x-amz-decoded-content-length", "66560"),
            ("Content-Length", "66824"),
            authorization(
                "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;"
                "x-amz-storage-class",
                SEED,
            ),
        ],
        host="s3.amazonaws.com",
    )


def chunks(*pieces: tuple[bytes, str]) -> bytes:
    return b"".join(b"%x;chunk-signature=%s\r\n%s\r\n" % (len(data), sig.encode(), data) for data, sig in pieces)


def decode(body: bytes, length: str = "66560") -> bytes:
    return b"".join(ChunkedBody(body_of(body), seed(), length, None).data())


def test_published_chunk_signatures() -> None:
    assert decode(chunks(*CHUNKS)) == b"a" * 66_560


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda: chunks(CHUNKS[1], CHUNKS[0], CHUNKS[2]), "SignatureDoesNotMatch"),
        (lambda: chunks(CHUNKS[0], CHUNKS[2]), "SignatureDoesNotMatch"),
        (lambda: chunks(*CHUNKS).replace(b"aaa\r\n", b"aab\r\n", 1), "SignatureDoesNotMatch"),
        (lambda: chunks((CHUNKS[0][0], CHUNKS[0][1][:-1] + "9"), *CHUNKS[1:]), "SignatureDoesNotMatch"),
        (lambda: chunks(*CHUNKS[:2]), "IncompleteBody"),
        (lambda: chunks(*CHUNKS)[:1000], "IncompleteBody"),
        (lambda: chunks(*CHUNKS).replace(b";chunk-signature=", b";other="), "IncompleteBody"),
    ],
)
def test_changed_chunks(change: Any, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        decode(change())
    assert caught.value.code == code


def test_no_more_is_taken_in_than_was_declared() -> None:
    pieces = ChunkedBody(body_of(chunks(*CHUNKS)), seed(), "70", None).data()
    taken: list[bytes] = []
    with pytest.raises(S3Error, match="IncompleteBody"):
        taken.extend(pieces)
    assert sum(map(len, taken)) <= 70


@pytest.mark.parametrize("length", ["66559", "66561"])
def test_a_decoded_length_that_is_not_true(length: str) -> None:
    with pytest.raises(S3Error) as caught:
        decode(chunks(*CHUNKS), length)
    assert caught.value.code == "IncompleteBody"
