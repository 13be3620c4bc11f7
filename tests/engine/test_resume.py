"""The engine with a journal: what an earlier run stored is not sent again, and what it was sent from is checked."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from vvos_core import errors, hookimpl
from vvos_core.control import Control, Kind
from vvos_core.engine import Engine
from vvos_core.job import Job, Order
from vvos_core.journal import Journal, Record
from vvos_core.keeper import Keeper
from vvos_core.model import Grant, TokenRequest
from vvos_core.protocol.states import State
from vvos_core.protocol.upload import Upload
from vvos_core.source import FileSource

from .cloud import Cloud, calls_of
from .test_engine import AT_ONCE, Log, data

PARTS = 10
SIZE = 4 * PARTS
CALM = time.time() - 3600
"""When the files were last written: so long ago that nobody doubts it."""


def write(path: Path, content: bytes, at: float = CALM) -> Path:
    path.write_bytes(content)
    os.utime(path, (at, at))
    return path


class Runs:
    """Runs of one client, over one cloud and one journal."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self.folder = folder
        self.control = Control()

    def __call__(
        self,
        path: Path,
        *,
        key: str = "影片.bin",
        cover: bool = False,
        clock: Callable[[], float] = time.monotonic,
        type: str = "text/plain",
    ) -> Job:
        source = FileSource(path)
        job = Job(Upload(0, source.size, window=2), source, key, type, {})
        engine = Engine(
            calls_of(self.cloud),
            make_request_token=os.urandom(4).hex().__add__,
            concurrency=2,
            retry=AT_ONCE,
            clock=clock,
        )
        self.control = Control()
        keeper = Keeper(Journal(self.folder), "cloud", {"cover": cover})
        engine.run(iter([job]), Order(batch="b", cover=cover), Log(), keeper, self.control)
        return job

    def stopped_after(self, puts: int, path: Path, *, cover: bool = False) -> Job:
        """A run that is stopped when the cloud has got so many chunks."""

        def stop(hook: str, count: int) -> str:
            if hook == "put_chunk" and count == puts:
                self.control.wish(Kind.STOP)
            return ""

        self.cloud.fault = stop
        job = self(path, cover=cover)
        self.cloud.fault = lambda hook, count: ""
        return job

    def records(self) -> list[Record]:
        journal = Journal(self.folder)
        try:
            return list(journal.records())
        finally:
            journal.close()


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(Cloud(), tmp_path / "state")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "影片.bin", data(SIZE))


def test_a_stopped_upload_goes_on_where_it_stopped(runs: Runs, file: Path) -> None:
    job = runs.stopped_after(5, file)
    assert job.upload.state is State.PAUSED
    stored = len(job.upload.receipts)
    assert 1 <= stored < PARTS
    assert len(runs.cloud.uploads) == 1, "nothing was aborted"
    assert len(runs.records()[0].receipts) == stored
    runs.cloud.counts.clear()
    job = runs(file)
    assert job.upload.state is State.DONE
    assert runs.cloud.counts["put_chunk"] == PARTS - stored
    assert runs.cloud.objects["影片.bin"] == data(SIZE)
    assert runs.cloud.uploads == {}
    assert [record.state for record in runs.records()] == ["finished"]


def test_progress_counts_what_earlier_runs_stored(runs: Runs, file: Path) -> None:
    runs.stopped_after(5, file)
    assert runs(file).bytes_done == SIZE


def test_a_provider_that_forgot_the_upload_is_believed(runs: Runs, file: Path) -> None:
    runs.stopped_after(5, file)
    runs.cloud.uploads.clear()
    runs.cloud.counts.clear()
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.objects["影片.bin"] == data(SIZE)


def test_a_provider_that_forgot_one_part_gets_it_again(runs: Runs, file: Path) -> None:
    stored = len(runs.stopped_after(6, file).upload.receipts)
    (parts,) = runs.cloud.uploads.values()
    del parts[min(parts)]
    runs.cloud.counts.clear()
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.counts["put_chunk"] == PARTS - stored + 1
    assert runs.cloud.objects["影片.bin"] == data(SIZE)


def test_an_upload_that_the_provider_forgets_on_the_way_begins_again(runs: Runs, file: Path) -> None:
    def forget(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 4:
            runs.cloud.uploads.clear()
        return ""

    runs.cloud.fault = forget
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.objects["影片.bin"] == data(SIZE)
    assert runs.cloud.uploads == {}


def test_an_upload_that_is_forgotten_again_and_again_fails(runs: Runs, file: Path) -> None:
    def forget(hook: str, count: int) -> str:
        runs.cloud.uploads.clear() if hook == "put_chunk" else None
        return ""

    runs.cloud.fault = forget
    job = runs(file)
    assert job.upload.state is State.FAILED
    assert isinstance(job.upload.error, errors.NotFound)


def test_a_refused_renewal_keeps_what_is_stored_for_later(runs: Runs, file: Path) -> None:
    def refuse(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 5:
            runs.cloud.generation += 1
        return "DENIED" if hook == "token" and count == 2 else ""

    runs.cloud.fault = refuse
    job = runs(file)
    assert job.upload.state is State.FAILED
    assert isinstance(job.upload.error, errors.Denied)
    (record,) = runs.records()
    assert record.error.startswith("DENIED: ")
    stored = len(record.receipts)
    assert stored
    runs.cloud.fault = lambda hook, count: ""
    runs.cloud.counts.clear()
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.counts["put_chunk"] == PARTS - stored


def test_of_an_edited_file_of_the_same_size_no_old_chunk_is_used(runs: Runs, file: Path) -> None:
    stored = len(runs.stopped_after(6, file).upload.receipts)
    edited = bytearray(data(SIZE))
    edited[0] ^= 1
    write(file, bytes(edited))  # also its time is what it was
    runs.cloud.counts.clear()
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.objects["影片.bin"] == bytes(edited)
    assert runs.cloud.counts["put_chunk"] == PARTS - stored + 1, "only what was edited is sent again"


def test_a_file_of_another_size_begins_anew_and_the_old_upload_is_aborted(runs: Runs, file: Path) -> None:
    runs.stopped_after(6, file)
    write(file, data(SIZE + 1))
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.objects["影片.bin"] == data(SIZE + 1)
    assert runs.cloud.uploads == {}


def test_what_was_asked_for_otherwise_begins_anew(runs: Runs, file: Path) -> None:
    runs.stopped_after(6, file)
    runs.cloud.counts.clear()
    assert runs(file, type="video/mp4").upload.state is State.DONE
    assert runs.cloud.counts["put_chunk"] == PARTS
    assert runs.cloud.uploads == {}


def test_over_an_object_that_may_be_replaced_an_upload_goes_on_too(runs: Runs, file: Path) -> None:
    runs.cloud.objects["影片.bin"] = b"old"
    stored = len(runs.stopped_after(5, file, cover=True).upload.receipts)
    runs.cloud.counts.clear()
    assert runs(file, cover=True).upload.state is State.DONE
    assert runs.cloud.counts["put_chunk"] == PARTS - stored
    assert runs.cloud.objects["影片.bin"] == data(SIZE)


def test_a_finished_file_is_neither_sent_nor_read_again(
    runs: Runs, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled = time.time() + 10
    with monkeypatch.context() as later:
        later.setattr("vvos_core.keeper.time.time", lambda: settled)
        runs(file)
    runs.cloud.counts.clear()
    monkeypatch.setattr(FileSource, "_read", lambda *_: pytest.fail("it is read"))
    job = runs(file)
    assert job.upload.state is State.DONE
    assert job.upload.reused
    assert job.upload.checksum
    assert runs.cloud.counts["put_chunk"] == 0


def test_a_file_that_another_run_uploads_is_left_to_it(runs: Runs, file: Path) -> None:
    second: list[Job] = []

    def meanwhile(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 3:
            second.append(Runs(runs.cloud, runs.folder)(file))
        return ""

    runs.cloud.fault = meanwhile
    assert runs(file).upload.state is State.DONE
    assert isinstance(second[0].upload.error, errors.Busy)
    assert runs.cloud.counts["put_chunk"] == PARTS


def test_a_journal_that_cannot_be_written_costs_the_resume_and_nothing_else(
    runs: Runs, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs.folder.write_text("not a folder")
    assert runs(file).upload.state is State.DONE
    assert "JOURNAL" in caplog.text
    assert "cannot be resumed" in caplog.text


def test_cancelled_uploads_are_aborted_and_forgotten(runs: Runs, file: Path) -> None:
    def cancel(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 4:
            runs.control.wish(Kind.CANCEL)
        return ""

    runs.cloud.fault = cancel
    assert runs(file).upload.state is State.CANCELLED
    assert runs.cloud.uploads == {}
    assert runs.records() == []


def test_a_cancelled_upload_that_could_not_be_aborted_stays_in_the_journal(
    runs: Runs, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cancel(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 4:
            runs.control.wish(Kind.CANCEL)
        return ""

    runs.cloud.fault = cancel
    monkeypatch.setattr("vvos_core.work.Work.abort", lambda self, job: errors.Unavailable("nobody is there."))
    assert runs(file).upload.state is State.CANCELLED
    assert [record.error for record in runs.records()] == ["UNAVAILABLE: nobody is there."]


def test_pause_and_resume_send_nothing_twice(runs: Runs, file: Path) -> None:
    paused = threading.Event()
    wished: list[int] = []

    def pause(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 4 and not wished:
            wished.append(count)  # the fourth is spoken of more than once, and a second pause would last
            runs.control.wish(Kind.PAUSE)
            runs.control.call(paused.set)
        return ""

    def resume() -> None:
        assert paused.wait(30)
        runs.control.wish(Kind.RESUME)

    runs.cloud.fault = pause
    helper = threading.Thread(target=resume)
    helper.start()
    job = runs(file)
    helper.join()
    assert job.upload.state is State.DONE
    # What was on its way when the pause came may be broken off, and is then sent again: at most a window of it.
    assert runs.cloud.counts["put_chunk"] <= PARTS + 2
    assert runs.cloud.objects["影片.bin"] == data(SIZE)


def test_parts_that_were_never_sent_are_reported_and_not_used(
    runs: Runs, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    runs.stopped_after(5, file)
    (parts,) = runs.cloud.uploads.values()
    parts[77] = b"whose?"
    assert runs(file).upload.state is State.DONE
    assert runs.cloud.objects["影片.bin"] == data(SIZE)
    assert "lists part 77 of 6 bytes, which was never sent; it is not used. [BAD_ANSWER]" in caplog.text


def test_no_chunk_is_sent_before_those_that_it_follows_are_in_the_journal(runs: Runs, file: Path) -> None:
    behind = []

    def look(hook: str, count: int) -> str:
        if hook == "put_chunk":
            behind.append(count - sum(len(record.receipts) for record in runs.records()))
        return ""

    runs.cloud.fault = look
    assert runs(file).upload.state is State.DONE
    assert max(behind) <= 2, "more than are in flight at once would be sent again after a crash"


@pytest.mark.parametrize("other", [{"cover": True}, {"type": "text/html"}, {"part_size": 8}, {"key": "theirs"}])
def test_a_renewal_that_grants_something_else_is_refused(runs: Runs, file: Path, other: dict[str, object]) -> None:
    runs.stopped_after(5, file)
    runs.cloud.counts.clear()

    class Other(Cloud):
        @hookimpl
        def token(self, request: TokenRequest) -> Sequence[Grant | errors.VVOSError]:
            granted = Cloud.token(self, request)
            return [structs.replace(grant, **other) if isinstance(grant, Grant) else grant for grant in granted]

    runs.cloud.__class__ = Other
    job = runs(file)
    assert isinstance(job.upload.error, errors.BadAnswer)
    assert not runs.cloud.counts["put_chunk"]
    assert len(runs.records()) == 1, "it is kept for a broker that answers better"
