"""The sample files of the demo, and the names of any files given instead."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..errors import SourceMissing
from ..model import MIB
from ..source import shown, walk

_SIZES = {
    "one-byte.txt": 1,
    "photo.jpg": 3 * MIB,
    "film.mp4": 24 * MIB,
    "中文资料/说明.txt": 2_000,
    "中文资料/图片/黄山 日出.jpg": MIB + 1,
    "中文资料/空文件.txt": 0,
}
"""In one piece and in parts, and names that have to be escaped on the way."""


def make(folder: Path) -> list[str]:
    """Write the samples, of random bytes, into ``folder``; answers what to upload."""
    for name, length in _SIZES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(length))
    return sorted({str(folder / name.partition("/")[0]) for name in _SIZES})


def keyed(paths: Iterable[str]) -> list[tuple[str, str]]:
    """Each file, and those below each folder, with its key: the file's name, or its path below the folder's parent.

    Raises ``SourceMissing`` for a folder without files, and ``SourceError`` for one that cannot be read.
    """
    pairs: list[tuple[str, str]] = []
    for path in paths:
        if not os.path.isdir(path):
            pairs.append((path, os.path.basename(path)))
            continue
        name = Path(path).resolve().name
        below = [(file, f"{name}/{relative}") for file, relative in walk(path)]
        if not below:
            raise SourceMissing(f"{shown(path)} has no files in it; give a folder with files.")
        pairs += below
    return pairs
