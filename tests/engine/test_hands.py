"""The threads that put: small and large share them, answers come together, and closing ends them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from vvos_core.hands import TOGETHER, Hands

PATIENCE = 20.0
"""Seconds until a thread that does not come is given up."""


class Trial:
    """Hands whose tasks wait to be let go, and what began."""

    def __init__(self, most: int, large: int | None = None, few: int | None = None) -> None:
        self.answers: deque[str | BaseException] = deque()
        self.woken = threading.Semaphore(0)
        self.now = self.computed = 0.0
        self.hands: Hands[str] = Hands(
            small=most,
            large=large or most,
            answers=self.answers,
            wake=lambda: self.woken.release(),
            few=few or most,
            clock=lambda: self.now,
            computed=lambda: self.computed,
        )
        self.began: deque[str] = deque()
        self.begun = threading.Semaphore(0)
        self.gates: dict[str, threading.Event] = {}
        self.handed = 0

    def hand(self, name: str, small: bool) -> None:
        self.gates[name] = threading.Event()
        self.handed += 1
        self.hands.hand(self._task(name), small=small, waiting=self.handed)

    def _task(self, name: str) -> Callable[[], str]:
        def task() -> str:
            self.began.append(name)
            self.begun.release()
            assert self.gates[name].wait(PATIENCE)
            return name

        return task

    def wait_for(self, number: int) -> None:
        for _ in range(number):
            assert self.begun.acquire(timeout=PATIENCE)

    def let_go(self) -> None:
        for gate in self.gates.values():
            gate.set()


@pytest.fixture
def trials() -> Iterator[list[Trial]]:
    some: list[Trial] = []
    yield some
    for trial in some:
        trial.let_go()
        trial.hands.close(wait=True)


def test_while_both_wait_half_of_the_threads_do_each(trials: list[Trial]) -> None:
    trials.append(trial := Trial(4))
    # Four that hold all threads, while both kinds gather.
    for number in range(4):
        trial.hand(f"先{number}", small=True)
    trial.wait_for(4)
    for number in range(10):
        trial.hand(f"large{number}", small=False)
    for number in range(10):
        trial.hand(f"small{number}", small=True)
    for number in range(4):
        trial.gates[f"先{number}"].set()
    trial.wait_for(4)
    assert sorted(name[:5] for name in list(trial.began)[4:]) == ["large", "large", "small", "small"]


def test_where_only_one_kind_waits_all_threads_do_it(trials: list[Trial]) -> None:
    for small in (True, False):
        trials.append(trial := Trial(4))
        for number in range(6):
            trial.hand(f"{number}", small=small)
        trial.wait_for(4)
        assert not trial.begun.acquire(blocking=False)


def test_a_single_thread_does_one_of_each_in_turn(trials: list[Trial]) -> None:
    trials.append(trial := Trial(1))
    trial.hand("first", small=True)
    trial.wait_for(1)
    for number in range(3):
        trial.hand(f"small{number}", small=True)
        trial.hand(f"large{number}", small=False)
    trial.let_go()
    trial.wait_for(6)
    kinds = [name[:5] for name in trial.began]
    assert all(one != next_ for one, next_ in pairwise(kinds[1:]))


def test_large_tasks_have_fewer_threads(trials: list[Trial]) -> None:
    trials.append(trial := Trial(6, large=2))
    for number in range(5):
        trial.hand(f"large{number}", small=False)
    trial.wait_for(2)
    assert not trial.begun.acquire(blocking=False)


def test_answers_come_together_and_the_last_is_not_waited_for(trials: list[Trial]) -> None:
    trials.append(trial := Trial(1))
    trial.hand("first", small=True)
    trial.wait_for(1)
    for number in range(TOGETHER - 2):
        trial.hand(f"{number}", small=True)
    trial.let_go()
    assert trial.woken.acquire(timeout=PATIENCE)
    assert len(trial.answers) == TOGETHER - 1
    assert not trial.woken.acquire(blocking=False)


def test_answers_are_not_kept_for_ever_while_more_waits(trials: list[Trial]) -> None:
    trials.append(trial := Trial(1))
    trial.hand("first", small=True)
    trial.wait_for(1)
    for number in range(TOGETHER):
        trial.hand(f"{number}", small=True)
    for name in list(trial.gates)[:TOGETHER]:
        trial.gates[name].set()
    assert trial.woken.acquire(timeout=PATIENCE)
    assert len(trial.answers) == TOGETHER


def test_what_a_task_raises_is_its_answer(trials: list[Trial]) -> None:
    trials.append(trial := Trial(2))

    def fail() -> str:
        raise KeyboardInterrupt

    trial.hands.hand(fail, small=True, waiting=1)
    assert trial.woken.acquire(timeout=PATIENCE)
    assert isinstance(trial.answers.popleft(), KeyboardInterrupt)
    trial.hand("next", small=True)
    trial.wait_for(1)


def test_closing_begins_no_more_and_ends_the_threads() -> None:
    trial = Trial(2)
    for number in range(5):
        trial.hand(f"{number}", small=number % 2 == 0)
    trial.wait_for(2)
    before = threading.active_count()
    trial.hands.close(wait=False)
    trial.let_go()
    trial.hands.close(wait=True)
    assert len(trial.began) == 2
    assert threading.active_count() == before - 2


def test_small_tasks_that_wait_for_answers_get_more_threads(trials: list[Trial]) -> None:
    trials.append(trial := Trial(4, few=1))
    for number in range(6):
        trial.hand(f"文{number}", small=True)
    trial.wait_for(1)
    trial.hands.look()
    assert not trial.begun.acquire(blocking=False), "it is too early to tell"
    for more in (1, 2, 0):
        trial.now += 1.0
        trial.hands.look()
        trial.wait_for(more)
        assert not trial.begun.acquire(blocking=False)


def test_small_tasks_that_compute_get_no_more_threads(trials: list[Trial]) -> None:
    trials.append(trial := Trial(4, few=1))
    for number in range(6):
        trial.hand(f"{number}", small=True)
    trial.wait_for(1)
    trial.now, trial.computed = 1.0, 0.9
    trial.hands.look()
    trial.gates["0"].set()
    trial.wait_for(1)
    assert list(trial.began) == ["0", "1"]
    assert not trial.begun.acquire(blocking=False)


def test_more_threads_come_without_one_that_has_finished(trials: list[Trial]) -> None:
    trials.append(trial := Trial(8, few=1))
    trial.hand("stalls", small=True)
    trial.wait_for(1)
    trial.hand("goes on", small=True)
    trial.now = 1.0
    trial.hands.look()
    trial.wait_for(1)
    assert list(trial.began) == ["stalls", "goes on"]
