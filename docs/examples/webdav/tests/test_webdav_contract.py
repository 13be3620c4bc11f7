"""The provider passes the conformance kit, against a real WebDAV server behind the gate."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from webdav_gate import Gate
from webdav_gate.serve import server

from vvos_core import Secret
from vvos_core.testing import Capabilities, ProviderContract

SECRET = "of-these-tests-only-0123456789-秘密"


@pytest.fixture(scope="module")
def webdav(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Gate]]:
    """A WebDAV server that runs: its folder, its address, its gate."""
    folder = tmp_path_factory.mktemp("webdav")
    http, gate = server(str(folder), SECRET)
    http.prepare()
    thread = threading.Thread(target=http.serve)
    thread.start()
    yield folder, "{}:{}".format(*http.bind_addr), gate
    http.stop()
    thread.join()


class TestWebdav(ProviderContract):
    name = "webdav"
    sdk = ("wsgidav", "cheroot")
    capabilities = Capabilities(multipart=False, lists_parts=False, aborts=False, checksums=False, metadata=False)

    @pytest.fixture
    def start_service(self, webdav: tuple[Path, str, Gate]) -> Iterator[Path]:
        folder, self._address, self._gate = webdav
        yield folder
        self._gate.clock = time.time

    def address(self) -> str:
        return self._address

    def profile(self, address: str) -> dict[str, Any]:
        return {"url": f"http://{address}", "secret": Secret(SECRET)}

    def read(self, key: str) -> bytes:
        return Path(self.service, key).read_bytes()

    def advance_clock(self, seconds: float) -> None:
        now = self._gate.clock
        self._gate.clock = lambda: now() + seconds

    def copy_headers(self, key: str) -> Mapping[str, str]:
        return {"X-HTTP-Method-Override": "COPY", "Destination": f"http://{self._address}/{quote(key)}"}
