"""The provider passes the core's conformance kit, against the emulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from email.header import decode_header, make_header
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from vvos_s3.emulator import S3Emulator

from vvos_core.model import MIB
from vvos_core.testing import ProviderContract


class TestS3(ProviderContract):
    """The kit; all that S3 can do it declares."""

    name = "s3"
    sdk = ("boto3", "botocore", "moto")

    @pytest.fixture
    def start_service(self, s3_emulator: S3Emulator, s3_client: Any) -> S3Emulator:
        self.s3, self.bucket = s3_client, s3_emulator.info["bucket"]
        return s3_emulator

    def profile(self, address: str) -> dict[str, Any]:
        sizes = {"threshold": 5 * MIB, "part_size": 5 * MIB}
        table = {**self.service.profile(), **sizes, "endpoint": f"http://{address}"}
        return {name: value for name, value in table.items() if name != "provider"}

    def address(self) -> str:
        return str(urlsplit(self.service.info["endpoint"]).netloc)

    def read(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def type_of(self, key: str) -> str:
        return str(self.s3.head_object(Bucket=self.bucket, Key=key)["ContentType"])

    def metadata_of(self, key: str) -> Mapping[str, str]:
        kept = self.s3.head_object(Bucket=self.bucket, Key=key)["Metadata"]
        return {name: str(make_header(decode_header(value))) for name, value in kept.items()}

    def unfinished(self) -> Sequence[Any]:
        return list(self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", []))

    def copy_headers(self, key: str) -> Mapping[str, str]:
        return {"x-amz-copy-source": quote(f"/{self.bucket}/{key}")}

    def advance_clock(self, seconds: float) -> None:
        now = self.service.clock
        self.service.clock = lambda: now() + seconds
