"""vvos_core.progress: counts and rates by a clock of our own, and how often they are told."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vvos_core import Progress
from vvos_core.job import Job
from vvos_core.progress import REPORT_EVERY, Tracker
from vvos_core.protocol.states import State
from vvos_core.protocol.upload import Upload
from vvos_core.source import BytesSource


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def job(size: int, number: int = 0) -> Job:
    return Job(Upload(number, size), BytesSource(bytes(size), "x"), f"文件{number}", "", {})


def begun(size: int = 1000) -> tuple[Clock, Tracker, Job]:
    clock = Clock()
    tracker = Tracker(1, size, clock)
    one = job(size)
    one.upload.state = State.UPLOADING
    tracker.changed(one)
    return clock, tracker, one


def test_nothing_has_come_anywhere_at_first() -> None:
    tracker = Tracker(2, 30, Clock())
    assert tracker.progress() == Progress(
        bytes_done=0, bytes_total=30, rate=0.0, files_done=0, files_total=2, state="uploading", files=()
    )
    assert tracker.progress().seconds_left is None


def test_bytes_count_while_they_move_and_when_they_are_stored() -> None:
    clock, tracker, one = begun()
    one.chunk_moves(1, 100)
    one.chunk_moves(2, 50)
    clock.now += 1
    progress = tracker.progress()
    assert progress.bytes_done == 150
    assert (progress.files[0].client_key, progress.files[0].bytes_done, progress.files[0].bytes_total) == (
        "文件0",
        150,
        1000,
    )
    assert progress.files[0].state == "uploading"
    one.chunk_stored(1, 400)
    assert tracker.progress().bytes_done == 450


def test_a_chunk_that_is_sent_again_counts_anew() -> None:
    _, tracker, one = begun()
    one.chunk_moves(1, 300)
    one.chunk_moves(1, 0)
    assert tracker.progress().bytes_done == 0
    one.chunk_moves(1, 300)
    one.chunk_returned(1)
    assert tracker.progress().bytes_done == 0


def test_the_first_measure_is_the_rate() -> None:
    clock, tracker, one = begun()
    one.chunk_moves(1, 500)
    clock.now += 2
    progress = tracker.progress()
    assert progress.rate == pytest.approx(250)
    assert progress.files[0].rate == pytest.approx(250)
    assert progress.seconds_left == pytest.approx(2)


def test_a_steady_rate_is_told_as_it_is() -> None:
    clock, tracker, one = begun(100_000)
    for second in range(1, 30):
        clock.now += 1
        one.chunk_moves(1, 700 * second)
        assert tracker.progress().rate == pytest.approx(700)


def test_a_rate_that_changes_is_half_way_there_after_three_seconds() -> None:
    clock, tracker, one = begun(100_000)
    clock.now += 10
    one.chunk_moves(1, 1000)
    assert tracker.progress().rate == pytest.approx(100)
    clock.now += 3
    one.chunk_moves(1, 1000 + 3 * 500)
    assert tracker.progress().rate == pytest.approx(300)
    for _ in range(100):
        clock.now += 3
        progress = tracker.progress()
    assert progress.rate == pytest.approx(0, abs=1e-6), "what stands still comes to nothing"


def test_a_rate_is_never_negative() -> None:
    clock, tracker, one = begun()
    one.chunk_moves(1, 900)
    clock.now += 1
    tracker.progress()
    one.chunk_moves(1, 0)
    clock.now += 3
    assert tracker.progress().rate == pytest.approx(450), "what falls back counts as standing still"


def test_two_reports_at_one_moment_divide_by_nothing() -> None:
    _, tracker, one = begun()
    one.chunk_moves(1, 10)
    assert tracker.progress().rate == tracker.progress().rate == 0.0


def test_what_was_there_already_counts_as_done() -> None:
    _, tracker, one = begun()
    one.upload.reused = True
    assert tracker.progress().bytes_done == 1000


def test_a_file_that_failed_is_no_longer_to_come() -> None:
    _, tracker, one = begun()
    one.chunk_moves(1, 10)
    one.upload.state = State.FAILED
    tracker.ended(one)
    progress = tracker.progress()
    assert (progress.bytes_done, progress.files_done, progress.state, progress.files) == (1000, 1, "done", ())


def test_reports_are_due_at_most_so_often() -> None:
    clock = Clock()
    tracker = Tracker(1, 1, clock)
    assert tracker.due(), "the first at once"
    tracker.progress()
    assert not tracker.due()
    clock.now += REPORT_EVERY * 0.99
    assert not tracker.due()
    clock.now += REPORT_EVERY * 0.02
    assert tracker.due()
    assert tracker.due(), "to look is not to report"


def test_no_files_are_done() -> None:
    progress = Tracker(0, 0, Clock()).progress()
    assert (progress.state, progress.bytes_done, progress.bytes_total) == ("done", 0, 0)


class AnyOrder(RuleBasedStateMachine):
    """Files come, move, fall back and end in any order; the counts always fit each other."""

    @initialize(sizes=st.lists(st.integers(0, 50), max_size=6), refused=st.lists(st.integers(0, 50), max_size=3))
    def begin(self, sizes: list[int], refused: list[int]) -> None:
        self.clock = Clock()
        self.total = sum(sizes) + sum(refused)
        self.count = len(sizes) + len(refused)
        self.tracker = Tracker(self.count, self.total, self.clock)
        self.waiting = [job(size, number) for number, size in enumerate(sizes)]
        self.moving: list[Job] = []
        self.stored: dict[Job, int] = {}
        for size in refused:
            self.tracker.count_ended(size)

    @precondition(lambda self: self.waiting)
    @rule()
    def start(self) -> None:
        one = self.waiting.pop()
        one.upload.state = State.UPLOADING
        self.stored[one] = 0
        self.moving.append(one)
        self.tracker.changed(one)

    @precondition(lambda self: self.moving)
    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(self.moving))
        left = one.source.size - self.stored[one]
        one.chunk_moves(1, data.draw(st.integers(0, left)))
        fate = data.draw(st.sampled_from(["moves", "stored", "returned"]))
        if fate == "stored":
            one.chunk_stored(1, left)
            self.stored[one] += left
        elif fate == "returned":
            one.chunk_returned(1)

    @precondition(lambda self: self.moving)
    @rule(data=st.data(), state=st.sampled_from([State.DONE, State.FAILED, State.CANCELLED]))
    def end(self, data: st.DataObject, state: State) -> None:
        one = data.draw(st.sampled_from(self.moving))
        self.moving.remove(one)
        one.upload.state = state
        self.tracker.ended(one)

    @rule(seconds=st.floats(0, 10))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def counts_fit(self) -> None:
        if not hasattr(self, "tracker"):
            return
        progress = self.tracker.progress()
        assert 0 <= progress.bytes_done <= progress.bytes_total == self.total
        assert 0 <= progress.files_done <= progress.files_total == self.count
        assert progress.rate >= 0
        assert progress.seconds_left is None or progress.seconds_left >= 0
        assert len(progress.files) == len(self.moving)
        for file in progress.files:
            assert 0 <= file.bytes_done <= file.bytes_total
        if progress.state == "done":
            assert progress.bytes_done == progress.bytes_total
            assert progress.files_done == progress.files_total
            assert progress.files == ()


TestAnyOrder = AnyOrder.TestCase
