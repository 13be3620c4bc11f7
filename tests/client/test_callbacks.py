"""What `VVOS.submit` tells meanwhile: each result and each progress, in order, and the listeners."""

from __future__ import annotations

import threading

import pytest

from vvos_core import (
    VVOS,
    Denied,
    Result,
    VVOSError,
    hookimpl,
)
from vvos_core.model import NotifyRequest

from ..engine.cloud import Cloud
from .uploading import Told, client, data


def test_each_result_is_told_once_in_the_callers_thread(vvos: VVOS) -> None:
    told = Told()
    vvos.add_files([(data(size), f"f{size}") for size in range(40)])
    vvos.add_files([(b"", "/"), (b"x", "forbidden")])
    results = vvos.submit(on_result=told.on_result, on_progress=told.on_progress)
    assert sorted((result.client_key for _, result in told.results)) == sorted(item.client_key for item in results)
    assert all(result in results for _, result in told.results)
    assert all(error is result.error for error, result in told.results)
    assert told.threads == {threading.current_thread()}


def test_what_was_refused_is_told_before_anything_is_sent(vvos: VVOS, cloud: Cloud) -> None:
    order: list[str] = []

    def fault(hook: str, count: int) -> str:
        order.append(hook)
        return ""

    cloud.fault = fault
    vvos.add_files([(b"1", "good"), (b"2", "/bad")])
    vvos.submit(on_result=lambda error, result: order.append(result.client_key))
    assert order[0] == "/bad"
    assert order[-1] == "good"


def test_progress_comes_first_and_ends_complete(vvos: VVOS) -> None:
    told = Told()
    vvos.add_files([(data(size), f"f{size}") for size in (0, 5, 40)])
    vvos.add_files([(b"", "/"), (data(9), "forbidden")])
    vvos.submit(on_result=told.on_result, on_progress=told.on_progress)
    last = told.progress[-1][1]
    assert (last.state, last.files_done, last.files_total) == ("done", 5, 5)
    assert last.bytes_done == last.bytes_total == 54
    assert last.files == ()
    assert all(progress.state == "uploading" for _, progress in told.progress[:-1] if progress.files_done < 5)


def test_the_error_of_a_file_that_failed_is_told_with_progress_once(vvos: VVOS) -> None:
    told = Told()
    vvos.add_files([(b"x", "forbidden"), (data(40), "a")])
    vvos.submit(on_progress=told.on_progress)
    assert [type(error) for error, _ in told.progress if error] == [Denied]


@pytest.mark.parametrize("seal", [False, True])
def test_progress_goes_forward_where_nothing_is_sent_again(seal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vvos_core.progress.REPORT_EVERY", 0.0)
    told = Told()
    vvos = client(monkeypatch, Cloud(seal=seal))
    vvos.add_files([(data(size), f"f{size}") for size in (0, 5, 40, 80, 200)])
    vvos.submit(on_progress=told.on_progress)
    seen = [progress for _, progress in told.progress]
    assert len(seen) > 10
    done = [progress.bytes_done for progress in seen]
    assert done == sorted(done)
    assert [progress.files_done for progress in seen] == sorted(progress.files_done for progress in seen)
    for key in ("f40", "f80", "f200"):
        moved = [file.bytes_done for progress in seen for file in progress.files if file.client_key == key]
        assert moved == sorted(moved)
        assert max(moved) == int(key[1:])
    for progress in seen:
        assert progress.bytes_done <= progress.bytes_total
        assert all(file.bytes_done <= file.bytes_total for file in progress.files)


def test_progress_falls_back_with_a_chunk_that_is_sent_again_and_still_arrives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vvos_core.progress.REPORT_EVERY", 0.0)
    told = Told()
    cloud = Cloud(lambda hook, count: "after" if hook == "put_chunk" and count in (2, 5) else "")
    vvos = client(monkeypatch, cloud)
    vvos.add_files((data(60), "a"))
    vvos.submit(on_progress=told.on_progress)
    assert all(0 <= progress.bytes_done <= 60 for _, progress in told.progress)
    assert told.progress[-1][1].bytes_done == 60
    assert cloud.objects["a"] == data(60)


def test_progress_is_told_at_most_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vvos_core.progress.REPORT_EVERY", 1e9)
    told = Told()
    vvos = client(monkeypatch, Cloud())
    vvos.add_files([(b"x", f"f{number}") for number in range(500)])
    vvos.submit(on_progress=told.on_progress)
    assert len(told.progress) <= 2, "the first, and the last"


def test_a_callback_that_fails_is_logged_and_stops_nothing(vvos: VVOS, caplog: pytest.LogCaptureFixture) -> None:
    def broken(error: VVOSError | None, value: object) -> None:
        raise ZeroDivisionError("of the user's")

    vvos.add_files([(b"1", "a"), (b"2", "/b"), (b"3", "c")])
    results = vvos.submit(on_result=broken, on_progress=broken)
    assert [result.state for result in results] == ["done", "failed", "done"]
    assert len([record for record in caplog.records if "callback" in record.getMessage()]) >= 4
    assert "ZeroDivisionError" in caplog.text


def test_callbacks_are_never_called_two_at_a_time(vvos: VVOS) -> None:
    inside = threading.Lock()

    def alone(error: VVOSError | None, value: object) -> None:
        assert inside.acquire(blocking=False)
        inside.release()

    vvos.add_files([(data(30), f"f{number}") for number in range(30)])
    failures: list[object] = []

    def on_result(error: VVOSError | None, result: Result) -> None:
        try:
            alone(error, result)
        except AssertionError as failure:
            failures.append(failure)

    vvos.submit(on_result=on_result, on_progress=on_result)  # type: ignore[arg-type]  # it looks at neither value
    assert failures == []


def test_a_callback_may_add_the_files_of_the_next_submit(vvos: VVOS, cloud: Cloud) -> None:
    vvos.add_files((b"1", "a"))
    vvos.submit(on_result=lambda error, result: vvos.add_files((b"2", "b")))
    assert cloud.objects == {"a": b"1"}
    assert [result.client_key for result in vvos.submit()] == ["b"]


def test_listeners_hear_of_what_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    class Listener:
        @hookimpl
        def notify(self, request: NotifyRequest) -> list[object]:
            heard.extend(done.grant.key for done in request.objects)
            return []

    from vvos_core import Profile, RetryPolicy

    from ..engine.cloud import calls_of

    cloud = Cloud()
    monkeypatch.setattr("vvos_core.destination.load", lambda profile, plugins: calls_of(cloud, *plugins))
    vvos = VVOS(profile=Profile(name="p", provider="cloud"), plugins=[Listener()], retry=RetryPolicy(base=0))
    vvos.add_files([(b"1", "甲"), (b"2", "forbidden")])
    vvos.submit()
    assert heard == ["甲"]
