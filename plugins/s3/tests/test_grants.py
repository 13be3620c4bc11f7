"""The compact form of many presigned requests."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given, strategies as st
from vvos_s3 import Settings, grants
from vvos_s3.address import locate
from vvos_s3.sigv4 import Signer

from vvos_core.errors import BadAnswer
from vvos_core.model import GIB, MIB, Grant, Secret
from vvos_core.plan import plan_chunks

SETTINGS = Settings(
    bucket="vvos", access_key=Secret("AKIDENTITY"), secret_key=Secret("very-secret"), region="eu-west-1"
)
SIGNING = Signer(SETTINGS.access_key, SETTINGS.secret_key, SETTINGS.region).at(1_800_000_000, 3600)


def granted(size: int, **more: Any) -> Grant:
    cut = plan_chunks(size, SETTINGS.rules)
    grant = Grant(
        provider="s3",
        key="影片/长 片.mkv",
        client_key="k",
        size=size,
        multipart=cut.multipart,
        part_size=cut.part_size,
        upload_id="2~/+ upload=",
        **more,
    )
    return msgspec.structs.replace(grant, data=grants.Writer(SIGNING, locate(SETTINGS), "crc64nvme").data(grant))


@given(st.integers(8 * MIB + 1, 200 * MIB), st.data())
def test_each_part_is_signed_as_it_would_be_alone(size: int, data: st.DataObject) -> None:
    grant = granted(size)
    count = plan_chunks(size, SETTINGS.rules).count
    number = data.draw(st.integers(1, count))
    length = plan_chunks(size, SETTINGS.rules).span(number)[1]
    parts = grants.read(grant).parts
    assert parts is not None
    url = urlsplit(parts.url_of(number))
    assert url.query == SIGNING.presign(
        "PUT",
        url.path,
        {"host": "vvos.s3.eu-west-1.amazonaws.com", "content-length": str(length)},
        {"partNumber": str(number), "uploadId": grant.upload_id},
    )


@pytest.mark.parametrize("size", [10_000 * 8 * MIB, 10_000 * 5 * GIB], ids=["78 GiB", "48.8 TiB"])
def test_ten_thousand_parts_stay_small(size: int) -> None:
    grant = granted(size)
    assert plan_chunks(size, SETTINGS.rules).count == 10_000
    text = msgspec.json.encode(grant)
    assert len(text) < 450_000
    again = msgspec.json.decode(text, type=Grant)
    assert again == grant
    parts = grants.read(again).parts
    assert parts is not None
    assert parts.url_of(10_000).count("partNumber=10000&") == 1


@pytest.mark.parametrize("number", [0, -1, 3, 10_001])
def test_a_part_that_was_not_granted_has_no_request(number: int) -> None:
    parts = grants.read(granted(16 * MIB)).parts
    assert parts is not None
    with pytest.raises(BadAnswer, match="no request"):
        parts.url_of(number)


def test_data_hold_no_key_and_are_not_shown() -> None:
    for size in (3, 9 * MIB):
        grant = granted(size)
        text = msgspec.json.encode(grant.data).decode()
        assert "very-secret" not in text
        assert "X-Amz" not in repr(grant)


@pytest.mark.parametrize("name", ["complete", "put"])
def test_replacing_is_forbidden_by_a_signed_header(name: str) -> None:
    for cover in (False, True):
        grant = granted(3 if name == "put" else 9 * MIB, cover=cover)
        signed = getattr(grants.read(grant), name)
        assert (signed.headers.get("if-none-match") == "*") is not cover
        assert ("if-none-match" in signed.url) is not cover


def test_the_completing_request_names_checksum_type_and_size() -> None:
    grant = granted(9 * MIB, seal=True)
    assert grants.read(grant).complete is None
    sealed = grants.read(granted(9 * MIB, seal=True, checksum="crc64nvme:AAAAAAAAAAA=")).complete
    assert sealed is not None
    assert sealed.headers == {
        "if-none-match": "*",
        "x-amz-checksum-crc64nvme": "AAAAAAAAAAA=",
        "x-amz-checksum-type": "FULL_OBJECT",
        "x-amz-mp-object-size": str(9 * MIB),
    }
    for name in sealed.headers:
        assert name in sealed.url


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"checksum": "sha1"},
        {"checksum": "md5", "put": 3},
        {"checksum": "md5", "put": {"headers": {}}},
        {"checksum": "md5", "parts": {"url": "http://x", "tail": "", "signatures": ["a"]}},
    ],
    ids=str,
)
def test_data_of_another_form_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer, match="not one of this provider's"):
        grants.read(msgspec.structs.replace(granted(3), data=data))
