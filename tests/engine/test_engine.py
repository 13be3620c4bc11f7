"""The engine with real threads against a provider in memory: faults at every hook, conflicts, cancellation."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from vvos_core import errors, hookimpl
from vvos_core.engine import BATCH, UNDER_WAY, Engine
from vvos_core.job import Job, Order
from vvos_core.model import Chunk, Grant, NotifyRequest, Receipt, TokenRequest
from vvos_core.protocol.states import FINAL, State
from vvos_core.protocol.upload import Upload
from vvos_core.retry import RetryPolicy
from vvos_core.source import BytesSource, FileSource, Source

from .cloud import Cloud, calls_of, no_fault

AT_ONCE = RetryPolicy(attempts=5, base=0.0)


class Log:
    def __init__(self) -> None:
        self.ended_keys: list[str] = []
        self.states: dict[str, list[State]] = {}

    def changed(self, job: Job) -> None:
        self.states.setdefault(job.client_key, []).append(job.upload.state)

    def ended(self, job: Job) -> None:
        self.ended_keys.append(job.client_key)

    def stopping(self) -> None:
        pass

    def tick(self) -> None:
        pass


def run(
    cloud: Cloud,
    sources: dict[str, Source],
    *,
    cover: bool = False,
    keep: bool = False,
    listeners: tuple[object, ...] = (),
) -> tuple[dict[str, Job], Log]:
    jobs = {
        key: Job(Upload(number, source.size, window=3), source, key, "text/plain", {})
        for number, (key, source) in enumerate(sources.items())
    }
    log = Log()
    engine = Engine(
        calls_of(cloud, *listeners, keep_existing=keep),
        make_request_token=lambda name: name,
        concurrency=3,
        retry=AT_ONCE,
    )
    engine.run(iter(jobs.values()), Order(batch="b", cover=cover), log)
    assert sorted(log.ended_keys) == sorted(jobs), "every file ends once"
    assert all(job.upload.state in FINAL for job in jobs.values())
    return jobs, log


def data(size: int) -> bytes:
    return bytes(index * 7 % 251 for index in range(size))


def source(size: int) -> BytesSource:
    return BytesSource(data(size), "x")


SIZES = (0, 1, 9, 10, 11, 12, 13, 399, 400)


@pytest.mark.parametrize("seal", [False, True])
def test_files_of_every_size_arrive(seal: bool) -> None:
    cloud = Cloud(seal=seal)
    jobs, _ = run(cloud, {f"文件{size}": source(size) for size in SIZES})
    assert {job.upload.state for job in jobs.values()} == {State.DONE}
    assert cloud.objects == {f"文件{size}": data(size) for size in SIZES}
    assert cloud.uploads == {}
    assert jobs["文件13"].upload.url == "mem://文件13"


def test_a_thousand_files_go_in_few_calls() -> None:
    cloud = Cloud()
    run(cloud, {f"f{number}": source(number % 9) for number in range(1000)})
    assert len(cloud.objects) == 1000
    assert cloud.counts["token"] <= 20
    assert cloud.counts["notify"] < 1000


def test_one_that_fails_does_not_stop_the_others() -> None:
    cloud = Cloud()
    jobs, _ = run(cloud, {"a": source(5), "forbidden": source(5), "b": source(50)})
    assert isinstance(jobs["forbidden"].upload.error, errors.Denied)
    assert cloud.objects.keys() == {"a", "b"}


@pytest.mark.parametrize("seal", [False, True])
@pytest.mark.parametrize("hook", ["token", "exists", "put_chunk", "complete", "notify"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_each_answer_may_be_lost_once(hook: str, when: str, seal: bool) -> None:
    """Lost before the service acted or after: the file arrives, once, and nothing unfinished stays."""
    cloud = Cloud(lambda name, count: when if name == hook and count == 1 else "", seal=seal)
    jobs, _ = run(cloud, {"small": source(5), "large": source(50)})
    assert {job.upload.state for job in jobs.values()} == {State.DONE}, [job.upload.error for job in jobs.values()]
    assert cloud.objects == {"small": data(5), "large": data(50)}
    assert cloud.uploads == {}


@settings(max_examples=60)
@given(
    faults=st.sets(
        st.tuples(st.sampled_from(["token", "exists", "put_chunk", "complete", "notify"]), st.integers(1, 12))
    ),
    after=st.booleans(),
    seal=st.booleans(),
)
def test_any_pattern_of_lost_answers_ends_every_file_well_or_with_its_reason(
    faults: set[tuple[str, int]], after: bool, seal: bool
) -> None:
    cloud = Cloud(lambda name, count: ("after" if after else "before") if (name, count) in faults else "", seal=seal)
    jobs, _ = run(cloud, {"small": source(5), "large": source(30), "空": source(0)})
    for key, job in jobs.items():
        if job.upload.state is State.DONE:
            assert cloud.objects[key] == data(job.source.size)
        else:
            assert isinstance(job.upload.error, errors.Unavailable | errors.NotFound)
    # What was begun for a client that never heard of it is for the broker to sweep.
    assert cloud.uploads == {} or jobs["large"].upload.grant is None


def test_what_may_not_help_is_not_tried_again() -> None:
    cloud = Cloud(lambda name, count: "DENIED" if name == "put_chunk" else "")
    jobs, _ = run(cloud, {"a": source(5)})
    assert isinstance(jobs["a"].upload.error, errors.Denied)
    assert cloud.counts["put_chunk"] == 1


def test_what_may_help_is_tried_a_bounded_number_of_times() -> None:
    cloud = Cloud(lambda name, count: "before" if name == "put_chunk" else "")
    jobs, _ = run(cloud, {"a": source(5)})
    assert jobs["a"].upload.state is State.FAILED
    assert cloud.counts["put_chunk"] == AT_ONCE.attempts


def test_an_expired_grant_is_renewed_and_stored_chunks_are_not_sent_again() -> None:
    cloud = Cloud()

    def expire(hook: str, count: int) -> str:
        if hook == "put_chunk" and count >= 5:
            cloud.generation = 1
        return ""

    cloud.fault = expire
    jobs, log = run(cloud, {"a": source(40)})
    assert jobs["a"].upload.state is State.DONE
    assert cloud.objects["a"] == data(40)
    assert log.states["a"].count(State.TOKEN) == 2
    assert cloud.counts["token"] == 2
    # Ten chunks, and those few that were in flight with the old grant.
    assert cloud.counts["put_chunk"] <= 10 + 3


def test_a_grant_that_expires_again_and_again_fails_with_a_word_about_clocks() -> None:
    cloud = Cloud()

    def expire(hook: str, count: int) -> str:
        if hook == "put_chunk":
            cloud.generation += 1
        return ""

    cloud.fault = expire
    jobs, _ = run(cloud, {"a": source(5)})
    assert isinstance(jobs["a"].upload.error, errors.TokenExpired)
    assert "clock" in str(jobs["a"].upload.error)


@pytest.mark.parametrize("size", [5, 50])
def test_a_taken_key_is_refused_and_unchanged(size: int) -> None:
    cloud = Cloud()
    cloud.objects["a"] = b"theirs"
    jobs, _ = run(cloud, {"a": source(size)})
    assert isinstance(jobs["a"].upload.error, errors.Exists)
    assert cloud.objects == {"a": b"theirs"}
    assert cloud.uploads == {}


@pytest.mark.parametrize("size", [5, 50])
def test_a_taken_key_is_skipped_where_the_profile_says_so(size: int) -> None:
    cloud = Cloud()
    cloud.objects["a"] = b"theirs"
    jobs, _ = run(cloud, {"a": source(size)}, keep=True)
    assert jobs["a"].upload.state is State.SKIPPED
    assert cloud.objects == {"a": b"theirs"}
    assert cloud.uploads == {}


@pytest.mark.parametrize("size", [5, 50])
def test_a_taken_key_is_replaced_where_that_is_granted(size: int) -> None:
    cloud = Cloud()
    cloud.objects["a"] = b"theirs"
    jobs, _ = run(cloud, {"a": source(size)}, cover=True)
    assert jobs["a"].upload.state is State.DONE
    assert cloud.objects == {"a": data(size)}


@pytest.mark.parametrize("cover", [False, True])
@pytest.mark.parametrize("size", [0, 5, 50])
def test_what_is_there_byte_for_byte_is_not_sent_again_but_notified(size: int, cover: bool) -> None:
    cloud = Cloud()
    cloud.objects["a"] = data(size)
    jobs, _ = run(cloud, {"a": source(size)}, cover=cover)
    assert jobs["a"].upload.state is State.DONE
    assert jobs["a"].upload.reused
    assert cloud.counts["put_chunk"] == 0
    assert cloud.notified["a"] == 1
    assert cloud.uploads == {}


@pytest.mark.parametrize("size", [5, 50])
def test_a_rival_that_comes_between_look_and_write_loses_nothing(size: int) -> None:
    cloud = Cloud()

    def rival(hook: str, count: int) -> str:
        if hook == ("put_chunk" if size == 5 else "complete"):
            cloud.objects["a"] = b"theirs"
        return ""

    cloud.fault = rival
    jobs, _ = run(cloud, {"a": source(size)})
    assert isinstance(jobs["a"].upload.error, errors.Exists)
    assert cloud.objects == {"a": b"theirs"}


def test_a_source_that_vanished_fails_before_a_token_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "gone"
    path.write_bytes(b"x")
    gone = FileSource(path)
    path.unlink()
    cloud = Cloud()
    jobs, _ = run(cloud, {"gone": gone, "a": source(5)})
    assert isinstance(jobs["gone"].upload.error, errors.SourceChanged)
    assert jobs["a"].upload.state is State.DONE


def test_a_source_that_changes_before_its_last_chunk_makes_no_object(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(data(50))
    cloud = Cloud()

    def edit(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 9:
            path.write_bytes(b"z" * 50)
        return ""

    cloud.fault = edit
    jobs, _ = run(cloud, {"f": FileSource(path)})
    assert isinstance(jobs["f"].upload.error, errors.SourceChanged)
    assert cloud.objects == {}
    assert cloud.uploads == {}


def test_listeners_are_told_once_of_what_passed_and_one_that_fails_stops_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told: list[str] = []

    class Good:
        @hookimpl
        def notify(self, request: NotifyRequest) -> list[object]:
            told.extend(done.grant.key for done in request.objects)
            return []

    class Bad:
        @hookimpl
        def notify(self, request: NotifyRequest) -> list[object]:
            raise RuntimeError("listener")

    jobs, _ = run(Cloud(), {"a": source(5), "forbidden": source(5)}, listeners=(Good(), Bad(), Good()))
    assert told == ["a", "a"]
    assert jobs["a"].upload.state is State.DONE
    assert "failed in notify" in caplog.text


def test_an_interrupt_cancels_aborts_and_is_raised() -> None:
    import signal

    cloud = Cloud()
    reached = threading.Event()

    def interrupt(hook: str, count: int) -> str:
        if hook == "put_chunk" and count == 2 and not reached.is_set():
            reached.set()
            signal.raise_signal(signal.SIGINT)
        return ""

    cloud.fault = interrupt
    jobs = [Job(Upload(number, 400, window=3), source(400), f"f{number}", "", {}) for number in range(700)]
    log = Log()
    engine = Engine(calls_of(cloud), make_request_token=lambda name: name, concurrency=3, retry=AT_ONCE)
    with pytest.raises(KeyboardInterrupt):
        engine.run(iter(jobs), Order(batch="b"), log)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(log.ended_keys) == 700, "also those that had not begun have an end"
    states = {job.upload.state for job in jobs}
    assert State.CANCELLED in states
    assert states <= FINAL
    assert cloud.uploads == {}, "what was begun is aborted"


def test_jobs_are_taken_as_room_appears_not_all_at_once() -> None:
    taken = 0
    most = 0
    cloud = Cloud()
    log = Log()

    def jobs() -> Iterator[Job]:
        nonlocal taken, most
        for number in range(3000):
            taken += 1
            most = max(most, taken - len(log.ended_keys))
            yield Job(Upload(number, 1, window=3), source(1), f"f{number}", "", {})

    Engine(calls_of(cloud), make_request_token=lambda name: name).run(jobs(), Order(batch="b"), log)
    assert len(cloud.objects) == 3000
    assert most <= UNDER_WAY + 1


def test_a_fault_of_our_own_is_raised_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = Cloud()
    monkeypatch.setattr(cloud, "fault", no_fault)

    class Broken(BytesSource):
        def chunk(self, *args: Any, **kwargs: Any) -> Any:
            raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        run(cloud, {"a": Broken(b"x", "x")})


def test_chunks_that_were_on_their_way_with_an_expired_grant_renew_it_no_second_time() -> None:
    """Their refusals come in after the renewal, one by one; each would be taken for an expiry of the new grant."""
    expired = threading.Event()
    renewed = threading.Event()

    class Slow(Cloud):
        @hookimpl
        def put_chunk(self, grant: Grant, chunk: Chunk) -> Receipt:
            if grant.data["generation"] == 0 and chunk.number > 1:
                if not expired.is_set():
                    expired.set()
                    self.generation = 1
                else:
                    assert renewed.wait(30)
            return super().put_chunk(grant, chunk)

        @hookimpl
        def token(self, request: TokenRequest) -> Sequence[Grant | errors.VVOSError]:
            if request.files[0].renew:
                renewed.set()
            return super().token(request)

    slow = Slow()
    jobs, _ = run(slow, {"a": source(40)})
    assert jobs["a"].upload.error is None
    assert slow.objects["a"] == data(40)
    assert slow.counts["token"] == 2


def test_a_part_that_is_refused_for_a_taken_key_ends_its_file_alone() -> None:
    cloud = Cloud(lambda name, count: "EXISTS" if name == "put_chunk" and count == 3 else "")
    jobs, _ = run(cloud, {"a": source(40), "b": source(5)})
    assert {job.upload.state for job in jobs.values()} <= {State.DONE, State.FAILED}
    assert cloud.uploads == {}


@pytest.mark.parametrize("count", [200, 1000])
def test_files_that_all_fail_as_they_begin_all_have_an_end(count: int, tmp_path: Path) -> None:
    """More of them than are begun at a time."""
    sources: dict[str, Source] = {}
    for number in range(count):
        path = tmp_path / str(number)
        path.write_bytes(b"x")
        sources[str(number)] = FileSource(path)
        path.unlink()
    jobs, _ = run(Cloud(), {**sources, "last": source(5)})
    assert jobs.pop("last").upload.state is State.DONE
    assert all(isinstance(job.upload.error, errors.SourceChanged) for job in jobs.values())


def test_an_interrupt_at_the_very_end_is_not_lost() -> None:
    import signal

    class Interrupting(Log):
        def tick(self) -> None:
            if self.ended_keys:
                signal.raise_signal(signal.SIGINT)

    log = Interrupting()
    cloud = Cloud()
    engine = Engine(calls_of(cloud), make_request_token=lambda name: name)
    with pytest.raises(KeyboardInterrupt):
        engine.run(iter([Job(Upload(0, 5), source(5), "a", "", {})]), Order(batch="b"), log)
    assert log.ended_keys == ["a"]


def test_an_interrupt_gives_an_end_to_however_many_have_not_begun() -> None:
    import signal

    cloud = Cloud()
    interrupted = threading.Event()

    def interrupt(hook: str, count: int) -> str:
        if hook == "token" and not interrupted.is_set():
            interrupted.set()
            signal.raise_signal(signal.SIGINT)
        return ""

    cloud.fault = interrupt
    log = Log()
    jobs = [Job(Upload(number, 1), source(1), f"f{number}", "", {}) for number in range(3000)]
    with pytest.raises(KeyboardInterrupt):
        Engine(calls_of(cloud), make_request_token=lambda name: name).run(iter(jobs), Order(batch="b"), log)
    assert len(log.ended_keys) == 3000
    assert {job.upload.state for job in jobs} <= FINAL


def test_a_second_call_of_a_kind_goes_beside_the_first_only_with_a_full_batch() -> None:
    class Watched(Cloud):
        def __init__(self) -> None:
            super().__init__()
            self.under_way = 0
            self.beside: list[int] = []
            self.second = threading.Event()

        @hookimpl
        def token(self, request: TokenRequest) -> Sequence[Grant | errors.VVOSError]:
            with self._lock:
                self.under_way += 1
                if self.under_way > 1:
                    self.beside.append(len(request.files))
                    self.second.set()
            assert self.second.wait(20)  # so the first one stays until there is a second
            try:
                granted: Sequence[Grant | errors.VVOSError] = Cloud.token(self, request)
                return granted
            finally:
                with self._lock:
                    self.under_way -= 1

    cloud = Watched()
    run(cloud, {f"文{number}": source(1) for number in range(2 * BATCH + 7)})
    assert len(cloud.objects) == 2 * BATCH + 7
    assert cloud.beside
    assert set(cloud.beside) == {BATCH}
