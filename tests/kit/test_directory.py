"""The directory provider keeps to its folder, and acts on nothing that it has not signed."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from vvos_core import (
    Ask,
    BadInput,
    BadKey,
    ConfigError,
    Denied,
    Exists,
    ExistsRequest,
    Found,
    Grant,
    Mismatch,
    NotFound,
    Notified,
    NotifyRequest,
    Profile,
    TokenRequest,
    VVOSError,
)
from vvos_core.builtin.directory import Directory, DirectorySettings
from vvos_core.builtin.folder import Folder
from vvos_core.model import Finished
from vvos_core.testing.doubles import Piece

DATA = "内容".encode() * 100


class Desk:
    """A folder, and the provider's two halves at it."""

    def __init__(self, root: Path, **changes: Any) -> None:
        self.root = root
        self.granting = Directory(DirectorySettings(root=str(root), threshold=1000, part_size=250, **changes))
        self.storing = Directory(None)

    def asked(self, key: str, size: int = len(DATA), cover: bool = False) -> Grant | VVOSError:
        ask = Ask(client_key=key, key=key, size=size)
        now = time.time()
        request = TokenRequest(files=(ask,), request_token="e30.", issued_at=now, expires_at=now + 60, cover=cover)
        return self.granting.token(request)[0]

    def grant(self, key: str, size: int = len(DATA), cover: bool = False) -> Grant:
        answer = self.asked(key, size, cover)
        assert isinstance(answer, Grant), answer
        return answer

    def put(self, key: str, cover: bool = False) -> Grant:
        grant = self.grant(key, cover=cover)
        self.storing.put_chunk(grant, Piece(DATA))
        return grant

    def look(self, grant: Grant) -> Found | VVOSError:
        return self.granting.exists(ExistsRequest(grants=(grant,), parts=True))[0]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    (tmp_path / "根").mkdir()
    return Desk(tmp_path / "根")


def test_the_key_is_the_path(desk: Desk) -> None:
    desk.put("目录/带 空格/文件.txt")
    assert (desk.root / "目录/带 空格/文件.txt").read_bytes() == DATA
    assert os.listdir(desk.root / ".vvos" / "temp") == []


def test_only_the_owner_reads_the_secret(desk: Desk) -> None:
    desk.put("a")
    assert stat.S_IMODE((desk.root / ".vvos" / "secret").stat().st_mode) == 0o600
    assert len((desk.root / ".vvos" / "secret").read_bytes()) == 32


@pytest.mark.parametrize("key", [".vvos/secret", ".VVOS/uploads/x", ".vvos"])
def test_no_key_leads_into_the_folders_own(desk: Desk, key: str) -> None:
    assert isinstance(desk.asked(key), BadKey)


@pytest.mark.parametrize("cover", [False, True])
def test_a_linked_folder_is_not_followed(desk: Desk, tmp_path: Path, cover: bool) -> None:
    (tmp_path / "outside").mkdir()
    (desk.root / "link").symlink_to(tmp_path / "outside")
    with pytest.raises(BadKey, match="a link"):
        desk.put("link/a.txt", cover)
    assert os.listdir(tmp_path / "outside") == []


def test_a_linked_file_is_replaced_and_not_written_through(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("theirs")
    (desk.root / "a.txt").symlink_to(tmp_path / "outside.txt")
    assert isinstance(desk.look(desk.grant("a.txt")), BadKey)
    desk.put("a.txt", cover=True)
    assert (tmp_path / "outside.txt").read_text() == "theirs"
    assert (desk.root / "a.txt").read_bytes() == DATA


def test_an_upload_that_was_made_a_link_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    grant = desk.grant("big", 2000)
    uploads = desk.root / ".vvos" / "uploads"
    (uploads / grant.upload_id).rmdir()
    (uploads / grant.upload_id).symlink_to(tmp_path / "outside")
    with pytest.raises(BadKey):
        desk.storing.put_chunk(grant, Piece(bytes(250)))
    desk.granting.abort(grant)
    assert (tmp_path / "outside").is_dir()


def test_a_named_pipe_keeps_nobody_waiting(desk: Desk) -> None:
    os.mkfifo(desk.root / "pipe")
    assert isinstance(desk.look(desk.grant("pipe")), BadKey)


@pytest.mark.parametrize("cover", [False, True])
def test_a_file_in_the_place_of_a_folder_is_said(desk: Desk, cover: bool) -> None:
    desk.put("a")
    with pytest.raises(BadKey, match="not a folder"):
        desk.put("a/b", cover)


def test_a_folder_in_the_place_of_a_file_is_said(desk: Desk) -> None:
    desk.put("a/b")
    with pytest.raises(BadKey, match="there is a folder"):
        desk.put("a", cover=True)


def test_a_name_that_is_too_long_for_the_file_system_is_said(desk: Desk) -> None:
    with pytest.raises(BadKey, match="too long"):
        desk.put("长" * 200)


@pytest.mark.parametrize(
    "change",
    [
        {"key": "b"},
        {"size": 1},
        {"type": "text/html"},
        {"cover": True},
        {"expires_at": 1e12},
        {"multipart": True},
        {"part_size": 1},
        {"upload_id": "0" * 32},
        {"checksum": "crc32:00000000"},
        {"data": {}},
    ],
    ids=str,
)
def test_an_altered_grant_is_denied(desk: Desk, change: dict[str, Any]) -> None:
    grant = desk.grant("a")
    if "data" in change:
        change = {"data": {"root": grant.data["root"]}}
    with pytest.raises(Denied, match="not signed"):
        desk.storing.put_chunk(replace(grant, **change), Piece(DATA))
    with pytest.raises(Denied, match="not signed"):
        desk.storing.abort(replace(grant, **change))
    assert os.listdir(desk.root) == [".vvos"]


def test_another_folders_grant_is_denied(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    grant = Desk(tmp_path / "other").grant("a")
    with pytest.raises(Denied):
        desk.storing.put_chunk(replace(grant, data={**grant.data, "root": str(desk.root)}), Piece(DATA))


def test_a_part_that_was_stored_anew_fails_the_object(desk: Desk) -> None:
    grant = desk.grant("big", 2000)
    receipts = [desk.storing.put_chunk(grant, Piece(bytes(250), n, 250 * (n - 1))) for n in range(1, 9)]
    desk.storing.put_chunk(grant, Piece(b"x" * 250, 3, 500))
    with pytest.raises(Mismatch, match="part 3"):
        desk.storing.complete(grant, receipts)
    assert not (desk.root / "big").exists()


@pytest.mark.parametrize("number", [0, 9, -1])
def test_a_chunk_that_was_not_granted_is_denied(desk: Desk, number: int) -> None:
    with pytest.raises(Denied, match="8 chunks"):
        desk.storing.put_chunk(desk.grant("big", 2000), Piece(bytes(250), number))


def test_receipts_that_are_missing_or_out_of_order_are_refused(desk: Desk) -> None:
    grant = desk.grant("big", 2000)
    receipts = [desk.storing.put_chunk(grant, Piece(bytes(250), n)) for n in range(1, 9)]
    for wrong in (receipts[:-1], receipts[::-1], receipts + receipts[-1:]):
        with pytest.raises(BadInput, match="8 parts"):
            desk.storing.complete(grant, wrong)


def test_an_upload_that_was_cut_short_after_its_object_was_made_completes(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(range(250)) * 8
    grant = desk.grant("大", len(data))
    receipts = [
        desk.storing.put_chunk(grant, Piece(data[start : start + 250], start // 250 + 1, start))
        for start in range(0, len(data), 250)
    ]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "abort", killed)
        with pytest.raises(KeyboardInterrupt):
            desk.storing.complete(grant, receipts)
    before = desk.look(grant)
    assert isinstance(before, Found)
    assert (before.exists, before.parts) == (True, tuple(receipts))
    assert desk.storing.complete(grant, receipts).checksum == before.checksum
    assert desk.look(grant) == replace(before, parts=())
    # Of another's object nothing of the kind is said.
    other = desk.grant("大", len(data))
    wrong = [desk.storing.put_chunk(other, Piece(bytes(250), number, 250 * number - 250)) for number in range(1, 9)]
    with pytest.raises(Exists):
        desk.storing.complete(other, wrong)


def test_an_upload_id_is_no_path(desk: Desk) -> None:
    desk.put("别人的")
    grant = replace(desk.grant("big", 2000), upload_id="../..")
    assert desk.look(grant) == Found(key="big", exists=False, parts=())
    desk.granting.abort(grant)
    assert (desk.root / "别人的").read_bytes() == DATA


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "没有")
    answer = desk.asked("a")
    assert isinstance(answer, ConfigError)
    assert "没有; make it, or correct root" in answer.message


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"root": "relative"}, "write the folder's full path"),
        ({"root": "/x", "public_url": "ftp://a"}, "public_url is no address"),
        ({"root": "/x", "part_size": 0}, "part_size"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Profile(name="p", provider="directory", settings=settings).resolve(DirectorySettings)


def test_urls(desk: Desk) -> None:
    grant = desk.put("目录/a b.txt")
    done = NotifyRequest(objects=(Finished(grant=grant, size=len(DATA)),))
    assert desk.granting.notify(done) == [Notified(key=grant.key, url=(desk.root / "目录/a b.txt").as_uri())]
    public = Desk(desk.root, public_url="https://文件.example/x/")
    (answer,) = public.granting.notify(done)
    assert isinstance(answer, Notified)
    assert answer.url == "https://文件.example/x/%E7%9B%AE%E5%BD%95/a%20b.txt"


def test_an_upload_that_is_gone_is_not_found(desk: Desk) -> None:
    grant = desk.grant("big", 2000)
    desk.storing.abort(grant)
    with pytest.raises(NotFound):
        desk.storing.put_chunk(grant, Piece(bytes(250)))
