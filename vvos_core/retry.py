"""When a failed call is made again, and how long to wait before: full jitter, bounded in number and in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from .errors import VVOSError

T = TypeVar("T")


class RetryPolicy(Struct, frozen=True, kw_only=True):
    """``attempts`` in all, within ``seconds``; a wait is random between 0 and ``base`` · 2ⁿ, at most ``longest``, s.

    Full jitter keeps a thousand clients that failed together from coming back together.
    """

    attempts: int = 5
    seconds: float = 300.0
    base: float = 0.5
    longest: float = 20.0

    def run(self, call: Callable[[], T], stop: threading.Event) -> T:
        """The answer of ``call``, made again while it raises an error that is ``retryable``; the last error else.

        A wait that the other side asked for (``retry_after``) is kept when it fits into ``seconds``.
        When ``stop`` is set a wait ends at once, and nothing is made again.
        """
        try:
            return call()
        except VVOSError as error:
            if not error.retryable or stop.is_set():
                raise
            first = error
        return self._again(call, stop, first)

    def _again(self, call: Callable[[], T], stop: threading.Event, first: VVOSError) -> T:
        # Imported when something has failed: tenacity brings asyncio, a third of the start-up of a small upload.
        import tenacity as t

        jitter = t.wait_random_exponential(multiplier=self.base, max=self.longest)

        def wait(state: t.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            asked = error.retry_after if isinstance(error, VVOSError) else None
            return max(jitter(state), asked or 0.0)

        last = first
        begun = False

        def attempt() -> T:
            nonlocal last, begun
            # The first failure counts as the first attempt; after it, a wait that ended because of ``stop`` ends all.
            if not begun or stop.is_set():
                begun = True
                raise last
            try:
                return call()
            except VVOSError as error:
                last = error
                raise

        retrying = t.Retrying(
            retry=t.retry_if_exception(lambda error: isinstance(error, VVOSError) and error.retryable),
            stop=t.stop_any(
                t.stop_after_attempt(self.attempts),
                t.stop_before_delay(self.seconds),
                t.stop_when_event_set(stop),
            ),
            wait=wait,
            sleep=t.sleep_using_event(stop),
            reraise=True,
        )
        return retrying(attempt)
