"""The provider passes the core's conformance kit against the emulator, with both kinds of grant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from vvos_aliyun.emulator import AliyunEmulator

from vvos_core.testing import Capabilities, ProviderContract


class TestAliyun(ProviderContract):
    """Presigned requests: all that a grant does not allow, the service refuses."""

    name = "aliyun"
    sdk = ("oss2", "crcmod", "Crypto", "aliyunsdkcore")

    @pytest.fixture
    def start_service(self, aliyun_emulator: AliyunEmulator, aliyun_bucket: Any) -> AliyunEmulator:
        self.bucket = aliyun_bucket
        return aliyun_emulator

    def profile(self, address: str) -> dict[str, Any]:
        table = {**self.service.profile(), "threshold": 204_800, "part_size": 102_400, "endpoint": f"http://{address}"}
        return {name: value for name, value in table.items() if name != "provider"}

    def address(self) -> str:
        return str(urlsplit(self.service.info["endpoint"]).netloc)

    def read(self, key: str) -> bytes:
        return b"".join(self.service.read(key))

    def type_of(self, key: str) -> str:
        return str(self.bucket.head_object(key).content_type)

    def metadata_of(self, key: str) -> Mapping[str, str]:
        headers = self.bucket.head_object(key).headers
        prefix = "x-oss-meta-"
        kept = {name.lower(): value for name, value in headers.items() if name.lower().startswith(prefix)}
        return {name[len(prefix) :]: value.encode("latin-1").decode() for name, value in kept.items()}

    def unfinished(self) -> Sequence[Any]:
        return list(self.bucket.list_multipart_uploads().upload_list)

    def copy_headers(self, key: str) -> Mapping[str, str]:
        return {"x-oss-copy-source": quote(f"/vvos/{key}")}

    def advance_clock(self, seconds: float) -> None:
        now = self.service.clock
        self.service.clock = lambda: now() + seconds


class TestAliyunSts(TestAliyun):
    """STS credentials for one key: no policy can bind size, type, headers or overwriting; see the README."""

    capabilities = Capabilities(
        enforces_size=False, enforces_type=False, enforces_cover=False, rejects_added_headers=False
    )

    def profile(self, address: str) -> dict[str, Any]:
        sts = {"grant": "sts", "role_arn": self.service.role_arn, "sts_endpoint": self.service.info["endpoint"]}
        return super().profile(address) | sts
