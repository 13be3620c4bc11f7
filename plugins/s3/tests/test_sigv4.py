"""The signatures are botocore's own."""

from __future__ import annotations

import datetime
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st
from vvos_s3.sigv4 import Signer

from vvos_core.model import Secret

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
NAME = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,15}", fullmatch=True).filter(lambda name: not name.startswith("X-Amz"))
HEADER = st.sampled_from(
    ["content-type", "content-md5", "if-none-match", "x-amz-meta-名".replace("名", "a"), "x-amz-acl"]
)


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD"]),
    key=TEXT.filter(bool),
    host=st.sampled_from(["bucket.s3.eu-west-1.amazonaws.com", "127.0.0.1:9000"]),
    query=st.dictionaries(NAME, TEXT, max_size=4),
    headers=st.dictionaries(HEADER, VISIBLE, max_size=4),
    token=st.none() | TEXT.filter(bool),
    secret=TEXT.filter(bool),
    moment=st.integers(0, 2**32),
    seconds=st.integers(1, 604800),
)
def test_presign_is_botocores(
    method: str,
    key: str,
    host: str,
    query: dict[str, str],
    headers: dict[str, str],
    token: str | None,
    secret: str,
    moment: int,
    seconds: int,
) -> None:
    from botocore.auth import S3SigV4QueryAuth  # type: ignore[import-untyped,unused-ignore]  # ships no types
    from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped,unused-ignore]  # as above
    from botocore.credentials import Credentials  # type: ignore[import-untyped,unused-ignore]  # as above

    path = "/" + quote(key, safe="/")
    request = AWSRequest(method, f"http://{host}{path}", headers, params=query)
    now = datetime.datetime.fromtimestamp(moment, datetime.timezone.utc)
    with mock.patch("botocore.auth.get_current_datetime", return_value=now):
        S3SigV4QueryAuth(Credentials("AK/ID+=", secret, token), "s3", "eu-west-1", expires=seconds).add_auth(request)

    signer = Signer(Secret("AK/ID+="), Secret(secret), "eu-west-1", Secret(token) if token else None)
    ours = signer.at(moment, seconds).presign(method, path, {"host": host, **headers}, query)
    assert fields(ours) == fields(request.url.partition("?")[2])


def fields(query: str) -> dict[str, str]:
    """The parameters of a query, whatever their order: that of the signature is the canonical one."""
    pairs = [pair.partition("=")[::2] for pair in query.split("&")]
    assert len({name for name, _ in pairs}) == len(pairs)
    return dict(pairs)


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_a_presigned_part_is_boto3s(style: str, bench: Any) -> None:
    import boto3  # type: ignore[import-untyped,unused-ignore]  # ships no types
    from botocore.config import Config  # type: ignore[import-untyped,unused-ignore]  # as above
    from vvos_s3.address import locate

    settings = bench.settings(endpoint="https://s3.example.com:8443", path_style=style == "path")
    client = boto3.client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint,
        aws_access_key_id=settings.access_key.reveal(),
        aws_secret_access_key=settings.secret_key.reveal(),
        config=Config(signature_version="s3v4", s3={"addressing_style": style}),
    )
    arguments = {"Bucket": "vvos", "Key": "文/a b+~.txt", "UploadId": "a/b+c==", "PartNumber": 7}
    theirs = client.generate_presigned_url("upload_part", arguments, ExpiresIn=60)
    client.close()
    stamp = fields(theirs.partition("?")[2])["X-Amz-Date"]
    moment = datetime.datetime.strptime(stamp + "+0000", "%Y%m%dT%H%M%SZ%z").timestamp()

    address = locate(settings)
    path = address.path("文/a b+~.txt")
    signing = Signer(settings.access_key, settings.secret_key, settings.region).at(moment, 60)
    query = signing.presign("PUT", path, {"host": address.host}, {"uploadId": "a/b+c==", "partNumber": "7"})
    assert f"{address.origin}{path}" == theirs.partition("?")[0]
    assert fields(query) == fields(theirs.partition("?")[2])


def test_a_signature_depends_on_every_input() -> None:
    def sign(
        key: str = "AK", secret: str = "s", region: str = "r", at: float = 0, seconds: int = 1, path: str = "/k"
    ) -> str:
        query = Signer(Secret(key), Secret(secret), region).at(at, seconds).presign("PUT", path, {"host": "h"})
        return query.rpartition("=")[2]

    made = [sign(), sign(secret="t"), sign(region="q"), sign(at=86400), sign(at=1), sign(seconds=2), sign(path="/l")]
    assert len(set(made)) == len(made)
    assert sign() == sign()


@given(
    keys=st.lists(TEXT.filter(bool), max_size=4),
    length=st.integers(0, 2**40),
    headers=st.dictionaries(HEADER, VISIBLE, max_size=4),
    token=st.none() | TEXT.filter(bool),
)
def test_requests_of_a_form_are_signed_as_each_would_be_alone(
    keys: list[str], length: int, headers: dict[str, str], token: str | None
) -> None:
    signing = Signer(Secret("AK/ID+="), Secret("s"), "eu-west-1", Secret(token) if token else None).at(0, 60)
    headers = {"host": "127.0.0.1:9000", **headers}
    paths = ["/" + quote(key, safe="/") for key in keys]
    lengths = [length + place for place in range(len(paths))]
    assert signing.form("PUT", headers).presign(paths, lengths) == [
        signing.presign("PUT", path, {**headers, "content-length": str(each)})
        for path, each in zip(paths, lengths, strict=True)
    ]
