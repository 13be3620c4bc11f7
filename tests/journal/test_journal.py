"""vvos_core.journal.Journal: what it keeps, in which form, and what it says when it cannot."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from msgspec import structs

from vvos_core.errors import Busy, JournalError
from vvos_core.journal import Journal, identity, tables

from .making import CANARY, grant, kept, receipt, record

DOC = Path(__file__).parents[2] / "docs" / "journal.md"


def reopened(folder: Path) -> Journal:
    return Journal(folder)


def begin(journal: Journal, *numbers: int) -> None:
    for number in numbers:
        journal.begin(record(number))
    journal.commit()


# ── what it keeps ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_upload_comes_back_as_it_was_said(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state")
    said = record(1, receipts=(receipt(1), receipt(2)), path="/\udcff/not-text", error="DENIED: no.")
    journal.begin(said)
    journal.commit()
    journal.close()
    again = reopened(tmp_path / "state")
    [(id, found)] = again.find([said.id, identity("another", "one", "")]).items()
    assert id == said.id
    assert kept(found) == kept(said)
    assert found.changed_at == said.changed_at
    again.close()


def test_its_life_from_begin_to_drop(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    said = record(1)
    journal.begin(said)
    for number in (3, 1, 2):
        journal.store(said.id, receipt(number))
    journal.store(said.id, receipt(2, size=7))
    journal.forget(said.id, [3, 99])
    journal.renew(said.id, grant(1, token="renewed"))
    journal.fail(said.id, "DENIED: the broker said no.")
    assert journal.find([said.id]) == {}, "nothing is there before the commit"
    journal.commit()
    found = journal.find([said.id])[said.id]
    assert found.receipts == (receipt(1), receipt(2, size=7))
    assert found.grant == structs.replace(grant(1, token="renewed"), data={})
    assert (found.state, found.error) == ("unfinished", "DENIED: the broker said no.")
    assert abs(found.changed_at - time.time()) < 60
    assert found.begun_at == said.begun_at

    journal.finish(said.id, key="存/1", checksum="crc64nvme:1", url="https://x.example/1")
    journal.store(said.id, receipt(4))
    journal.commit()
    found = journal.find([said.id])[said.id]
    assert (found.state, found.key, found.checksum, found.url) == (
        "finished",
        "存/1",
        "crc64nvme:1",
        "https://x.example/1",
    )
    assert (found.grant, found.receipts, found.error) == (None, (), "")
    assert found.fingerprint == said.fingerprint

    journal.begin(said)
    journal.commit()
    assert kept(journal.find([said.id])[said.id]) == kept(said), "begun again, nothing of the old is left"
    journal.drop(said.id)
    journal.commit()
    assert journal.find([said.id]) == {}
    journal.close()


def test_what_begins_again_has_no_receipts_of_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(record(1, receipts=(receipt(1), receipt(2))))
    journal.commit()
    journal.begin(record(1, receipts=(receipt(3),)))
    journal.commit()
    assert journal.find([record(1).id])[record(1).id].receipts == (receipt(3),)
    journal.close()


def test_a_whole_batch_is_found_at_once_and_all_are_listed_oldest_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    records = [record(number, begun_at=5000.0 - number, receipts=(receipt(1),)) for number in range(1200)]
    for said in records:
        journal.begin(said)
    journal.commit()
    found = journal.find([said.id for said in records])
    assert {id: kept(one) for id, one in found.items()} == {said.id: kept(said) for said in records}
    assert [one.id for one in journal.records()] == [said.id for said in reversed(records)]
    journal.close()


def test_what_was_said_of_an_upload_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    id = record(1).id
    journal.store(id, receipt(1))
    journal.renew(id, grant(1))
    journal.fail(id, "X: y.")
    journal.forget(id, [1])
    journal.finish(id, key="k", checksum="", url="")
    journal.drop(id)
    journal.commit()
    begin(journal, 1)
    assert journal.find([id])[id].receipts == ()
    journal.close()


def test_nothing_is_made_before_something_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a" / "b"
    monkeypatch.setenv("VVOS_STATE", str(folder))
    journal = Journal()
    assert journal.find([record(1).id]) == {}
    assert list(journal.records()) == []
    journal.commit()
    journal.close()
    assert not (tmp_path / "a").exists()
    folder.mkdir(parents=True, mode=0o700)
    assert journal.find([record(1).id]) == {}
    assert os.listdir(folder) == []
    begin(journal, 1)
    assert "journal-1.db" in os.listdir(folder)
    journal.close()


def test_sqlite_is_imported_when_it_is_needed() -> None:
    code = "import sys, vvos_core.journal as j; j.Journal(); print({'sqlite3', 'platformdirs'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("set()\n", "")


@pytest.mark.parametrize("id", ["", "abc", "0" * 15 + "G", "A" * 16, "0" * 17, "键" * 16])
def test_what_is_no_id_is_refused_where_it_is_said(id: str, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(ValueError, match="16 hex"):
        journal.find([id])
    with pytest.raises(ValueError, match="16 hex"):
        journal.drop(id)
    with pytest.raises(ValueError, match="16 hex"):
        journal.claim(id)
    begin(journal, 1)
    journal.close()


def test_an_id_tells_target_key_and_path_apart() -> None:
    ids = {identity(*parts) for parts in [("a", "b", "c"), ("ab", "", "c"), ("a", "c", "b"), ("", "ab", "c")]}
    assert len(ids) == 4
    assert identity("a", "键", "/\udcff") == identity("a", "键", "/\udcff")
    assert identity("a", "b", "c") == "8badde10c760e9b7"


def test_no_capability_reaches_the_files(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for number in range(20):
        journal.begin(record(number, grant=grant(number)))
        journal.renew(record(number).id, grant(number, token="sealed again"))
    journal.commit()
    before = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    journal.close()
    after = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"sealed again" in before
    assert b"sealed again" in after
    assert CANARY.encode() not in before + after
    assert CANARY not in repr(list(Journal(tmp_path).records()))


def test_what_was_dropped_is_wiped_from_the_file(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal, *range(30))
    for number in range(30):
        journal.finish(record(number).id, key="k", checksum="c", url="u")
    journal.commit()
    journal.close()
    assert b"sealed" not in (tmp_path / "journal-1.db").read_bytes()


def test_many_finished_ones_are_forgotten_from_the_oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "KEPT", 10)
    journal = Journal(tmp_path)
    now = time.time()
    old = record(99, state="finished", grant=None, changed_at=now - 91 * 86400)
    for said in [record(number, state="finished", grant=None, changed_at=now - 100 + number) for number in range(20)]:
        journal.begin(said)
    journal.begin(old)
    begin(journal, 50, 51)
    journal.finish(record(51).id, key="k", checksum="c", url="u")
    journal.commit()
    left = {one.id for one in journal.records()}
    assert left == {record(number).id for number in (*range(11, 20), 50, 51)}
    journal.close()


def test_a_clock_set_back_changes_only_the_ages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    begin(journal, 1)
    yesterday = time.time() - 86400
    monkeypatch.setattr(time, "time", lambda: yesterday)
    journal.store(record(1).id, receipt(1))
    journal.finish(record(1).id, key="k", checksum="c", url="u")
    begin(journal, 2)
    journal.store(record(2).id, receipt(1))
    journal.commit()
    assert journal.find([record(1).id])[record(1).id].state == "finished"
    assert journal.find([record(2).id])[record(2).id].receipts == (receipt(1),)
    assert journal.find([record(2).id])[record(2).id].changed_at == yesterday
    journal.close()


def test_what_must_last_is_synced_and_the_rest_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    statements: list[str] = []
    connect = sqlite3.connect

    def traced(*args: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)  # type: ignore[call-overload]  # handed on as it is
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    journal = Journal(tmp_path)
    begin(journal, 1)
    levels = []
    for clock[0], drops in [(0.0, False), (0.9, False), (1.1, False), (1.2, False), (1.3, True), (5.0, False)]:
        journal.store(record(1).id, receipt(1))
        if drops:
            journal.drop(record(2).id)
        journal.commit()
        said = [statement for statement in statements if statement.startswith("PRAGMA synchronous")]
        levels.append(said[-1].rpartition(" ")[2])
    assert levels == ["NORMAL", "NORMAL", "FULL", "NORMAL", "FULL", "NORMAL"]
    journal.close()


def test_nothing_said_costs_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal, 1)
    before = {path.name: path.stat() for path in tmp_path.iterdir()}
    for _ in range(100):
        journal.commit()
    assert {path.name: path.stat() for path in tmp_path.iterdir()} == before
    journal.close()


# ── its form ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_documentation_shows_the_schema_and_the_versions() -> None:
    page = DOC.read_text(encoding="utf-8")
    plain = " ".join(page.split())
    for statement in tables.SCHEMA:
        assert " ".join(statement.split()) in plain, "write the statements of SCHEMA into docs/journal.md"
    assert f"`user_version` {tables.VERSION}" in plain
    assert f"`application_id` {tables.APPLICATION}" in plain
    assert f"{tables.KEPT:,} finished" in plain
    assert f"{tables.KEPT_FOR / 86400:.0f} days" in plain


def test_the_file_is_what_the_documentation_shows(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal, 1)
    journal.close()
    with sqlite3.connect(tmp_path / "journal-1.db") as file:
        assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert file.execute("PRAGMA user_version").fetchone() == (tables.VERSION,)
        assert file.execute("PRAGMA application_id").fetchone() == (tables.APPLICATION,)
        tables_there = file.execute("SELECT sql FROM sqlite_master ORDER BY rootpage").fetchall()
        page = DOC.read_text(encoding="utf-8")
        [(form,)] = file.execute("SELECT record FROM uploads")
        [(number,)] = file.execute("SELECT id FROM uploads")
    file.close()
    assert [sql for (sql,) in tables_there] == list(tables.SCHEMA)
    import json

    for field in json.loads(form):
        assert f"`{field}`" in page, f"docs/journal.md does not tell of the field {field} of a record"
    assert f"{number & 2**64 - 1:016x}" == record(1).id


def test_a_later_version_is_left_as_it_is(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    begin(journal, 1)
    journal.close()
    path = tmp_path / "journal-1.db"
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 7")
    file.close()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    journal = Journal(tmp_path)
    with pytest.raises(
        JournalError, match=r"journal-1\.db is a journal of version 7, .* knows version 1; use the newer"
    ):
        journal.find([record(1).id])
    journal.close()
    writer = Journal(tmp_path)
    writer.begin(record(2))
    with pytest.raises(JournalError, match="version 7"):
        writer.commit()
    writer.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


# ── claims within a process ───────────────────────────────────────────────────────────────────────────────────────────


def test_two_runs_of_one_process_do_not_have_the_same_upload(tmp_path: Path) -> None:
    one, two = Journal(tmp_path), Journal(tmp_path / ".")
    id, other = record(1).id, record(2).id
    one.claim(id, "a.mp4")
    one.claim(id, "a.mp4")
    two.claim(other)
    with pytest.raises(Busy, match=r"^a\.mp4 is being uploaded by this process already; wait for it\.$"):
        two.claim(id, "a.mp4")
    two.release(id)
    with pytest.raises(Busy):
        two.claim(id)
    one.release(id)
    one.release(id)
    two.claim(id)
    two.close()
    one.claim(other)
    one.claim(id)
    one.close()


# ── when it cannot ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_after_a_failure_every_call_says_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    journal = Journal(tmp_path / "file")
    with pytest.raises(JournalError) as first:
        journal.find([record(1).id])
    assert str(first.value).endswith(".")
    for call in (
        lambda: journal.begin(record(1)),
        lambda: journal.store(record(1).id, receipt(1)),
        lambda: journal.commit(),
        lambda: journal.claim(record(1).id),
        lambda: list(journal.records()),
    ):
        with pytest.raises(JournalError) as again:
            call()
        assert str(again.value) == str(first.value)
    journal.release(record(1).id)
    journal.close()


def test_a_journal_that_is_held_too_long_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vvos_core.journal import database, locks

    monkeypatch.setattr(database, "_WAIT", 0.05)
    journal = Journal(tmp_path)
    begin(journal, 1)
    holder = sqlite3.connect(tmp_path / "journal-1.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    other = Journal(tmp_path)
    other.store(record(1).id, receipt(1))
    with pytest.raises(JournalError, match="is locked; wait for the process that holds it"):
        other.commit()
    holder.close()
    monkeypatch.setattr(locks, "_WAIT", 0.05)
    third = Journal(tmp_path)
    third.store(record(1).id, receipt(1))
    with locks.locks_of(tmp_path).writing(), pytest.raises(JournalError, match="held by another process"):
        third.commit()
    for one in (journal, other, third):
        one.close()


FULL = """
import resource, signal, sys
from tests.journal.making import receipt, record
from vvos_core.errors import JournalError
from vvos_core.journal import Journal
journal = Journal(sys.argv[1])
if sys.argv[2] == "limit":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (48 * 1024, 48 * 1024))
number = 0
try:
    while number < 5000:
        journal.begin(record(number, receipts=tuple(receipt(n) for n in range(1, 9))))
        journal.commit()
        number += 1
except JournalError as error:
    print(number)
    print(error)
"""
ROOT = Path(__file__).parents[2]


def run(code: str, *arguments: str, before: tuple[str, ...] = ()) -> list[str]:
    done = subprocess.run(
        [*before, sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.splitlines()


def test_where_no_more_can_be_written_it_says_so_and_loses_nothing(tmp_path: Path) -> None:
    written, sentence = run(FULL, str(tmp_path / "state"), "limit")
    assert int(written) >= 1
    assert sentence.startswith(f"The journal in {tmp_path / 'state'} cannot be used: ")
    journal = Journal(tmp_path / "state")
    assert {one.id for one in journal.records()} == {record(number).id for number in range(int(written))}
    begin(journal, 4999)
    journal.close()


MOUNT = 'mount -t tmpfs -o size=160k none "$1" && shift && exec "$@"'


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    private = ("unshare", "-m", "sh", "-c", MOUNT, "sh", str(tmp_path))
    try:
        tried = subprocess.run([*private, "true"], capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("no unshare here")
    if tried.returncode:
        pytest.skip("no leave to mount")
    written, sentence = run(FULL, str(tmp_path / "state"), "disk", before=private)
    assert int(written) >= 1
    assert sentence == (
        f"The journal in {tmp_path / 'state'} cannot be used: database or disk is full; free some space, or set "
        "VVOS_STATE to another folder."
    )


READ_ONLY = """
import os, sys
from vvos_core.errors import JournalError
from vvos_core.journal import Journal
from tests.journal.making import record
if os.geteuid() == 0:  # root may write anywhere
    os.chown(sys.argv[1], 65534, 65534)
    for name in os.listdir(sys.argv[1]):
        os.chown(os.path.join(sys.argv[1], name), 65534, 65534)
    import sqlite3, msgspec.json, logging, vvos_core.journal.database
    os.setresuid(65534, 65534, 65534)
os.chmod(sys.argv[1], 0o500)
os.chdir(sys.argv[1])
journal = Journal(".")
journal.begin(record(2))
for call in (journal.commit, lambda: Journal(".").find([record(1).id])):
    try:
        print("fine", call())
    except JournalError as error:
        print(error)
"""


def test_a_read_only_folder_is_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, *tmp_path.parents[:3]):  # one more where tests run in several processes
        if not path.stat().st_mode & 0o001:
            path.chmod(path.stat().st_mode | 0o011)  # the child is another user
    (tmp_path / "state").mkdir(mode=0o700)
    said = run(READ_ONLY, str(tmp_path / "state"))[0]
    assert said == (
        f"The journal in {tmp_path / 'state'} cannot be used: permission denied; make it readable and writable for its "
        "owner, or set VVOS_STATE to another folder."
    )


def test_a_warning_has_its_code_and_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    journal = Journal(tmp_path)
    begin(journal, 1, 2)
    journal.close()
    with sqlite3.connect(tmp_path / "journal-1.db") as file:
        file.execute("UPDATE uploads SET record = replace(record, 'video/mp4', 'video/mp5') WHERE begun = 1001")
    file.close()
    with caplog.at_level(logging.WARNING):
        [left] = list(Journal(tmp_path).records())
    assert left.id == record(2).id
    [told] = caplog.messages
    assert told.startswith(
        f"JOURNAL: the journal {tmp_path / 'journal-1.db'} was damaged (an upload's row was damaged)"
    )
    assert "1 uploads could be read" in told
    assert str(tmp_path / "journal.damaged-1.db") in told
    assert "sealed" not in told
