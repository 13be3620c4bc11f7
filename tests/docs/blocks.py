"""The code blocks of a Markdown file."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path, language: str) -> list[str]:
    """The fenced blocks of ``language``, in order."""
    return [body for name, body in _BLOCK.findall(path.read_text(encoding="utf-8")) if name == language]
