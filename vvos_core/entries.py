"""What was added to be uploaded: each source under its key, or why there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Union

from .errors import BadInput, DuplicateKey, SourceMissing, VVOSError
from .keys import check_key
from .source import BytesSource, FileSource, Source, StreamSource, guess_type, shown, walk

Item = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, BinaryIO]
"""A path of a file or folder, bytes, or a binary stream."""
Pair = tuple[Item, str]
"""An item and the key that it is to have; the folder's name, for a folder."""


class Entry:
    """What was added: a source under a key, or why there is none."""

    __slots__ = ("error", "key", "metadata", "source", "type")

    def __init__(
        self, key: str, source: Source | None, error: VVOSError | None, media_type: str, metadata: Mapping[str, str]
    ) -> None:
        self.key = key
        self.source = source
        self.error = error
        self.type = media_type
        self.metadata = metadata


class Entries:
    """A list of entries that grows by items of every kind."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def add(
        self, items: Item | Pair | Iterable[Item | Pair], prefix: str, media_type: str, metadata: Mapping[str, str]
    ) -> None:
        """Add one item or several; see ``VVOS.add_files``. Raises ``BadInput`` for what is no item."""
        several = [items] if _is_one(items) else items
        for item in several:  # type: ignore[union-attr]  # _is_one told a single item from an iterable of them
            content, key = _pair(item)
            self._add(content, key, prefix, media_type, dict(metadata))

    def close(self) -> None:
        """Let go of what the sources hold open."""
        for entry in self._entries:
            if entry.source is not None:
                entry.source.close()

    def _add(self, content: Any, key: str | None, prefix: str, media_type: str, metadata: dict[str, str]) -> None:
        if isinstance(content, str | os.PathLike):
            path = os.fsdecode(content)
            if os.path.isdir(path):
                self._add_folder(path, key, prefix, media_type, metadata)
            elif not path:
                error = SourceMissing("an empty path names no file; give a file or a folder of files.")
                self._entries.append(Entry(prefix + (key or ""), None, error, "", {}))
            else:
                name = key if key is not None else Path(path).name
                self._add_source(prefix + name, lambda: FileSource(path), media_type, metadata)
        elif isinstance(content, bytes | bytearray | memoryview):
            if key is None:
                raise BadInput('bytes have no name; add them with a key: (b"…", "notes.txt").')
            name = prefix + key
            self._add_source(name, lambda: BytesSource(content, name), media_type, metadata)
        elif hasattr(content, "read"):
            name = prefix + (key if key is not None else _stream_name(content))
            self._add_source(name, lambda: StreamSource(content, name), media_type, metadata)
        else:
            raise _no_item(content)

    def _add_folder(self, path: str, key: str | None, prefix: str, media_type: str, metadata: dict[str, str]) -> None:
        name = key.rstrip("/") if key is not None else Path(path).name
        below = prefix + (name + "/" if name not in ("", "..") else "")
        before = len(self._entries)

        def failed(relative: str, error: VVOSError) -> None:
            self._entries.append(Entry(below + relative if relative != "." else top, None, error, "", {}))

        top = below.rstrip("/") or path
        for file, relative in walk(path, failed):
            self._add_source(below + relative, lambda file=file: FileSource(file), media_type, metadata)  # type: ignore[misc]  # mypy cannot infer a lambda's defaults
        if len(self._entries) == before:
            failed(".", SourceMissing(f"{shown(path)} has no files in it; give a folder with files."))

    def _add_source(
        self, key: str, open_source: Callable[[], Source], media_type: str, metadata: dict[str, str]
    ) -> None:
        source: Source | None = None
        error: VVOSError | None = None
        try:
            check_key(key)
            source = open_source()
        except VVOSError as failed:
            error = failed
        self._entries.append(Entry(key, source, error, media_type or guess_type(key), metadata))

    def refuse_duplicates(self) -> None:
        """Raises ``DuplicateKey`` when two of what would be sent claim one key."""
        seen: set[str] = set()
        for entry in self._entries:
            if entry.error is not None:
                continue  # nothing of it is sent; and the error of a folder has no key of its own
            if entry.key in seen:
                raise DuplicateKey(
                    f"two files have the key {shown(entry.key)}; give one of them another key.", key=entry.key
                )
            seen.add(entry.key)


def _is_one(items: object) -> bool:
    if isinstance(items, str | os.PathLike | bytes | bytearray | memoryview) or hasattr(items, "read"):
        return True
    if not isinstance(items, Iterable):
        raise _no_item(items)
    return isinstance(items, tuple) and len(items) == 2 and isinstance(items[1], str)


def _pair(item: object) -> tuple[Any, str | None]:
    if not isinstance(item, tuple):
        return item, None
    if len(item) != 2 or not isinstance(item[1], str):
        raise BadInput(f"a tuple of {len(item)} is no pair of an item and its key, a string.")
    return item


def _no_item(content: object) -> BadInput:
    return BadInput(f"{type(content).__name__} is no path, no bytes and no binary stream; nothing else can be added.")


def _stream_name(stream: object) -> str:
    name = getattr(stream, "name", None)
    if not isinstance(name, str):
        raise BadInput('this stream has no name; add it with a key: (stream, "film.mp4").')
    return os.path.basename(name)
