"""The provider passes the core's conformance kit, in parts and in blocks, against the emulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import requests
from vvos_qiniu.emulator import QiniuEmulator

from vvos_core import MIB
from vvos_core.testing import Capabilities, ProviderContract


class TestQiniu(ProviderContract):
    """The kit, with resumable uploads in parts."""

    name = "qiniu"
    sdk = ("qiniu", "werkzeug")
    # Parts of 4 MiB: of no other size is Kodo's hash of an object independent of how it was cut.
    sizes: Mapping[str, Any] = {"threshold": MIB, "part_size": 4 * MIB}
    service: QiniuEmulator

    @pytest.fixture
    def start_service(self, qiniu_emulator: QiniuEmulator) -> QiniuEmulator:
        return qiniu_emulator

    def profile(self, address: str) -> dict[str, Any]:
        hosts = {"endpoint": f"http://{address}", "up_hosts": [f"http://{address}"], "rs_hosts": [f"http://{address}"]}
        table = {**self.service.profile(), **hosts, **self.sizes, "limit_type": True}
        return {name: value for name, value in table.items() if name != "provider"}

    def address(self) -> str:
        return str(urlsplit(self.service.info["endpoint"]).netloc)

    def read(self, key: str) -> bytes:
        return b"".join(self.service.read(key))

    def type_of(self, key: str) -> str:
        return self._head(key)["Content-Type"]

    def metadata_of(self, key: str) -> Mapping[str, str]:
        prefix = "x-qn-meta-"
        headers = self._head(key).items()
        # http.client reads headers as Latin-1; Kodo sends UTF-8.
        return {
            name.lower().removeprefix(prefix): value.encode("latin-1").decode()
            for name, value in headers
            if name.lower().startswith(prefix)
        }

    def _head(self, key: str) -> Mapping[str, str]:
        answer = requests.head(f"{self.service.info['endpoint']}/{quote(key)}", timeout=10)
        answer.raise_for_status()
        return answer.headers

    def unfinished(self) -> Sequence[Any] | None:
        return None

    def advance_clock(self, seconds: float) -> None:
        now = self.service.clock
        self.service.clock = lambda: now() + seconds


class TestQiniuBlocks(TestQiniu):
    """The kit, with the blocks of version 1: they cannot be listed, or aborted."""

    sizes: Mapping[str, Any] = {"threshold": MIB, "version": "v1"}
    capabilities = Capabilities(lists_parts=False, aborts=False)
