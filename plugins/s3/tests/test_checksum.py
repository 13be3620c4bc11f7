"""Checksums and metadata: pure functions."""

from __future__ import annotations

import hashlib
from email.header import decode_header, make_header
from typing import Any

import pytest
from hypothesis import example, given, strategies as st
from vvos_s3 import S3
from vvos_s3.checksum import md5
from vvos_s3.metadata import encode

from vvos_core.errors import BadInput
from vvos_core.model import Receipt

CHECKSUM = S3.checksum


def crc(data: bytes) -> str:
    hasher = CHECKSUM.new()
    hasher.update(memoryview(data))
    return hasher.value()


def test_vectors() -> None:
    # The catalogue's check value of CRC-64/NVME is ae8b14860a799888.
    assert crc(b"123456789") == "crc64nvme:rosUhgp5mIg="
    assert crc(b"") == "crc64nvme:AAAAAAAAAAA="
    assert CHECKSUM.name == "crc64nvme"


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=6))
def test_parts_combine_into_the_whole(parts: list[bytes]) -> None:
    receipts = [Receipt(number=n, size=len(part), proof="x", checksum=crc(part)) for n, part in enumerate(parts, 1)]
    assert CHECKSUM.combine(receipts) == crc(b"".join(parts))
    hasher = CHECKSUM.new()
    for part in parts:
        hasher.update(memoryview(part))
    assert hasher.value() == crc(b"".join(parts))


def test_md5s_combine_into_an_etag() -> None:
    def receipt(number: int, part: bytes) -> Receipt:
        return Receipt(
            number=number,
            size=len(part),
            proof="x",
            checksum=f"md5:{hashlib.md5(part, usedforsecurity=False).hexdigest()}",
        )

    single = hashlib.md5(b"a", usedforsecurity=False)
    assert CHECKSUM.combine([receipt(1, b"a")]) == f"md5:{single.hexdigest()}"
    both = single.digest() + hashlib.md5(b"b", usedforsecurity=False).digest()
    expected = hashlib.md5(both, usedforsecurity=False).hexdigest()
    assert CHECKSUM.combine([receipt(1, b"a"), receipt(2, b"b")]) == f"md5:{expected}-2"


@pytest.mark.parametrize("checksum", ["", "md5:" + "0" * 32, "sha256:x"])
def test_one_receipt_without_its_own_gives_none(checksum: str) -> None:
    receipts = [
        Receipt(number=1, size=1, proof="x", checksum=crc(b"a")),
        Receipt(number=2, size=1, proof="x", checksum=checksum),
    ]
    assert CHECKSUM.combine(receipts) == ""


def test_no_receipts_give_none() -> None:
    assert CHECKSUM.combine([]) == ""


def test_md5_reads_the_chunk_block_by_block(bench: Any) -> None:
    data = bytes(range(256)) * 4096
    grant = bench.grant("a", len(data))
    (chunk,) = bench.chunks(grant, data)
    assert md5(chunk) == hashlib.md5(data, usedforsecurity=False).digest()


@example("=?utf-8?q?looks_encoded?=")
@example(" two  spaces and one behind ")
@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=100))
def test_metadata_come_back(value: str) -> None:
    header = encode({"Name": value})["name"]
    assert header.isascii()
    assert header.isprintable()
    assert header == header.strip()
    assert str(make_header(decode_header(header))) == value


def test_plain_metadata_stay_as_they_are() -> None:
    assert encode({"A-b.c_d": "x y; z=1", "e": ""}) == {"a-b.c_d": "x y; z=1", "e": ""}


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "名", "-a", "a\n"])
def test_a_name_that_no_header_has_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="metadata name"):
        encode({name: "x"})
