"""What `VVOS.add_files` takes, under which key it goes, and that a fault costs one file only."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from vvos_core import VVOS, BadInput, BadKey, DuplicateKey, Result, SourceError, SourceMissing, hookimpl
from vvos_core.model import Grant, TokenRequest

from ..engine.cloud import Cloud
from .uploading import client


class Seeing(Cloud):
    """Keeps what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[TokenRequest] = []

    @hookimpl
    def token(self, request: TokenRequest) -> Any:
        self.asked.append(request)
        return super().token(request)

    @property
    def types(self) -> dict[str, str]:
        return {ask.key: ask.type for request in self.asked for ask in request.files}


@pytest.fixture
def cloud() -> Seeing:
    return Seeing()


@pytest.fixture
def vvos(cloud: Seeing, monkeypatch: pytest.MonkeyPatch) -> VVOS:
    return client(monkeypatch, cloud)


def tree(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(os.fsencode(name))
    return folder


def failed(results: list[Result]) -> list[tuple[str, str, str]]:
    """Key, code and sentence of what failed."""
    return [(item.client_key, item.error.code, str(item.error)) for item in results if item.error is not None]


# ── every kind of item ────────────────────────────────────────────────────────────────────────────────────────────────


class PathLike:
    def __init__(self, path: str | bytes) -> None:
        self._path = path

    def __fspath__(self) -> Any:
        return self._path


ITEMS: dict[str, Callable[[Path], Any]] = {
    "a path": lambda path: str(path),
    "a Path": lambda path: path,
    "a path-like": lambda path: PathLike(str(path)),
    "a path-like of bytes": lambda path: PathLike(os.fsencode(path)),
    "an open file": lambda path: path.open("rb"),
    "a pair of a path": lambda path: (str(path), "电影.mp4"),
    "a pair of bytes": lambda path: (b"content", "电影.mp4"),
    "a pair of a bytearray": lambda path: (bytearray(b"content"), "电影.mp4"),
    "a pair of a view": lambda path: (memoryview(b"content"), "电影.mp4"),
    "a pair of a stream": lambda path: (io.BytesIO(b"content"), "电影.mp4"),
}


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("what", ITEMS)
def test_each_kind_of_item_arrives(what: str, several: bool, vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    path = tmp_path / "电影.mp4"
    path.write_bytes(b"content")
    item = ITEMS[what](path)
    vvos.add_files([item] if several else item)
    [result] = vvos.submit()
    if hasattr(item, "close"):
        item.close()
    assert result.error is None
    assert (result.client_key, result.key, result.size, result.state) == ("电影.mp4", "电影.mp4", 7, "done")
    assert cloud.objects == {"电影.mp4": b"content"}
    assert cloud.types == {"电影.mp4": "video/mp4"}


def test_items_of_all_kinds_go_together_from_any_iterable(vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    tree(tmp_path, "d/a", "b")
    items: Iterator[Any] = (
        item for item in [str(tmp_path / "d"), (b"x", "c"), tmp_path / "b", (io.BytesIO(b"y"), "e")]
    )
    vvos.add_files(items)
    assert [result.client_key for result in vvos.submit()] == ["d/a", "c", "b", "e"]
    assert cloud.objects == {"d/a": b"d/a", "c": b"x", "b": b"b", "e": b"y"}


def test_files_add_up_over_calls(vvos: VVOS, cloud: Seeing) -> None:
    vvos.add_files((b"1", "a"))
    vvos.add_files([(b"2", "b"), (b"3", "c")], prefix="p/")
    vvos.add_files([])
    vvos.submit()
    assert cloud.objects == {"a": b"1", "p/b": b"2", "p/c": b"3"}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (None, "NoneType is no path"),
        (5, "int is no path"),
        ([5], "int is no path"),
        ([None], "NoneType is no path"),
        ([["a", "b"]], "list is no path"),
        (b"x", "bytes have no name"),
        ([bytearray(b"x")], "bytes have no name"),
        (io.BytesIO(b"x"), "stream has no name"),
        ([(b"x", 5)], "pair"),
        ([(b"x", "a", "b")], "pair"),
        ([()], "pair"),
        ([(5, "a")], "int is no path"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_item_is_refused_with_what_it_is(item: Any, words: str, vvos: VVOS) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        vvos.add_files(item)
    assert str(caught.value).endswith(".")


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("prefix", "key"), [("", "a"), ("p/", "p/a"), ("p-", "p-a"), ("照片/2024/", "照片/2024/a")])
def test_a_prefix_stands_before_every_key(prefix: str, key: str, vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    tree(tmp_path, "a", "d/x")
    vvos.add_files([str(tmp_path / "a"), str(tmp_path / "d"), (b"", "y")], prefix=prefix)
    vvos.submit()
    assert cloud.objects.keys() == {key, f"{prefix}d/x", f"{prefix}y"}


BAD_KEYS = ["", "/a", "a//b", "a/../b", "..", "a/", "a\nb", "x" * 2000, "cafe\u0301", "a\udcff"]


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: ascii(key)[:20])
def test_a_bad_key_costs_its_file_only_and_is_not_sent(key: str, vvos: VVOS, cloud: Seeing) -> None:
    vvos.add_files([(b"1", "一"), (b"2", key), (b"3", "三")])
    results = vvos.submit()
    assert [result.state for result in results] == ["done", "failed", "done"]
    assert isinstance(results[1].error, BadKey)
    assert results[1].client_key == key
    assert cloud.objects == {"一": b"1", "三": b"3"}
    assert all(ask.key != key for request in cloud.asked for ask in request.files)


def test_a_prefix_can_make_a_key_bad(vvos: VVOS, cloud: Seeing) -> None:
    vvos.add_files((b"1", "a"), prefix="../")
    [(_, code, _)] = failed(vvos.submit())
    assert code == "BAD_KEY"
    assert cloud.counts["token"] == 0


def test_a_key_that_is_longer_than_the_provider_takes_costs_its_file_only(vvos: VVOS, cloud: Seeing) -> None:
    vvos.add_files([(b"1", "x" * 101), (b"2", "b")])
    [(key, code, message)] = failed(vvos.submit())
    assert (key, code) == ("x" * 101, "BAD_KEY")
    assert "100 bytes" in message
    assert cloud.objects == {"b": b"2"}


def test_two_files_of_one_key_are_refused_before_anything_is_sent(vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    tree(tmp_path, "x/甲", "y/甲", "z")
    vvos.add_files([str(tmp_path / "z"), str(tmp_path / "x/甲"), str(tmp_path / "y/甲")])
    with pytest.raises(DuplicateKey, match="甲") as caught:
        vvos.submit()
    assert caught.value.key == "甲"
    assert not cloud.counts
    assert cloud.objects == {}


def test_two_folders_of_one_name_are_refused_where_their_files_meet(vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    tree(tmp_path, "1/d/a", "2/d/b")
    vvos.add_files([str(tmp_path / "1/d"), str(tmp_path / "2/d")])
    assert {result.client_key for result in vvos.submit()} == {"d/a", "d/b"}
    vvos.add_files([str(tmp_path / "1/d"), str(tmp_path / "1/d/")])
    with pytest.raises(DuplicateKey, match="d/a"):
        vvos.submit()


# ── folders ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", ["{}", "{}/", "{}//", "{}/.", "{}/sub/.."])
def test_a_folders_files_go_under_its_name(
    form: str, vvos: VVOS, cloud: Seeing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path / "相册", "一.jpg", "sub/deep/二.jpg", ".hidden")
    vvos.add_files(form.format(tmp_path / "相册"))
    vvos.submit()
    name = "" if form.endswith("..") else "相册/"
    assert sorted(cloud.objects) == sorted([f"{name}一.jpg", f"{name}sub/deep/二.jpg", f"{name}.hidden"])


@pytest.mark.parametrize(("folder", "below"), [(".", ""), ("./", ""), ("..", ""), ("../d", "d/"), ("sub", "sub/")])
def test_a_folder_without_a_name_of_its_own_adds_none(
    folder: str, below: str, vvos: VVOS, cloud: Seeing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "d/sub/a")
    monkeypatch.chdir(tmp_path / "d")
    vvos.add_files(folder)
    vvos.submit()
    where = {".": "sub/a", "./": "sub/a", "..": "d/sub/a", "../d": "sub/a", "sub": "a"}[folder]
    assert list(cloud.objects) == [below + where]


@pytest.mark.parametrize(("key", "expected"), [("b", "b/x"), ("b/", "b/x"), ("b/c", "b/c/x"), ("", "x")])
def test_a_pair_gives_a_folder_another_name(key: str, expected: str, vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    tree(tmp_path, "d/x")
    vvos.add_files((str(tmp_path / "d"), key), prefix="p/")
    vvos.submit()
    assert list(cloud.objects) == [f"p/{expected}"]


@pytest.mark.parametrize("names", [(), ("sub/",)])
def test_a_folder_without_a_file_is_one_sentence(
    names: tuple[str, ...], vvos: VVOS, cloud: Seeing, tmp_path: Path
) -> None:
    (tmp_path / "空").mkdir()
    for name in names:
        (tmp_path / "空" / name).mkdir()
    vvos.add_files([str(tmp_path / "空"), (b"x", "a")])
    [(key, code, message)] = failed(vvos.submit())
    assert (key, code) == ("空", "SOURCE_MISSING")
    assert message == f"{tmp_path / '空'} has no files in it; give a folder with files."
    assert cloud.objects == {"a": b"x"}


def test_two_empty_folders_are_two_sentences(vvos: VVOS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "e").mkdir()
    monkeypatch.chdir(tmp_path / "e")
    vvos.add_files([".", ".", (b"", "e")])
    assert [code for _, code, _ in failed(vvos.submit())] == ["SOURCE_MISSING"] * 2


def test_links_in_a_folder_lead_in_no_circle(vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    tree(tmp_path, "d/a")
    (tmp_path / "d/circle").symlink_to(tmp_path / "d")
    (tmp_path / "d/link").symlink_to(tmp_path / "d/a")
    vvos.add_files(str(tmp_path / "d"))
    vvos.submit()
    assert cloud.objects == {"d/a": b"d/a", "d/link": b"d/a"}


def test_what_cannot_be_read_in_a_folder_costs_itself_only(
    vvos: VVOS, cloud: Seeing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "d/a", "d/shut/x", "d/z/y", "d/z/\udcff")
    (tmp_path / "d/broken").symlink_to("nowhere")
    (tmp_path / "d/loop").symlink_to("loop")
    os.mkfifo(tmp_path / "d/pipe")
    scandir = os.scandir

    def listing(path: str) -> Any:
        if os.path.basename(path) == "shut":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)  # root may list everything
    vvos.add_files(str(tmp_path / "d"))
    told = {key: code for key, code, _ in failed(vvos.submit())}
    assert told == {
        "d/broken": "SOURCE_MISSING",
        "d/loop": "SOURCE",
        "d/pipe": "SOURCE",
        "d/shut": "SOURCE",
        "d/z/\udcff": "BAD_KEY",
    }
    assert cloud.objects == {"d/a": b"d/a", "d/z/y": b"d/z/y"}


def test_a_folder_that_itself_cannot_be_read_is_one_sentence(
    vvos: VVOS, cloud: Seeing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "d/a")

    def listing(path: str) -> Any:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "scandir", listing)
    vvos.add_files(str(tmp_path / "d"))
    [(key, code, message)] = failed(vvos.submit())
    assert (key, code) == ("d", "SOURCE")
    assert "permission denied" in message


# ── what cannot be read ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("missing.txt", "SOURCE_MISSING"),
        ("missing/", "SOURCE_MISSING"),
        ("a/below", "SOURCE"),
        ("", "SOURCE_MISSING"),
        ("x" * 300, "SOURCE"),
        ("a\0b", "BAD_KEY"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_a_path_that_cannot_be_read_costs_itself_only(
    path: str, code: str, vvos: VVOS, cloud: Seeing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree(tmp_path, "a", "b")
    monkeypatch.chdir(tmp_path)
    vvos.add_files(["a", path, "b"])
    results = vvos.submit()
    assert [result.state for result in results] == ["done", "failed", "done"]
    [(_, said, message)] = failed(results)
    assert said == code
    assert message.endswith(".")
    assert "\n" not in message
    assert cloud.objects == {"a": b"a", "b": b"b"}


def test_a_path_with_a_null_under_a_good_key_is_one_sentence(vvos: VVOS) -> None:
    vvos.add_files(("a\0b", "good"))
    [result] = vvos.submit()
    assert type(result.error) is SourceError


def test_a_stream_that_fails_costs_itself_only(vvos: VVOS, cloud: Seeing) -> None:
    class Failing(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    vvos.add_files([(b"1", "a"), (Failing(), "流"), (b"3", "c")])  # type: ignore[list-item]  # a stream by its one method
    [(key, code, message)] = failed(vvos.submit())
    assert (key, code) == ("流", "SOURCE")
    assert message == "流 cannot be read: input/output error."
    assert sorted(cloud.objects) == ["a", "c"]


def test_missing_files_of_one_name_are_each_told(vvos: VVOS, tmp_path: Path) -> None:
    vvos.add_files([tmp_path / "1/x", tmp_path / "2/x"])
    results = vvos.submit()
    assert [type(result.error) for result in results] == [SourceMissing, SourceMissing]


def test_nothing_is_opened_before_its_key_is_good(vvos: VVOS) -> None:
    class Untouched(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise AssertionError("read")

    vvos.add_files((Untouched(), "a/../b"))  # type: ignore[arg-type]  # a stream by its one method
    [(_, code, _)] = failed(vvos.submit())
    assert code == "BAD_KEY"


# ── media type and metadata ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_media_type_is_guessed_from_the_key_or_given(vvos: VVOS, cloud: Seeing, tmp_path: Path) -> None:
    tree(tmp_path, "page.html")
    vvos.add_files([str(tmp_path / "page.html"), (str(tmp_path / "page.html"), "图.png"), (b"", "raw")])
    vvos.add_files([(b"", "other.png"), (b"", "none")], type="text/x-own")
    vvos.submit()
    assert cloud.types == {
        "page.html": "text/html",
        "图.png": "image/png",
        "raw": "application/octet-stream",
        "other.png": "text/x-own",
        "none": "text/x-own",
    }


def test_metadata_goes_with_each_file_as_it_was_when_it_was_added(vvos: VVOS, cloud: Seeing) -> None:
    metadata = {"owner": "甲"}
    vvos.add_files([(b"", "a"), (b"", "b")], metadata=metadata)
    metadata["owner"] = "乙"
    vvos.add_files((b"", "c"))
    vvos.submit()
    told = {ask.key: dict(ask.metadata) for request in cloud.asked for ask in request.files}
    assert told == {"a": {"owner": "甲"}, "b": {"owner": "甲"}, "c": {}}


def test_bytes_are_taken_as_they_are_when_they_are_added(vvos: VVOS, cloud: Seeing) -> None:
    data = bytearray(b"before")
    vvos.add_files([(data, "a"), (memoryview(data), "b")])
    data[:] = b"later!"
    vvos.submit()
    assert cloud.objects == {"a": b"before", "b": b"before"}


def test_a_grants_repr_keeps_its_capability_to_itself() -> None:
    grant = Grant(provider="p", key="k", client_key="k", size=1, access_token="s3cr3t", data={"t": "s3cr3t"})
    assert "s3cr3t" not in repr(grant)
