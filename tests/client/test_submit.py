"""What `VVOS.submit` answers and tells: a result for every file, and Ctrl-C."""

from __future__ import annotations

import io
import os
import signal
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vvos_core import (
    VVOS,
    BadInput,
    Cancelled,
    ConfigError,
    Denied,
    Exists,
    Progress,
    Result,
    SourceChanged,
    TooLarge,
    hookimpl,
)
from vvos_core.engine import BATCH
from vvos_core.model import Call, ExistsRequest, NotifyRequest, TokenRequest

from ..engine.cloud import Cloud, no_fault
from .uploading import Told, client, data

# ── results ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_results_come_in_the_order_of_adding_however_files_end(vvos: VVOS) -> None:
    keys = [f"文件{number}" for number in range(60)]
    vvos.add_files([(data(number * 7 % 45), key) for number, key in enumerate(keys)])
    vvos.add_files([(b"", "a//b"), (b"x", "forbidden"), (b"y", "末")])
    results = vvos.submit()
    assert [result.client_key for result in results] == [*keys, "a//b", "forbidden", "末"]
    assert [result.state for result in results] == ["done"] * 60 + ["failed", "failed", "done"]


def test_a_result_says_all_that_is_known_of_a_file(vvos: VVOS, cloud: Cloud) -> None:
    cloud.objects["there"] = data(20)
    cloud.objects["taken"] = b"theirs"
    vvos.add_files([(data(20), "new"), (data(20), "there"), (data(20), "taken"), (data(20), "forbidden"), (b"", "/")])
    new, there, taken, forbidden, bad = vvos.submit()
    checksum = f"crc32:{zlib.crc32(data(20)):08x}"
    assert new == Result(
        client_key="new",
        key="new",
        url="mem://new",
        size=20,
        state="done",
        checksum=checksum,
        reused=False,
        error=None,
    )
    assert (there.state, there.url, there.checksum, there.reused) == ("done", "mem://there", checksum, True)
    assert (taken.state, taken.url, taken.key, type(taken.error)) == ("failed", "", "taken", Exists)
    assert (forbidden.state, forbidden.key, type(forbidden.error)) == ("failed", "", Denied)
    assert (bad.state, bad.key, bad.size) == ("failed", "", 0)
    assert [result.ok for result in (new, there, taken, forbidden, bad)] == [True, True, False, False, False]


def test_a_taken_key_is_skipped_where_the_profile_says_so(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    cloud.objects["taken"] = b"theirs"
    vvos = client(monkeypatch, cloud, on_exists="skip")
    vvos.add_files([(data(20), "taken"), (data(20), "new")])
    taken, new = vvos.submit()
    assert (taken.state, taken.ok, taken.error) == ("skipped", True, None)
    assert new.state == "done"
    assert cloud.objects["taken"] == b"theirs"


def test_a_taken_key_is_replaced_with_cover(monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> None:
    cloud.objects["taken"] = b"theirs"
    vvos = client(monkeypatch, cloud, cover=True)
    vvos.add_files((data(20), "taken"))
    assert vvos.submit()[0].state == "done"
    assert cloud.objects["taken"] == data(20)


def test_a_file_that_is_too_large_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small(Cloud):
        @hookimpl
        def token(self, request: TokenRequest) -> Any:
            return [
                TooLarge("too large.") if ask.size > 50 else grant
                for ask, grant in zip(request.files, super().token(request), strict=True)
            ]

    vvos = client(monkeypatch, Small())
    vvos.add_files([(data(51), "a"), (data(50), "b")])
    first, second = vvos.submit()
    assert isinstance(first.error, TooLarge)
    assert second.state == "done"


def test_nothing_to_do_is_done(vvos: VVOS, cloud: Cloud) -> None:
    told = Told()
    assert vvos.submit(on_result=told.on_result, on_progress=told.on_progress) == []
    assert told.results == []
    [(error, progress)] = told.progress
    assert error is None
    assert (progress.state, progress.files_total) == ("done", 0)
    assert not cloud.counts


def test_a_second_submit_has_the_files_that_were_added_since(vvos: VVOS, cloud: Cloud) -> None:
    vvos.add_files((b"1", "a"))
    assert [result.client_key for result in vvos.submit()] == ["a"]
    assert vvos.submit() == []
    vvos.add_files([(b"2", "b"), (b"1", "a")])
    second = vvos.submit()
    assert [(result.client_key, result.reused) for result in second] == [("b", False), ("a", True)]
    assert cloud.objects == {"a": b"1", "b": b"2"}


def test_each_submit_asks_with_request_tokens_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    class Seeing(Cloud):
        @hookimpl
        def token(self, request: TokenRequest) -> Any:
            asked.append(request.request_token)
            return super().token(request)

    vvos = client(monkeypatch, Seeing())
    for _ in range(2):
        vvos.add_files([(b"x", f"f{number}") for number in range(BATCH + 1)])
        vvos.submit()
    assert len(asked) == len(set(asked)) == 4
    assert all(token.startswith("e30.") for token in asked)


def test_a_file_that_changed_since_it_was_added_fails_alone(vvos: VVOS, cloud: Cloud, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("edited", "gone", "good")]
    for path in paths:
        path.write_bytes(data(30))
    vvos.add_files(paths)
    before = paths[0].stat()
    paths[0].write_bytes(bytes(30))
    os.utime(paths[0], ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    paths[1].unlink()
    results = vvos.submit()
    assert [type(result.error) for result in results] == [SourceChanged, SourceChanged, type(None)]
    assert cloud.objects == {"good": data(30)}


def test_sources_are_closed_when_all_is_over(vvos: VVOS) -> None:
    before = len(os.listdir("/dev/fd"))
    vvos.add_files([(io.BytesIO(data(30)), f"s{number}") for number in range(5)])
    vvos.add_files((io.BytesIO(data(30)), "forbidden"))
    vvos.submit()
    assert len(os.listdir("/dev/fd")) == before


# ── what the business adds ────────────────────────────────────────────────────────────────────────────────────────────


def test_business_parameters_reach_their_call_and_headers_all(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, Call] = {}

    class Seeing(Cloud):
        @hookimpl
        def token(self, request: TokenRequest) -> Any:
            calls["gettoken"] = request.call
            return super().token(request)

        @hookimpl
        def exists(self, request: ExistsRequest) -> Any:
            calls["exists"] = request.call
            return super().exists(request)

        @hookimpl
        def notify(self, request: NotifyRequest) -> Any:
            calls["notifier"] = request.call
            return super().notify(request)

    vvos = client(monkeypatch, Seeing())
    vvos.add_files((b"x", "a"))
    vvos.submit(header={"X-User": "7"}, gettoken={"课程": 1}, exists={"b": [2]}, notifier={"c": {"d": None}})
    assert calls == {
        "gettoken": Call(header={"X-User": "7"}, body={"课程": 1}),
        "exists": Call(header={"X-User": "7"}, body={"b": [2]}),
        "notifier": Call(header={"X-User": "7"}, body={"c": {"d": None}}),
    }


@pytest.mark.parametrize("where", ["gettoken", "exists", "notifier"])
@pytest.mark.parametrize("name", ["requestToken", "accessToken", "keys", "files", "cover", "client", "parts"])
def test_a_parameter_of_the_protocols_own_name_is_refused_before_anything_is_sent(
    where: str, name: str, vvos: VVOS, cloud: Cloud
) -> None:
    vvos.add_files((b"x", "a"))
    parameters: dict[str, Any] = {where: {name: "x"}}
    with pytest.raises(BadInput, match=name) as caught:
        vvos.submit(**parameters)
    assert caught.value.code == "BAD_REQUEST"
    assert not cloud.counts
    assert [result.state for result in vvos.submit()] == ["done"], "the files are still there"


@pytest.mark.parametrize("name", ["Content-Type", "content-length", "HOST", "Transfer-Encoding"])
def test_a_header_of_the_protocols_own_is_refused_before_anything_is_sent(name: str, vvos: VVOS, cloud: Cloud) -> None:
    vvos.add_files((b"x", "a"))
    with pytest.raises(BadInput, match=name):
        vvos.submit(header={name: "x"})
    assert not cloud.counts


def test_a_parameter_that_is_no_json_is_refused_before_anything_is_sent(vvos: VVOS, cloud: Cloud) -> None:
    vvos.add_files((b"x", "a"))
    with pytest.raises(BadInput, match="JSON"):
        vvos.submit(gettoken={"x": object()})
    assert not cloud.counts


# ── Ctrl-C ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def interrupt_at(hook_: str, count_: int) -> Callable[[str, int], str]:
    once = threading.Event()

    def fault(hook: str, count: int) -> str:
        if hook == hook_ and count >= count_ and not once.is_set():
            once.set()
            signal.raise_signal(signal.SIGINT)
        return ""

    return fault


@pytest.mark.parametrize("hook", ["token", "exists", "put_chunk", "complete", "notify"])
def test_an_interrupt_cancels_what_has_not_ended_and_tells_every_file(hook: str, vvos: VVOS, cloud: Cloud) -> None:
    cloud.fault = interrupt_at(hook, 1)
    told = Told()
    vvos.add_files([(data(400), f"大{number}") for number in range(20)])
    vvos.add_files([(io.BytesIO(data(30)), f"s{number}") for number in range(20)])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        vvos.submit(on_result=told.on_result, on_progress=told.on_progress)
    assert signal.getsignal(signal.SIGINT) is before
    assert len(told.results) == 40, "every file has its end"
    assert {result.state for _, result in told.results} <= {"cancelled", "done", "failed"}
    for error, result in told.results:
        assert result.state != "failed" or isinstance(error, Cancelled)
    assert told.progress[-1][1].state == "done"
    assert cloud.uploads == {}, "what was begun is aborted"
    assert {result.key for _, result in told.results if result.state == "done"} == set(cloud.notified)


def test_after_an_interrupt_the_next_submit_works(vvos: VVOS, cloud: Cloud) -> None:
    cloud.fault = interrupt_at("put_chunk", 1)
    vvos.add_files((data(400), "a"))
    with pytest.raises(KeyboardInterrupt):
        vvos.submit()
    cloud.fault = no_fault
    vvos.add_files((data(400), "a"))
    assert vvos.submit()[0].state == "done"


def test_a_second_interrupt_does_not_wait(vvos: VVOS, cloud: Cloud) -> None:
    before = set(threading.enumerate())
    release = threading.Event()
    stuck = threading.Event()
    released: list[bool] = []

    def fault(hook: str, count: int) -> str:
        if hook == "put_chunk" and not stuck.is_set():
            stuck.set()
            signal.raise_signal(signal.SIGINT)
            while signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
                release.wait(0.001)  # two at once would be one
            signal.raise_signal(signal.SIGINT)
            released.append(release.wait(30))
        return ""

    cloud.fault = fault
    vvos.add_files((data(400), "a"))
    with pytest.raises(KeyboardInterrupt):
        vvos.submit()
    assert released == [], "it came back while the service was still silent"
    release.set()
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
    assert released == [True]


def test_off_the_main_thread_uploads_go_as_well(vvos: VVOS, cloud: Cloud) -> None:
    told = Told()
    vvos.add_files((data(40), "a"))
    thread = threading.Thread(target=lambda: vvos.submit(on_result=told.on_result))
    thread.start()
    thread.join(60)
    assert told.threads == {thread}
    assert cloud.objects == {"a": data(40)}


# ── how it is made ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("api", "words"),
    [
        ({}, "gettoken is missing"),
        ({"gettoken": "http://127.0.0.1/t"}, "notifier is missing"),
        ({"gettoken": "http://127.0.0.1/t", "notifier": "http://127.0.0.1/n", "notify": "x"}, "'notify' is not one"),
        ({"gettoken": "ftp://127.0.0.1/t", "notifier": "http://127.0.0.1/n"}, "api.gettoken: is not an address"),
        ({"gettoken": "http://127.0.0.1/t", "notifier": "127.0.0.1"}, "api.notifier: is not an address"),
        ({"gettoken": "http://h:x/", "notifier": "http://127.0.0.1/n"}, "api.gettoken: is not an address"),
        ({"gettoken": "http://a:s3cr3t@h/", "notifier": "http://127.0.0.1/n"}, "api.gettoken: has a user's name"),
        ({"gettoken": 5, "notifier": "http://127.0.0.1/n"}, "api.gettoken"),
    ],
)
def test_addresses_that_cannot_be_used_are_refused_at_once(api: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        VVOS(api)
    assert "s3cr3t" not in str(caught.value)


def test_at_least_one_chunk_goes_at_a_time() -> None:
    with pytest.raises(BadInput, match="concurrency is 0"):
        VVOS({"gettoken": "http://127.0.0.1/t", "notifier": "http://127.0.0.1/n"}, concurrency=0)


def test_without_a_configuration_that_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "vvos.toml"
    empty.write_text("")
    with pytest.raises(ConfigError, match="no profile is configured"):
        VVOS(config=empty)


def test_a_configuration_with_a_broker_needs_no_provider(tmp_path: Path) -> None:
    path = tmp_path / "vvos.toml"
    path.write_text(
        "[api]\n" + "".join(f'{name} = "http://127.0.0.1:1/{name}"\n' for name in ("gettoken", "exists", "notifier"))
    )
    VVOS(config=path)


def test_seconds_left_are_told_while_bytes_move() -> None:
    progress = Progress(
        bytes_done=10, bytes_total=40, rate=15.0, files_done=0, files_total=1, state="uploading", files=()
    )
    assert progress.seconds_left == 2.0
