"""What the kit asks of an author, answered for the reference provider behind HTTP, which can do everything."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from vvos_core import Secret
from vvos_core.builtin.folder import Folder
from vvos_core.testing import ProviderContract

from .web import SECRET, WebService


class WebAuthor(ProviderContract):
    name = "web"
    flaws: Sequence[str] = ()

    @pytest.fixture
    def start_service(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebService]:
        self._patch = monkeypatch
        service = WebService(tmp_path, SECRET, self.flaws)
        yield service
        service.stop()

    def address(self) -> str:
        return str(self.service.address)

    def profile(self, address: str) -> dict[str, Any]:
        return {
            "root": str(self.service.root),
            "endpoint": f"http://{address}",
            "secret": Secret(SECRET),
            "threshold": 1000,
            "part_size": 300,
        }

    def read(self, key: str) -> bytes:
        return Path(self.service.root, key).read_bytes()

    def advance_clock(self, seconds: float) -> None:
        now = Folder.clock
        self._patch.setattr(Folder, "clock", staticmethod(lambda: now() + seconds))

    def type_of(self, key: str) -> str:
        return str(self.service.types[key])

    def metadata_of(self, key: str) -> Mapping[str, str]:
        return dict(self.service.metadata[key])

    def unfinished(self) -> Sequence[str]:
        uploads = Path(self.service.root, ".vvos", "uploads")
        return os.listdir(uploads) if uploads.exists() else []

    def copy_headers(self, key: str) -> Mapping[str, str]:
        return {"X-Copy-From": base64.b64encode(key.encode()).decode()}
