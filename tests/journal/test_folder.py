"""The state folder: whose it is, who may read it, and that no link leads out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vvos_core.errors import JournalError
from vvos_core.journal import Journal

from .making import record


def write(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.begin(record(1))
    journal.commit()
    return journal


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.lstat().st_mode) for path in folder.iterdir()}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o277])
def test_only_the_owner_may_look_whatever_the_umask(mask: int, tmp_path: Path) -> None:
    with umask(mask):
        journal = write(tmp_path / "state")
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert modes(tmp_path / "state") == dict.fromkeys(
        ("journal-1.db", "journal-1.db-wal", "journal-1.db-shm", "locks"), 0o600
    )
    journal.close()


def test_the_files_of_a_replaced_journal_are_its_owners_too(tmp_path: Path) -> None:
    with umask(0):
        write(tmp_path / "state").close()
        (tmp_path / "state/journal-1.db").write_bytes(b"no database")
        write(tmp_path / "state").close()
    assert modes(tmp_path / "state") == dict.fromkeys(("journal-2.db", "journal.damaged-1.db", "locks"), 0o600)


def test_files_that_others_could_read_are_closed_to_them(tmp_path: Path) -> None:
    write(tmp_path / "state").close()
    for path in (tmp_path / "state").iterdir():
        path.chmod(0o644)
    list(Journal(tmp_path / "state").records())
    assert set(modes(tmp_path / "state").values()) == {0o600}


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702, 0o1777])
def test_a_folder_that_others_can_write_is_refused(mode: int, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    folder.chmod(mode)
    with pytest.raises(JournalError, match=f"{folder} can be written by others; .* chmod 700 {folder}"):
        write(folder)
    with pytest.raises(JournalError, match="can be written by others"):
        Journal(folder).find([record(1).id])
    with pytest.raises(JournalError, match="can be written by others"):
        Journal(folder).claim(record(1).id)
    assert os.listdir(folder) == []


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for folder in (tmp_path / "link", f"{tmp_path}/link/"):
        with pytest.raises(JournalError, match="is a symbolic link"):
            write(Path(folder))
    assert os.listdir(tmp_path / "real") == []
    (tmp_path / "real/below").mkdir(mode=0o700)
    write(tmp_path / "link/below").close()


def test_a_link_to_nowhere_makes_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(JournalError, match="is a symbolic link"):
        write(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


NAMES = ["journal-1.db", "journal-1.db-wal", "journal-1.db-shm", "journal.new", "journal.work", "locks"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("there", [True, False])
def test_a_file_that_is_a_link_is_refused_and_what_it_names_is_untouched(
    name: str, there: bool, tmp_path: Path
) -> None:
    folder, victim = tmp_path / "state", tmp_path / "victim"
    write(folder).close()
    if there:
        victim.write_bytes(b"precious")
        victim.chmod(0o644)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    for call in (
        lambda: write(folder),
        lambda: Journal(folder).find([record(1).id]),
        lambda: Journal(folder).claim(record(1).id),
    ):
        with pytest.raises(JournalError, match="is a symbolic link"):
            call()
    assert victim.exists() == there
    if there:
        assert victim.read_bytes() == b"precious"
        assert stat.S_IMODE(victim.stat().st_mode) == 0o644


def test_a_link_that_appears_after_the_check_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that are made are made by opening them, not by looking first."""
    from vvos_core.journal import folder as checks, locks

    monkeypatch.setattr(checks, "check", lambda _: None)
    monkeypatch.setattr(locks, "make", lambda _: None)
    victim = tmp_path / "victim"
    for name in ("journal.new", "locks"):
        state = tmp_path / name
        state.mkdir(mode=0o700)
        monkeypatch.setattr(checks, "remove", lambda _: None)
        (state / name).symlink_to(victim)
        if name == "locks":
            with pytest.raises(OSError, match="symbolic"):
                checks.open_locks(state)
        else:
            with pytest.raises(FileExistsError):
                checks.create(state / name)
        assert not victim.exists()


@pytest.mark.parametrize("name", ["journal-1.db", "locks"])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir(mode=0o700)
    (tmp_path / "folder" / name).mkdir()
    with pytest.raises(JournalError, match=f"{name} is not a file"):
        write(tmp_path / "folder")
    (tmp_path / "pipes").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipes" / name)
    with pytest.raises(JournalError, match=f"{name} is not a file"):
        write(tmp_path / "pipes")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
@pytest.mark.parametrize("name", [".", "journal-1.db", "locks"])
def test_what_belongs_to_another_is_refused(name: str, tmp_path: Path) -> None:
    write(tmp_path / "state").close()
    os.chown(tmp_path / "state" / name, 65534, 65534)
    with pytest.raises(JournalError, match="belongs to another user"):
        Journal(tmp_path / "state").find([record(1).id])


def test_no_name_tells_a_key(tmp_path: Path) -> None:
    journal = write(tmp_path / "state")
    journal.claim(record(1).id)
    for name in os.listdir(tmp_path / "state"):
        assert name in ("journal-1.db", "journal-1.db-wal", "journal-1.db-shm", "locks")
    assert (tmp_path / "state/locks").read_bytes() == b""
    journal.close()


def test_a_folder_that_is_removed_meanwhile_is_made_again(tmp_path: Path) -> None:
    import shutil

    journal = write(tmp_path / "state")
    shutil.rmtree(tmp_path / "state")
    assert journal.find([record(1).id]) == {}
    journal.begin(record(2))
    journal.commit()
    assert list(journal.find([record(1).id, record(2).id])) == [record(2).id]
    journal.close()
