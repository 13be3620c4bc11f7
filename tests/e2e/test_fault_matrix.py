"""Every provider, every call, every fault: the file arrives whole, or fails with a name and a second run finishes it.

The whole matrix takes minutes and is marked ``soak``. Always tested are every fault with every call of the broker, and
one fault of each kind with every call of each provider.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from vvos_core import Ask, ExistsRequest, Found, Grant, TokenRequest, Unavailable, VVOSError
from vvos_core.loader import load
from vvos_core.testing.doubles import Piece, content
from vvos_core.testing.faults import Fault, FaultProxy, answer, swallow

from .clouds import Play, impatient, playing
from .fault_matrix import BROKER_CALLS, CLOUDS, FEW, LARGE, LASTING, ONCE, RENEWAL, SLOW, At

BROKER = [(cloud, f"broker {call}", at) for cloud in CLOUDS for call, at in BROKER_CALLS.items()]
PROVIDER = [(name, call, at) for name, cloud in CLOUDS.items() for call, at in cloud.calls.items()]
CALLS = BROKER + PROVIDER
BEGINS = ("CreateMultipartUpload", "InitiateMultipartUpload", "InitParts")
"""What the emulators call the one call that cannot be idempotent: it is begun again, and the first is an orphan."""
BY_SDK = ("look", "verify", "begin")
"""Calls that the official SDKs make: they take half an answer for a whole one, of which nothing can be made."""


def cells(calls: list[tuple[str, str, At]], faults: dict[str, Fault]) -> pytest.MarkDecorator:
    """Each call with each fault, the calls of one cloud together."""
    return pytest.mark.parametrize(
        ("cloud", "call", "at", "fault"),
        [
            pytest.param(cloud, call, at, fault, id=f"{cloud}-{call}-{name}")
            for cloud, call, at in sorted(calls, key=lambda cell: cell[0])
            for name, fault in faults.items()
        ],
    )


@pytest.fixture(scope="module")
def clouds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Play]]:
    """Starts a cloud when it is asked for, and ends the one before."""
    running: dict[str, Play] = {}
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        # The SDK of S3 waits up to a second before it tries again by itself.
        patch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.0)

        def get(name: str) -> Play:
            if name not in running:
                stack.pop_all().close()
                running.clear()
                running[name] = stack.enter_context(playing(name, tmp_path_factory.mktemp("cloud")))
            return running[name]

        yield get


@pytest.fixture
def play(clouds: Callable[[str], Play], cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Play]:
    monkeypatch.setenv("VVOS_STATE", str(tmp_path / "state"))
    made = clouds(cloud)
    made.reset()
    yield made
    made.pass_all()


def proxy_of(play: Play, call: str) -> FaultProxy:
    proxy = play.to_broker if call.startswith("broker ") else play.to_cloud
    assert proxy is not None
    return proxy


def finish(play: Play) -> None:
    """A second run, with nothing in its way."""
    play.pass_all()
    assert play.check(play.put()) == {}


def happens_once(play: Play, call: str, at: At, fault: Fault) -> None:
    proxy = proxy_of(play, call)
    before = len(proxy.played)
    proxy.stage(fault, at.method, at.target, nth=at.nth)
    failures = play.check(play.put())
    assert fault.name in proxy.played[before:], "the fault was staged"
    if failures and call in BY_SDK and fault.name == "truncate":
        finish(play)
    else:
        assert failures == {}


def lasts(play: Play, call: str, at: At, fault: Fault) -> None:
    proxy_of(play, call).stage(fault, at.method, at.target, nth=at.nth, times=None)
    play.check(play.put())
    finish(play)


@cells([cell for cell in BROKER if cell[0] == "directory"], ONCE)
def test_a_call_to_the_broker_that_fails_once_costs_nothing(
    play: Play, cloud: str, call: str, at: At, fault: Fault
) -> None:
    happens_once(play, call, at, fault)


@cells(PROVIDER, FEW)
def test_a_call_to_a_provider_that_fails_once_costs_nothing(
    play: Play, cloud: str, call: str, at: At, fault: Fault
) -> None:
    happens_once(play, call, at, fault)


@cells([*BROKER[-3:], *PROVIDER], {"refused": LASTING["refused"]})
def test_a_fault_that_lasts_has_a_name_and_a_second_run_finishes(
    play: Play, cloud: str, call: str, at: At, fault: Fault
) -> None:
    lasts(play, call, at, fault)


@pytest.mark.soak
@cells(CALLS, ONCE)
def test_every_fault_that_happens_once(play: Play, cloud: str, call: str, at: At, fault: Fault) -> None:
    happens_once(play, call, at, fault)


@pytest.mark.soak
@cells(CALLS, LASTING)
def test_every_fault_that_lasts(play: Play, cloud: str, call: str, at: At, fault: Fault) -> None:
    lasts(play, call, at, fault)


@cells([cell for cell in CALLS if cell[0] == "aliyun" and cell[1] in ("part 1", "complete")], SLOW)
def test_what_stalls_is_given_up_and_what_is_slow_is_not(
    play: Play, cloud: str, call: str, at: At, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(*impatient(0.5))
    proxy = proxy_of(play, call)
    before = len(proxy.played)
    proxy.stage(fault, at.method, at.target, nth=at.nth)
    assert play.check(play.put()) == {}
    assert proxy.played[before:] == [fault.name]


@pytest.mark.soak
@cells([cell for cell in CALLS if cell[1] not in ("look", "verify", "begin")], SLOW)
def test_every_stall(play: Play, cloud: str, call: str, at: At, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    test_what_stalls_is_given_up_and_what_is_slow_is_not(play, cloud, call, at, fault, monkeypatch)


# ── calls that only some uploads make ────────────────────────────────────────────────────────────────────────────────


@cells([(name, "broker renewal", RENEWAL) for name, cloud in CLOUDS.items() if cloud.expired], FEW)
def test_a_renewal(play: Play, cloud: str, call: str, at: At, fault: Fault) -> None:
    """The service says that the grant has expired; the fault is in the gettoken that renews it."""
    assert play.to_cloud is not None
    expired = Fault(name="expired", forward=0, instead=play.cloud.expired)
    part = play.cloud.calls["part 2"]
    play.to_cloud.stage(expired, part.method, part.target)
    play.to_broker.stage(fault, at.method, at.target, nth=at.nth)
    asked = len([seen for seen in play.to_broker.log if seen.path == "/gettoken"])
    assert play.check(play.put()) == {}
    assert "expired" in play.to_cloud.played
    assert len([seen for seen in play.to_broker.log if seen.path == "/gettoken"]) > asked + 1


LISTING = [(name, "list", cloud.look) for name, cloud in CLOUDS.items() if cloud.look]
ABORTING = [(name, "abort", cloud.abort) for name, cloud in CLOUDS.items() if cloud.abort]


def begun(play: Play, *, store: bool = True) -> Grant:
    """A grant of two parts; the first is stored, or not."""
    calls = load(play.profile)
    ask = Ask(client_key=LARGE, key=LARGE, size=play.cloud.size)
    now = time.time()
    (grant,) = calls.token(TokenRequest(files=(ask,), request_token="t", issued_at=now, expires_at=now + 600))
    assert isinstance(grant, Grant)
    if store:
        calls.store(grant.provider).put_chunk(grant, Piece(content(play.cloud.size)[: grant.part_size]))
    return grant


def tried(call: Callable[[], object]) -> object:
    try:
        return call()
    except VVOSError as error:
        return error


@cells(LISTING, FEW)
def test_a_list_of_parts(play: Play, cloud: str, call: str, at: At, fault: Fault) -> None:
    """It says what is there, or that it cannot tell: never that nothing is."""
    grant = begun(play)
    proxy = proxy_of(play, call)
    proxy.stage(fault, at.method, at.target)
    calls = load(play.profile)

    def listed() -> object:
        return calls.exists(ExistsRequest(grants=(grant,), parts=True))[0]

    for found in (tried(listed), tried(listed)):
        assert isinstance(found, Unavailable | Found), repr(found)
        if isinstance(found, Found):
            assert [(part.number, part.size) for part in found.parts or ()] == [(1, grant.part_size)]
    assert isinstance(found, Found), "the second time nothing was in its way"


@cells(ABORTING, FEW)
def test_an_abort(play: Play, cloud: str, call: str, at: At, fault: Fault) -> None:
    """It may be made again, whatever became of the first one, and afterwards nothing is left."""
    grant = begun(play)
    proxy = proxy_of(play, call)
    proxy.stage(fault, at.method, at.target)
    calls = load(play.profile)
    first = tried(lambda: calls.store(grant.provider).abort(grant))
    assert first is None or isinstance(first, Unavailable), repr(first)
    assert tried(lambda: calls.store(grant.provider).abort(grant)) is None
    (found,) = calls.exists(ExistsRequest(grants=(grant,), parts=True))
    assert isinstance(found, Found)
    assert found.parts == ()


# ── nothing twice ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("cloud", CLOUDS)
def test_losing_every_answer_once_doubles_nothing(play: Play, cloud: str) -> None:
    for at in BROKER_CALLS.values():
        play.to_broker.stage(swallow(), at.method, at.target)
    for at in play.cloud.calls.values():
        proxy_of(play, "").stage(swallow(), at.method, at.target, nth=at.nth)
    assert play.check(play.put()) == {}
    assert play.notified() == sorted(play.files), "each file was recorded once"
    if play.emulator:
        part, complete = play.cloud.counts
        assert play.emulator.counts[part] == 4, "two parts, each sent again once"
        assert play.emulator.counts[complete] == 1, "exists was asked instead"
        begun = sum(play.emulator.counts[name] for name in BEGINS)
        assert begun == (2 if "begin" in play.cloud.calls else 0), "nobody knows the first one's id"


STATUSES = {
    **dict.fromkeys((408, 429, 500, 502, 503, 504, 599), True),
    **dict.fromkeys((400, 401, 403, 404, 405, 411, 413, 422), False),
}


@pytest.mark.parametrize("cloud", [name for name, cloud in CLOUDS.items() if cloud.emulator])
def test_which_statuses_of_a_provider_are_retried(play: Play, cloud: str) -> None:
    """Without a code of the service's own in the body, and with Retry-After."""
    grant = begun(play, store=False)
    proxy, at = proxy_of(play, ""), play.cloud.calls["part 1"]
    piece = Piece(content(play.cloud.size)[: grant.part_size])
    store = load(play.profile).store(grant.provider)
    told = {}
    for status in STATUSES:
        proxy.stage(answer(status, retry_after=7), at.method, at.target)
        with pytest.raises(VVOSError) as caught:
            store.put_chunk(grant, piece)
        assert caught.value.retry_after == 7
        told[status] = caught.value.retryable
    assert told == STATUSES


def test_a_refusal_is_not_tried_again(clouds: Callable[[str], Play]) -> None:
    play = clouds("aliyun")
    play.reset()
    assert play.to_cloud is not None
    part = play.cloud.calls["part 1"]
    play.to_cloud.stage(answer(403), part.method, part.target, times=None)
    assert set(play.check(play.put())) == {LARGE}
    assert play.to_cloud.played.count("answer 403") == 1
    finish(play)
