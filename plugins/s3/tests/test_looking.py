"""What is found of an object is what the SDK finds of it."""

from __future__ import annotations

from typing import Any

import pytest

from vvos_core.model import Found


@pytest.mark.parametrize("key", ["a/b.bin", "照片/a b+%2F~é.jpg"])
def test_a_look_finds_what_boto3_finds(bench: Any, s3_client: Any, key: str) -> None:
    grant, _ = bench.upload(key, b"abc")
    told = s3_client.head_object(Bucket=bench.emulator.info["bucket"], Key=key, ChecksumMode="ENABLED")
    expected = Found(
        key=key, exists=True, size=told["ContentLength"], checksum=f"crc64nvme:{told['ChecksumCRC64NVME']}"
    )
    assert bench.found(grant) == expected


def test_nothing_there_is_no_error(bench: Any) -> None:
    assert bench.found(bench.grant("照片/没有.jpg", 3)) == Found(key="照片/没有.jpg", exists=False)
