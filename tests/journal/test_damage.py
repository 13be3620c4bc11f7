"""A damaged journal: what is whole comes back, what is not is told, and nothing that was not written comes out."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings, strategies as st

from vvos_core.errors import JournalError
from vvos_core.journal import Journal, Record

from ..effort import IN_MEMORY, examples
from .making import grant, kept, receipt, record

PAGE = 4096


class Content(bytes):
    """Bytes that a report of a failure does not show."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


def said(number: int) -> Record:
    """Some with receipts, some with a grant that is longer than a page, every fifth finished."""
    if number % 5 == 0:
        return record(number, grant=None, state="finished", checksum="c:1", url="u", key="k")
    receipts = tuple(receipt(n) for n in range(1, 1 + number * 7 % 40))
    return record(number, grant=grant(number, "sealed" * (2000 if number % 7 == 0 else 10)), receipts=receipts)


SAID = {one.id: one for one in map(said, range(30))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A journal that was closed in order."""
    folder = tmp_path_factory.mktemp("whole") / "state"
    journal = Journal(folder)
    for one in SAID.values():
        journal.begin(one)
    journal.commit()
    journal.close()
    return Content((folder / "journal-1.db").read_bytes())


@pytest.fixture(scope="module")
def open_one(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, list[dict[str, Record]]]:
    """A journal whose process was killed: the file, the log beside it, and what was there after each commit."""
    folder = tmp_path_factory.mktemp("open") / "state"
    journal = Journal(folder)
    after: list[dict[str, Record]] = [{}]

    def commit() -> None:
        journal.commit()
        after.append({one.id: kept(one) for one in journal.records()})

    for number in range(6):
        journal.begin(said(number))
        commit()
        journal.store(said(1).id, receipt(100 + number))
        commit()
    journal.finish(said(1).id, key="k", checksum="c", url="u")
    commit()
    journal.drop(said(2).id)
    commit()
    file, log = (folder / f"journal-1.db{end}" for end in ("", "-wal"))
    found = Content(file.read_bytes()), Content(log.read_bytes()), after
    journal.close()
    return found


@contextmanager
def folder_with(**files: bytes) -> Iterator[Path]:
    with TemporaryDirectory(dir=IN_MEMORY) as name:
        folder = Path(name) / "state"
        folder.mkdir(mode=0o700)
        for end, content in files.items():
            (folder / f"journal-1.db{end.replace('_', '-')}").write_bytes(content)
        yield folder


class Told(logging.Handler):
    """The warnings while it is in use."""

    def __enter__(self) -> list[str]:
        self.messages: list[str] = []
        logging.getLogger("vvos_core.journal").addHandler(self)
        return self.messages

    def __exit__(self, *_: object) -> None:
        logging.getLogger("vvos_core.journal").removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def look(folder: Path) -> tuple[dict[str, Record] | None, list[str]]:
    """What is there, or None when it is refused; and what was told. A second look finds the same, and is quiet."""
    with Told() as told:
        journal = Journal(folder)
        try:
            found = {one.id: one for one in journal.records()}
        except JournalError as error:
            assert str(folder) in str(error)  # noqa: PT017  # an error is one of two good ends
            return None, told
        finally:
            journal.close()
    with Told() as again:
        journal = Journal(folder)
        assert {one.id: one for one in journal.records()} == found
        assert again == []
        journal.begin(record(1000))
        journal.commit()
        assert record(1000).id in journal.find([record(1000).id])
        journal.close()
    return found, told


def judge(found: dict[str, Record], told: list[str], most_lost: int) -> None:
    """Each record is one that was said, with receipts that were; what is missing was told, and is not much."""
    for id, one in found.items():
        original = SAID[id]
        assert set(one.receipts) <= set(original.receipts)
        bare = {name: getattr(kept(original), name) for name in Record.__struct_fields__ if name != "receipts"}
        assert {name: getattr(kept(one), name) for name in bare} == bare
    missing = sum(len(SAID[id].receipts) - len(one.receipts) for id, one in found.items())
    if len(found) < len(SAID) or missing:
        assert len(told) == 1
        assert told[0].startswith("JOURNAL: ")
        assert told[0].endswith("journal.damaged-1.db.")
    assert len(found) >= len(SAID) - most_lost, told


UPLOADS_ON_A_PAGE = 8
"""At most: the smallest takes about 500 bytes."""


@settings(max_examples=examples(40))
@given(place=st.floats(0, 1, exclude_max=True), new=st.binary(min_size=1, max_size=64))
@example(place=0.0, new=b"X")
@example(place=0.0, new=b"\0" * 64)
def test_bytes_that_changed_cost_what_was_on_their_page(whole: bytes, place: float, new: bytes) -> None:
    at = int(place * len(whole))
    data = whole[:at] + new[: len(whole) - at] + whole[at + len(new) :]
    with folder_with(**{"": data}) as folder:
        found, told = look(folder)
        if found is None:
            assert at < 100, "only what says the version can be taken for a later one"
        else:
            judge(found, told, most_lost=2 * UPLOADS_ON_A_PAGE)


def test_every_byte_of_the_head_and_of_each_pages_head(whole: bytes) -> None:
    places = [
        *range(100),
        *(page * PAGE + byte for page in range(1, len(whole) // PAGE, 4) for byte in (0, 3, 6, 9)),
    ]
    for at in places:
        data = bytearray(whole)
        data[at] ^= 0xFF
        with folder_with(**{"": bytes(data)}) as folder:
            found, told = look(folder)
            if found is None:
                assert 60 <= at < 64, at
            else:
                judge(found, told, most_lost=UPLOADS_ON_A_PAGE)


@settings(max_examples=examples(20))
@given(place=st.floats(0, 1))
@example(place=0.0)
@example(place=1e-9)
def test_a_lost_end_costs_what_was_in_it(whole: bytes, place: float) -> None:
    at = int(place * len(whole))
    with folder_with(**{"": whole[:at]}) as folder:
        found, told = look(folder)
        assert found is not None
        lost_pages = -(-(len(whole) - at) // PAGE)
        judge(found, told, most_lost=lost_pages * UPLOADS_ON_A_PAGE)


def test_without_a_sound_page_above_the_rows_they_are_found_all_the_same(whole: bytes) -> None:
    """The root of each table, and the first page, which hold no row: everything comes back."""
    data = bytearray(whole)
    data[:PAGE] = b"\xff" * PAGE
    roots = [page for page in range(len(whole) // PAGE) if data[page * PAGE] == 5]
    assert roots, "there are pages above those with rows"
    for page in roots:
        data[page * PAGE : (page + 1) * PAGE] = b"\xff" * PAGE
    with folder_with(**{"": bytes(data)}) as folder:
        found, told = look(folder)
        assert found is not None
        judge(found, told, most_lost=0)
        assert {id: kept(one) for id, one in found.items()} == {id: kept(one) for id, one in SAID.items()}


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"no database at all", b"SQLite format 3\0", os.urandom(9000), bytes(8192)]
)
def test_what_is_no_database_is_set_aside(content: bytes) -> None:
    with folder_with(**{"": content}) as folder:
        found, told = look(folder)
        assert found == {}
        assert "0 uploads could be read" in told[0]
        assert (folder / "journal.damaged-1.db").read_bytes() == content


def test_another_programs_database_is_set_aside_whole(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "other")
    other.execute("CREATE TABLE uploads (id, name)")
    other.execute("INSERT INTO uploads VALUES (1, 'x')")
    other.commit()
    other.close()
    content = (tmp_path / "other").read_bytes()
    with folder_with(**{"": content}) as folder:
        found, _ = look(folder)
        assert found == {}
        assert (folder / "journal.damaged-1.db").read_bytes() == content


@settings(max_examples=examples(50))
@given(data=st.data())
def test_a_log_that_ends_anywhere_ends_with_a_whole_commit(
    open_one: tuple[bytes, bytes, list[dict[str, Record]]], data: st.DataObject
) -> None:
    """A loss of power, or a kill, at any byte; and bytes that changed, which end it before them."""
    file, log, after = open_one
    at = data.draw(st.integers(0, len(log)))
    if data.draw(st.booleans()):
        log = log[:at]
    else:
        new = data.draw(st.binary(min_size=1, max_size=20))
        log = log[:at] + new[: len(log) - at] + log[at + len(new) :]
    with folder_with(**{"": file, "_wal": log}) as folder:
        found, told = look(folder)
        assert found is not None
        assert told == []
        assert {id: kept(one) for id, one in found.items()} in after


def test_a_log_counts_when_the_file_is_damaged(open_one: tuple[bytes, bytes, list[dict[str, Record]]]) -> None:
    file, log, after = open_one
    for damaged in (b"\xff" * 100 + file[100:], b"", file[:PAGE]):
        with folder_with(**{"": damaged, "_wal": log}) as folder:
            found, _ = look(folder)
            assert found is not None
            assert {id: kept(one) for id, one in found.items()} == after[-1]


def test_a_receipt_that_was_altered_is_not_believed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(record(1, receipts=(receipt(1), receipt(2))))
    journal.commit()
    journal.close()
    with sqlite3.connect(tmp_path / "journal-1.db") as file:
        file.execute("UPDATE receipts SET receipt = CAST(replace(receipt, 'etag-1', 'etag-x') AS BLOB)")
    file.close()
    found, told = look(tmp_path)
    assert found is not None
    assert found[record(1).id].receipts == (receipt(2),)
    assert "1 damaged rows" in told[0]


@pytest.mark.parametrize("which", ["min", "max"])
def test_a_receipt_that_lies_under_the_id_of_nobody_is_told(which: str, whole: bytes) -> None:
    """Which no question for an upload would meet."""
    with folder_with(**{"": whole}) as folder:
        with sqlite3.connect(folder / "journal-1.db") as file:
            file.execute(
                f"UPDATE receipts SET upload = upload + 1 WHERE upload = (SELECT {which}(upload) FROM receipts)"
            )
        file.close()
        found, told = look(folder)
        assert found is not None
        assert len(told) == 1
        judge(found, told, most_lost=0)


def test_an_unfinished_upload_that_lies_under_another_id_is_told_to_who_asks_for_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(record(1))
    journal.commit()
    journal.close()
    with sqlite3.connect(tmp_path / "journal-1.db") as file:
        file.execute("UPDATE uploads SET id = id + 1")
    file.close()
    with Told() as told:
        journal = Journal(tmp_path)
        assert journal.find([record(1).id]) == {}
        journal.close()
    assert "1 damaged rows" in told[0]


def test_a_grant_of_a_form_that_is_not_known_costs_its_record(tmp_path: Path) -> None:
    from vvos_core.journal import record as form

    journal = Journal(tmp_path)
    journal.begin(said(1))
    journal.begin(said(2))
    journal.commit()
    journal.close()
    number, *head, content, _ = form.upload_row(said(1))
    content = content.replace(b'"size":100', b'"size":"many"')  # the fingerprint's, and the grant's
    with sqlite3.connect(tmp_path / "journal-1.db") as file:
        row = (number, *head, content)
        file.execute("INSERT OR REPLACE INTO uploads VALUES (?, ?, ?, ?, ?, ?)", (*row, form._sum(*row)))
    file.close()
    found, told = look(tmp_path)
    assert found is not None
    assert list(found) == [said(2).id]
    assert "1 damaged rows" in told[0]


def test_who_has_the_damaged_one_open_goes_on_in_the_new_one(tmp_path: Path) -> None:
    one, two = Journal(tmp_path), Journal(tmp_path)
    one.begin(said(1))
    one.begin(said(2))
    one.commit()
    assert len(list(two.records())) == 2
    with sqlite3.connect(tmp_path / "journal-1.db") as file:
        file.execute("UPDATE uploads SET sum = 1 WHERE begun = 1001")
    file.close()
    with Told() as told:
        assert [found.id for found in two.records()] == [said(2).id]
        one.store(said(2).id, receipt(77))
        one.begin(said(3))
        one.commit()
        assert {found.id for found in one.records()} == {said(2).id, said(3).id}
        assert receipt(77) in two.find([said(2).id])[said(2).id].receipts
    assert len(told) == 1
    one.close()
    two.close()
    assert len(list(Journal(tmp_path).records())) == 2


def test_damage_that_comes_while_it_is_written_is_mended_and_the_write_is_kept(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(said(1))
    journal.begin(said(2))
    journal.commit()
    with sqlite3.connect(tmp_path / "journal-1.db") as file:
        file.execute("UPDATE uploads SET sum = 1 WHERE begun = 1001")
    file.close()
    journal.fail(said(1).id, "X: y.")
    journal.store(said(2).id, receipt(50))
    journal.commit()
    assert receipt(50) in journal.find([said(2).id])[said(2).id].receipts
    assert journal.find([said(1).id]) == {}
    journal.close()


def test_a_replacement_that_was_cut_short_is_finished(tmp_path: Path, whole: bytes) -> None:
    with folder_with(**{"": b"damaged"}) as folder:
        (folder / "journal-2.db").write_bytes(whole)
        (folder / "journal.new").write_bytes(b"half")
        (folder / "journal.work").write_bytes(b"half")
        found, told = look(folder)
        assert found is not None
        assert len(found) == len(SAID)
        assert told == []
        assert (folder / "journal.damaged-1.db").read_bytes() == b"damaged"


def test_what_was_kept_is_never_written_over(tmp_path: Path) -> None:
    for number in range(1, 4):
        list(Journal(tmp_path).records())
        journal = Journal(tmp_path)
        journal.begin(said(number))
        journal.commit()
        journal.close()
        (tmp_path / f"journal-{number}.db").write_bytes(b"damage %d" % number)
    list(Journal(tmp_path).records())
    for number in range(1, 4):
        assert (tmp_path / f"journal.damaged-{number}.db").read_bytes() == b"damage %d" % number


def test_a_large_damaged_journal_takes_little_memory_and_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state")
    for number in range(40):
        journal.begin(record(number, receipts=tuple(receipt(n) for n in range(1, 500))))
    journal.commit()
    journal.close()
    path = tmp_path / "state/journal-1.db"
    data = bytearray(path.read_bytes())
    for page in range(0, len(data), 3 * PAGE):
        data[page : page + 8] = os.urandom(8)
    shutil.rmtree(tmp_path / "state")
    with folder_with(**{"": bytes(data)}) as folder:
        del data
        tracemalloc.start()
        begun = time.process_time()
        journal = Journal(folder)
        found = journal.find([record(0).id])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        journal.close()
    assert len(found) <= 1
    assert peak < 3 << 20
    assert time.process_time() - begun < 10
