"""What the kit asks of an author, answered for a plain directory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from vvos_core.builtin.folder import Folder
from vvos_core.testing import Capabilities, ProviderContract


class DirectoryAuthor(ProviderContract):
    """What the kit asks of an author, answered for a plain directory."""

    name = "directory"
    capabilities = Capabilities(metadata=False)

    @pytest.fixture
    def start_service(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        self._patch = monkeypatch
        (tmp_path / "根").mkdir()
        return tmp_path / "根"

    def profile(self, address: str) -> dict[str, Any]:
        return {"root": str(self.service), "threshold": 1000, "part_size": 300}

    def read(self, key: str) -> bytes:
        return Path(self.service, key).read_bytes()

    def advance_clock(self, seconds: float) -> None:
        now = Folder.clock
        self._patch.setattr(Folder, "clock", staticmethod(lambda: now() + seconds))

    def unfinished(self) -> Sequence[str]:
        uploads = Path(self.service, ".vvos", "uploads")
        return os.listdir(uploads) if uploads.exists() else []
