"""vvos_core.retry: how often a call is made again, how long is waited, and that a stop ends it at once."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, strategies as st

from vvos_core import BadAnswer, Denied, RetryPolicy, ServiceFailed, Unavailable, VVOSError


class Clock:
    """Time that passes only in waits; keeps what was waited for, and may set ``stop`` during a wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop_after: int = 0) -> None:
        self.now = 1000.0
        self.waits: list[float] = []
        self.stop = threading.Event()
        self._stop_after = stop_after
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(self.stop, "wait", self._wait)

    def _wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        if len(self.waits) == self._stop_after:
            self.stop.set()
        else:
            self.now += timeout
        return self.stop.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


class Failing:
    """Fails with each of ``errors`` in turn, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self._errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)
        return "好"


def down(count: int, retry_after: float | None = None) -> list[Unavailable]:
    return [Unavailable(f"down {number}.", retry_after=retry_after) for number in range(1, count + 1)]


AT_ONCE = RetryPolicy(attempts=4, base=0)


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
def test_a_call_that_fails_less_often_than_it_may_answers(failures: int) -> None:
    call = Failing(*down(failures))
    assert AT_ONCE.run(call, threading.Event()) == "好"
    assert call.calls == failures + 1


def test_after_the_last_attempt_the_last_error_is_raised() -> None:
    call = Failing(*down(9))
    with pytest.raises(Unavailable, match="down 4"):
        AT_ONCE.run(call, threading.Event())
    assert call.calls == 4


def test_one_attempt_is_one() -> None:
    call = Failing(*down(9))
    with pytest.raises(Unavailable, match="down 1"):
        RetryPolicy(attempts=1, base=0).run(call, threading.Event())
    assert call.calls == 1


@pytest.mark.parametrize(
    "error", [Denied("no."), BadAnswer("html."), VVOSError("x."), RuntimeError("a bug"), KeyError()]
)
@pytest.mark.parametrize("before", [0, 2])
def test_what_does_not_pass_is_raised_at_once(error: Exception, before: int) -> None:
    call = Failing(*down(before), error)
    with pytest.raises(type(error)) as caught:
        AT_ONCE.run(call, threading.Event())
    assert caught.value is error
    assert call.calls == before + 1


def test_a_kind_of_unavailable_is_tried_again() -> None:
    assert AT_ONCE.run(Failing(ServiceFailed("500.")), threading.Event()) == "好"


def test_seconds_end_it_before_the_wait_that_would_pass_them(clock: Clock) -> None:
    policy = RetryPolicy(attempts=1000, seconds=60, base=0)
    call = Failing(*down(1000, retry_after=7))
    with pytest.raises(Unavailable):
        policy.run(call, clock.stop)
    assert sum(clock.waits) < 60
    assert sum(clock.waits) + 7 >= 60
    assert call.calls == len(clock.waits) + 1


def test_a_wait_that_was_asked_for_is_kept(clock: Clock) -> None:
    errors = [Unavailable("busy.", retry_after=30), Unavailable("down."), Unavailable("busy.", retry_after=3.5)]
    assert RetryPolicy(base=0).run(Failing(*errors), clock.stop) == "好"
    assert clock.waits == [30, 0, 3.5]


def test_a_wait_that_was_asked_for_and_does_not_fit_is_not_waited_for(clock: Clock) -> None:
    call = Failing(*down(1, retry_after=3600))
    with pytest.raises(Unavailable):
        RetryPolicy(seconds=300).run(call, clock.stop)
    assert clock.waits == []
    assert call.calls == 1


@given(
    base=st.floats(0, 10),
    longest=st.floats(0, 100),
    attempts=st.integers(2, 8),
    seed=st.integers(),
)
def test_jitter_is_between_nothing_and_twice_as_much_each_time(
    base: float, longest: float, attempts: int, seed: int
) -> None:
    random.seed(seed)
    with pytest.MonkeyPatch.context() as monkeypatch:
        clock = Clock(monkeypatch)
        policy = RetryPolicy(attempts=attempts, seconds=1e9, base=base, longest=longest)
        with pytest.raises(Unavailable):
            policy.run(Failing(*down(attempts)), clock.stop)
    assert len(clock.waits) == attempts - 1
    for number, waited in enumerate(clock.waits):
        assert 0 <= waited <= min(longest, base * 2**number)


def test_jitter_uses_its_whole_range(clock: Clock) -> None:
    random.seed(1)
    for _ in range(200):
        with pytest.raises(Unavailable):
            RetryPolicy(attempts=2, base=8, longest=100).run(Failing(*down(2)), clock.stop)
    assert min(clock.waits) < 1
    assert max(clock.waits) > 7


def test_a_stop_before_the_call_lets_it_be_made_once() -> None:
    stop = threading.Event()
    stop.set()
    assert AT_ONCE.run(Failing(), stop) == "好"
    call = Failing(*down(9))
    with pytest.raises(Unavailable, match="down 1"):
        AT_ONCE.run(call, stop)
    assert call.calls == 1


def test_a_stop_during_a_call_ends_it_without_a_wait(clock: Clock) -> None:
    def call() -> str:
        clock.stop.set()
        raise Unavailable("down.")

    with pytest.raises(Unavailable):
        RetryPolicy().run(call, clock.stop)
    assert clock.waits == []


@pytest.mark.parametrize("wait", [1, 2])
def test_a_stop_during_a_wait_ends_it_and_nothing_is_made_again(wait: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, stop_after=wait)
    call = Failing(*down(9))
    with pytest.raises(Unavailable, match=f"down {wait}"):
        RetryPolicy().run(call, clock.stop)
    assert len(clock.waits) == wait
    assert call.calls == wait


def test_a_real_wait_ends_when_the_event_is_set() -> None:
    stop = threading.Event()
    waiting = threading.Event()
    ended: list[BaseException] = []

    def call() -> str:
        waiting.set()
        raise Unavailable("down.", retry_after=3000)

    def run() -> None:
        try:
            RetryPolicy(seconds=10_000).run(call, stop)
        except Unavailable as error:
            ended.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert waiting.wait(30)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert len(ended) == 1


IMPORTS = """
import sys, threading
from vvos_core import RetryPolicy, Unavailable
RetryPolicy().run(lambda: 1, threading.Event())
print("tenacity" in sys.modules)
left = [1]
def call():
    if left: left.pop(); raise Unavailable("down.")
RetryPolicy(base=0).run(call, threading.Event())
print("tenacity" in sys.modules)
"""


def test_the_library_is_imported_only_when_something_has_failed() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True"]


def test_threads_do_not_share_a_policys_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """One policy serves every worker at once."""
    policy = RetryPolicy(attempts=3, base=0)
    results: list[int] = []

    def work() -> None:
        call = Failing(*down(2))
        policy.run(call, threading.Event())
        results.append(call.calls)

    threads: list[threading.Thread] = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert results == [3] * 20


def test_the_waits_are_uniform(clock: Clock) -> None:
    """Full jitter: a thousand waits of at most 8 s fill ten bins alike (chi squared, 9 degrees, p = 0.001: 27.9)."""
    random.seed(2)
    for _ in range(1000):
        with pytest.raises(Unavailable):
            RetryPolicy(attempts=2, base=8, longest=8).run(Failing(*down(2)), clock.stop)
    bins = [0] * 10
    for waited in clock.waits:
        bins[min(9, int(waited / 0.8))] += 1
    assert sum((count - 100) ** 2 / 100 for count in bins) < 27.9
