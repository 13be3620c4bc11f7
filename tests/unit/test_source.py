"""vvos_core.source: what can be uploaded is read as often as needed, and a change or a fault is told in a sentence."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from msgspec import structs

from vvos_core import SourceChanged, SourceError, SourceMissing
from vvos_core.source import (
    BLOCK,
    BytesSource,
    FileSource,
    Fingerprint,
    Likeness,
    Source,
    SourceChunk,
    StreamSource,
    compare,
    guess_type,
    walk,
)

DATA = bytes(index * 7 % 251 for index in range(3 * BLOCK + 17))


def read(chunk: SourceChunk) -> bytes:
    return b"".join(bytes(block) for block in chunk)


def file_source(folder: Path, data: bytes) -> FileSource:
    path = folder / "源.bin"
    path.write_bytes(data)
    return FileSource(path)


KINDS: dict[str, Callable[[Path, bytes], Source]] = {
    "file": file_source,
    "bytes": lambda folder, data: BytesSource(data, "b"),
    "bytearray": lambda folder, data: BytesSource(bytearray(data), "b"),
    "memoryview": lambda folder, data: BytesSource(memoryview(data), "b"),
    "stream": lambda folder, data: StreamSource(io.BytesIO(data), "s"),
}


# ── what all kinds have in common ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, len(DATA)])
def test_a_chunk_gives_its_bytes_again_and_again(kind: str, size: int, tmp_path: Path) -> None:
    source = KINDS[kind](tmp_path, DATA[:size])
    assert source.size == size
    chunk = source.chunk(3, 0, size)
    assert (chunk.number, chunk.offset, len(chunk)) == (3, 0, size)
    assert read(chunk) == read(chunk) == DATA[:size]
    source.check()
    source.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_chunk_is_its_range_and_no_more(kind: str, tmp_path: Path) -> None:
    source = KINDS[kind](tmp_path, DATA)
    for offset, length in [(0, 1), (BLOCK - 1, 2), (BLOCK, BLOCK), (5, len(DATA) - 9), (len(DATA), 0)]:
        assert read(source.chunk(1, offset, length)) == DATA[offset : offset + length]
    source.close()


@pytest.mark.parametrize("kind", KINDS)
def test_many_threads_read_different_chunks_at_once(kind: str, tmp_path: Path) -> None:
    source = KINDS[kind](tmp_path, DATA)
    step = BLOCK // 3
    chunks = [source.chunk(1, offset, min(step, len(DATA) - offset)) for offset in range(0, len(DATA), step)]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert b"".join(pool.map(read, chunks)) == DATA
    source.close()


@pytest.mark.parametrize("kind", KINDS)
def test_who_counts_is_told_of_each_block_and_of_each_new_pass(kind: str, tmp_path: Path) -> None:
    source = KINDS[kind](tmp_path, DATA)
    told: list[int] = []
    chunk = source.chunk(1, 0, len(DATA), told.append)
    next(iter(chunk))
    assert told == [0], "what was handed out is not counted before it was taken"
    read(chunk)
    assert told[:3] == [0, 0, BLOCK]
    assert told[1:] == sorted(set(told[1:]))
    assert told[-1] == len(DATA)
    source.close()


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def grow(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"x")


def shrink(path: Path) -> None:
    os.truncate(path, 5)


def edit(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"z" * before.st_size)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def replace(path: Path) -> None:
    other = path.with_name("other")
    before = path.stat()
    other.write_bytes(b"z" * before.st_size)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(other, path)


def delete(path: Path) -> None:
    path.unlink()


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES = [grow, shrink, edit, replace, delete, to_folder, to_pipe]


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changed_is_told_by_look_and_by_reading(change: Callable[[Path], None], tmp_path: Path) -> None:
    source = file_source(tmp_path, DATA)
    chunk = source.chunk(1, 0, len(DATA))
    change(tmp_path / "源.bin")
    with pytest.raises(SourceChanged, match=r"源\.bin"):
        source.check()
    with pytest.raises(SourceChanged, match=r"源\.bin"):
        next(iter(chunk))


@pytest.mark.parametrize("change", [grow, shrink, edit])
def test_a_file_that_changes_between_two_blocks_never_gives_its_last(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    source = file_source(tmp_path, DATA)
    blocks = iter(source.chunk(1, 0, len(DATA)))
    got: list[int] = [len(next(blocks))]
    change(tmp_path / "源.bin")
    with pytest.raises(SourceChanged):
        got.extend(map(len, blocks))
    assert sum(got) < len(DATA)


def test_a_process_that_reads_a_file_that_is_cut_off_lives_on(tmp_path: Path) -> None:
    """A mapped file would end it with SIGBUS, so this is tried in a process of its own."""
    path = tmp_path / "f"
    path.write_bytes(DATA)
    code = (
        "import os, sys\n"
        "from vvos_core import SourceChanged\n"
        "from vvos_core.source import FileSource\n"
        "source = FileSource(sys.argv[1])\n"
        "blocks = iter(source.chunk(1, 0, source.size))\n"
        "first = next(blocks)\n"
        "os.truncate(sys.argv[1], 0)\n"
        "sum(first)\n"
        "try:\n"
        "    for block in blocks: sum(block)\n"
        "except SourceChanged as error: print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "SOURCE_CHANGED\n", "")


def test_a_file_that_is_replaced_while_it_is_read_gives_the_old_bytes_and_is_then_told(tmp_path: Path) -> None:
    source = file_source(tmp_path, DATA)
    blocks = iter(source.chunk(1, 0, len(DATA)))
    first = bytes(next(blocks))
    replace(tmp_path / "源.bin")
    assert first + b"".join(bytes(block) for block in blocks) == DATA
    with pytest.raises(SourceChanged):
        source.check()


def test_what_cannot_be_read_is_one_sentence_each(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    cases: list[tuple[str, type[SourceError], str]] = [
        ("missing", SourceMissing, "is not there"),
        ("broken", SourceMissing, "is not there"),
        ("folder", SourceError, "not a regular file"),
        ("pipe", SourceError, "not a regular file"),
        ("socket", SourceError, "not a regular file"),
        ("loop", SourceError, "too many levels"),
        ("file/below", SourceError, "not a directory"),
        ("x" * 300, SourceError, "file name too long"),
        ("a\0b", SourceError, "cannot be read"),
        ("缺失.txt", SourceMissing, "缺失.txt is not there"),
    ]
    here = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)  # a socket's path must be short
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        for name, error, words in cases:
            with pytest.raises(error, match=words) as caught:
                FileSource(tmp_path / name)
            assert type(caught.value) is error
            assert str(caught.value).endswith(".")
            assert "\n" not in str(caught.value)


def test_a_file_that_may_not_be_read_is_refused_when_it_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"x")
    monkeypatch.setattr(os, "access", lambda *_: False)  # the mode itself means nothing to root
    with pytest.raises(SourceError, match="permission denied"):
        FileSource(path)


def test_waiting_files_keep_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/dev/fd"))
    sources = []
    for number in range(50):
        path = tmp_path / str(number)
        path.write_bytes(b"x")
        sources.append(FileSource(path))
        read(sources[-1].chunk(1, 0, 1))
    assert len(os.listdir("/dev/fd")) == before


def test_a_pass_that_is_left_half_way_closes_the_file(tmp_path: Path) -> None:
    source = file_source(tmp_path, DATA)
    before = len(os.listdir("/dev/fd"))
    blocks = iter(source.chunk(1, 0, len(DATA)))
    next(blocks)
    assert len(os.listdir("/dev/fd")) == before + 1
    del blocks
    assert len(os.listdir("/dev/fd")) == before


def test_a_name_that_is_not_text_can_be_shown(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff.bin")
    Path(path).write_bytes(b"x")
    source = FileSource(path)
    assert source.label.endswith("\\udcff.bin")
    assert read(source.chunk(1, 0, 1)) == b"x"


def test_what_does_not_change_the_bytes_changes_nothing(tmp_path: Path) -> None:
    """A mode, a second name, a new name's link: they move the time of the status, which is therefore not compared."""
    source = file_source(tmp_path, DATA)
    path = tmp_path / "源.bin"
    blocks = iter(source.chunk(1, 0, len(DATA)))
    first = bytes(next(blocks))
    path.chmod(0o600)
    os.link(path, tmp_path / "second")
    assert path.stat().st_ctime_ns != source.fingerprint.status or path.stat().st_nlink == 2
    source.check()
    assert first + b"".join(bytes(block) for block in blocks) == DATA


class Numbers:
    """A file system that gives each look an inode number of its own, or, with ``steady``, one that is not the first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steady: bool) -> None:
        self.looks = 0
        self._steady = steady
        self._look = {name: getattr(os, name) for name in ("stat", "fstat")}
        for name in self._look:
            monkeypatch.setattr(os, name, lambda *args, name=name, **options: self.altered(name, *args, **options))

    def altered(self, name: str, *args: Any, **options: Any) -> os.stat_result:
        info = self._look[name](*args, **options)
        if not stat.S_ISREG(info.st_mode):
            return info  # type: ignore[no-any-return]  # what os answers
        self.looks += 1
        made = 7 if self._steady else 1000 + self.looks
        times = {field: getattr(info, field) for field in dir(info) if field.startswith("st_")}
        return os.stat_result((info[0], made, *info[2:10]), times)


def test_a_file_system_without_stable_inodes_can_be_uploaded_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = Numbers(monkeypatch, steady=False)
    source = file_source(tmp_path, DATA)
    source.check()
    assert numbers.looks == 4, "one, compared with one, and two more to see"
    assert read(source.chunk(1, 0, len(DATA))) == DATA
    source.check()
    assert numbers.looks == 7, "from then on they are ignored"
    edit(tmp_path / "源.bin")
    with pytest.raises(SourceChanged):
        source.check()


def test_an_inode_that_is_another_once_and_for_all_is_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = file_source(tmp_path, DATA)
    Numbers(monkeypatch, steady=True)
    with pytest.raises(SourceChanged):
        source.check()


def test_a_source_is_small() -> None:
    """A hundred thousand of them wait at a time."""
    tracemalloc.start()
    try:
        sources = [FileSource(__file__) for _ in range(1000)]
        assert tracemalloc.get_traced_memory()[0] / len(sources) < 600
    finally:
        tracemalloc.stop()


# ── from one run to the next ──────────────────────────────────────────────────────────────────────────────────────────

SECOND = 10**9
AT = 1_700_000_000
BEFORE = Fingerprint(device=1, inode=2, size=3, changed=(AT - 2) * SECOND, status=(AT - 9) * SECOND)


@pytest.mark.parametrize(
    ("before", "now", "likeness"),
    [
        ({}, {}, Likeness.SAME),
        ({}, {"size": 4}, Likeness.OTHER),
        ({}, {"size": 4, "inode": 9, "changed": 0}, Likeness.OTHER),
        ({}, {"device": 9}, Likeness.PERHAPS),
        ({}, {"inode": 9}, Likeness.PERHAPS),
        ({}, {"changed": BEFORE.changed + 1}, Likeness.PERHAPS),
        ({}, {"status": BEFORE.status + 1}, Likeness.PERHAPS),
        ({"changed": BEFORE.changed + 1000}, {}, Likeness.PERHAPS),
        ({"status": BEFORE.changed + 1000}, {}, Likeness.PERHAPS),
        ({"changed": (AT + 99) * SECOND}, {}, Likeness.PERHAPS),
    ],
)
def test_a_file_is_the_same_only_when_nothing_says_otherwise(
    before: dict[str, int], now: dict[str, int], likeness: Likeness
) -> None:
    first = structs.replace(BEFORE, **before)
    assert compare(first, structs.replace(first, **now), AT) is likeness


def test_two_edits_within_a_tick_are_not_taken_for_one_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"one")
    source = FileSource(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(0, source.fingerprint.changed))
    assert compare(source.fingerprint, FileSource(path).fingerprint, time.time()) is Likeness.PERHAPS
    settled = source.fingerprint.status / 1e9 + 5
    assert compare(source.fingerprint, source.fingerprint, settled) is Likeness.SAME
    assert compare(source.fingerprint, source.fingerprint, settled - 4) is Likeness.PERHAPS


def test_a_file_of_a_gibibyte_takes_no_memory_to_speak_of(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    source = FileSource(path)
    tracemalloc.start()
    try:
        assert sum(len(block) for block in source.chunk(1, 0, source.size)) == 1 << 30
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * BLOCK


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bytes_are_those_of_the_moment_when_they_were_added() -> None:
    data = bytearray(b"abcdef")
    sources = [
        BytesSource(data, "x"),
        BytesSource(memoryview(data), "x"),
        BytesSource(memoryview(data).toreadonly(), "x"),
    ]
    data[:] = b"ABCDEF"
    assert [read(source.chunk(1, 0, 6)) for source in sources] == [b"abcdef"] * 3
    data.extend(b"and free to grow")


def test_a_view_of_any_shape_is_its_bytes_in_order() -> None:
    assert read(BytesSource(memoryview(b"abcdef")[::2], "x").chunk(1, 0, 3)) == b"ace"
    wide = memoryview(b"abcdefgh").cast("H", (2, 2))
    assert BytesSource(wide, "x").size == 8
    assert read(BytesSource(wide, "x").chunk(1, 0, 8)) == b"abcdefgh"


def test_plain_bytes_are_not_copied() -> None:
    data = bytes(8 << 20)
    tracemalloc.start()
    try:
        source = BytesSource(data, "x")
        read(source.chunk(1, 0, BLOCK))
        assert tracemalloc.get_traced_memory()[1] < 4 * BLOCK
    finally:
        tracemalloc.stop()


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Stream(io.RawIOBase):
    """Gives what ``answers`` holds, one at a time; raises what is an error."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)

    def read(self, size: int = -1) -> bytes | None:
        answer = self._answers.pop(0) if self._answers else b""
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[return-value]  # wrong types are among what is tried


def test_a_pipe_is_read_to_its_end_once_and_can_be_read_again(tmp_path: Path) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with open(writer, "wb") as file:
            file.write(DATA)

    thread = threading.Thread(target=write)
    thread.start()
    with open(reader, "rb") as stream:
        assert not stream.seekable()
        source = StreamSource(stream, "管道")
    thread.join()
    assert source.size == len(DATA)
    assert read(source.chunk(1, 7, BLOCK)) == DATA[7 : 7 + BLOCK]
    assert read(source.chunk(1, 0, source.size)) == DATA
    source.close()


def test_a_stream_is_read_from_where_it_stands() -> None:
    stream = io.BytesIO(b"abcdef")
    stream.seek(2)
    source = StreamSource(stream, "x")
    assert read(source.chunk(1, 0, source.size)) == b"cdef"
    source.close()


def test_a_stream_may_give_any_kind_of_bytes() -> None:
    source = StreamSource(Stream(b"a", bytearray(b"b"), memoryview(b"c")), "x")  # type: ignore[arg-type]  # a stream by its one method
    assert read(source.chunk(1, 0, source.size)) == b"abc"
    source.close()


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (io.StringIO("text"), "open it in binary mode"),
        (io.StringIO(""), "open it in binary mode"),
        (io.TextIOWrapper(io.BytesIO(b"\xff\xfe")), "cannot be read"),
        (Stream(b"begin", OSError(5, "Input/output error")), "input/output error"),
        (Stream(b"begin", TimeoutError()), "cannot be read"),
        (Stream(b"begin", RuntimeError("a library's own")), "RuntimeError"),
        (Stream(b"begin", None, b"end"), "blocking"),
        (Stream(5), "gives int"),
    ],
)
def test_a_stream_that_fails_is_one_sentence(stream: io.RawIOBase, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        StreamSource(stream, "流")  # type: ignore[arg-type]  # text streams are among what is tried
    assert str(caught.value).startswith("流 ")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def test_a_closed_stream_is_one_sentence() -> None:
    stream = io.BytesIO(b"x")
    stream.close()
    with pytest.raises(SourceError, match="closed file"):
        StreamSource(stream, "x")


@pytest.mark.filterwarnings("error::ResourceWarning")
def test_a_stream_that_fails_leaves_no_file_open() -> None:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(SourceError):
        StreamSource(Stream(b"x", OSError(5, "gone")), "x")  # type: ignore[arg-type]  # a stream by its one method
    assert len(os.listdir("/dev/fd")) == before


def test_a_full_temporary_folder_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(SourceError, match="no space left"):
        StreamSource(io.BytesIO(b"x"), "x")


def test_a_stream_that_is_closed_while_a_worker_reads_ends_the_worker_in_order() -> None:
    """The engine closes a source when its file has ended, and a chunk of it may still be on its way."""
    from vvos_core import Cancelled

    source = StreamSource(io.BytesIO(DATA), "x")
    blocks = iter(source.chunk(1, 0, source.size))
    next(blocks)
    source.close()
    with pytest.raises(Cancelled):
        next(blocks)


# ── folders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def names(folder: str | Path) -> list[str]:
    return [relative for _, relative in walk(folder)]


def tree(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_folder_is_walked_in_the_order_of_its_names(tmp_path: Path) -> None:
    tree(tmp_path, "b", "a", "é", "文/二", "文/一", "c/z/1", "c/a", "c/y/2", ".hidden")
    assert names(tmp_path) == [".hidden", "a", "b", "é", "c/a", "c/y/2", "c/z/1", "文/一", "文/二"]
    assert names(tmp_path) == names(tmp_path)
    for path, relative in walk(tmp_path):
        assert Path(path).read_bytes() == relative.encode()


@pytest.mark.parametrize("form", ["{}", "{}/", "{}/.", "{}//", "{}/sub/.."])
def test_however_a_folder_is_written_its_names_are_the_same(form: str, tmp_path: Path) -> None:
    tree(tmp_path, "a", "sub/b")
    assert names(form.format(tmp_path)) == ["a", "sub/b"]


def test_the_working_folder_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a", "sub/b")
    monkeypatch.chdir(tmp_path)
    assert names(".") == ["a", "sub/b"]


def test_links_to_files_are_followed_and_links_to_folders_lead_in_no_circle(tmp_path: Path) -> None:
    tree(tmp_path, "d/a")
    (tmp_path / "d/self").symlink_to(tmp_path / "d")
    (tmp_path / "d/up").symlink_to(tmp_path)
    (tmp_path / "d/link").symlink_to(tmp_path / "d/a")
    (tmp_path / "way").symlink_to(tmp_path / "d")
    assert names(tmp_path) == ["d/a", "d/link"]
    assert names(tmp_path / "way") == ["a", "link"], "the folder that was named may be a link"


def test_names_that_are_not_text_come_out_as_they_are(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_bytes(b"x")
    assert names(tmp_path) == ["\udcff"]


def refuse_to_list(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may list everything, so the refusal is made here."""
    scandir = os.scandir

    def listing(path: str) -> object:
        if os.path.basename(path) == name:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)


def test_a_folder_that_cannot_be_read_is_told_and_the_rest_is_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a/1", "b/2", "c/3")
    refuse_to_list("b", monkeypatch)
    told: list[tuple[str, SourceError]] = []
    found = [relative for _, relative in walk(tmp_path, lambda relative, error: told.append((relative, error)))]
    assert found == ["a/1", "c/3"]
    [(relative, error)] = told
    assert relative == "b"
    assert "permission denied" in str(error)


def test_a_folder_that_cannot_be_read_is_raised_where_nobody_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "b/2")
    refuse_to_list("b", monkeypatch)
    with pytest.raises(SourceError, match="permission denied"):
        list(walk(tmp_path))


# ── media types ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("key", "type_"),
    [
        ("a.txt", "text/plain"),
        ("目录/图.PNG", "image/png"),
        ("a.mp4", "video/mp4"),
        ("a.tar.gz", "application/octet-stream"),
        ("a.nothing", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("data:text/html,x.png", "image/png"),
        ("data:a\u4e2d/b,x", "application/octet-stream"),
        ("http://x/y.txt?a.png", "image/png"),
    ],
)
def test_the_type_is_guessed_from_the_end_of_the_name(key: str, type_: str) -> None:
    assert guess_type(key) == type_


@given(key=st.text(max_size=30))
def test_a_guessed_type_can_always_be_sent(key: str) -> None:
    assert guess_type(key).isascii()
    assert guess_type(key).count("/") == 1
