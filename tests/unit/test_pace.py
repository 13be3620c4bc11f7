"""A rate that threads share: by a clock of the test's own, however the threads take turns."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, strategies as st

from vvos_core import errors
from vvos_core.pace import CREDIT, Limit, limited, paced


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(
    rate=st.floats(1e3, 1e9),
    asked=st.lists(st.tuples(st.integers(1, 1 << 20), st.floats(0, 0.5)), min_size=1, max_size=60),
)
def test_no_stretch_of_time_sees_more_than_the_rate(rate: float, asked: list[tuple[int, float]]) -> None:
    """Whoever asks, and whenever: what leaves within any stretch is its rate, one piece, and what was lost before."""
    clock = Clock()
    limit = Limit(rate, clock)
    left: list[tuple[float, int]] = []
    for count, later in asked:
        clock.now += later
        left.append((clock.now + limit.reserve(count), count))
    assert [at for at, _ in left] == sorted(at for at, _ in left)
    for first in range(len(left)):
        total = 0
        for at, count in left[first:]:
            # The piece that leaves at the end of the stretch is not through yet.
            assert total <= rate * (at - left[first][0] + CREDIT) * (1 + 1e-6) + 1
            total += count


@given(rate=st.floats(1e3, 1e8), count=st.integers(1, 1 << 16), pieces=st.integers(50, 300))
def test_who_always_has_something_to_send_gets_the_whole_rate(rate: float, count: int, pieces: int) -> None:
    """Though every second time it comes late for the next piece."""
    clock = Clock()
    limit = Limit(rate, clock)
    for piece in range(pieces):
        clock.now += limit.reserve(count)
        clock.now += min(CREDIT, 1.5 * count / rate) if piece % 2 else 0.0
    assert clock.now - 100.0 <= pieces * count / rate + CREDIT


def test_without_a_limit_blocks_pass_as_they_are() -> None:
    blocks = [memoryview(b"a" * 1000)]
    assert paced(blocks) is blocks


def test_with_one_they_are_cut_and_none_is_lost() -> None:
    data = bytes(range(256)) * 40
    with limited(Limit(1e9), threading.Event()):
        assert b"".join(paced([memoryview(data), memoryview(b""), memoryview(b"end")])) == data + b"end"
    slow = Limit(50_000.0)
    assert slow.piece == 1024
    with limited(slow, threading.Event()):
        first = next(iter(paced([memoryview(data)])))
    assert len(first) == slow.piece


def test_a_wait_ends_when_the_upload_is_stopped() -> None:
    halt = threading.Event()
    with limited(Limit(1.0), halt):
        pieces = iter(paced([memoryview(bytes(5000))]))
        next(pieces)
        halt.set()
        with pytest.raises(errors.Cancelled):
            next(pieces)
