"""A submit that runs in the background: its files can be paused, resumed and cancelled, and waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .control import Control, Kind
from .results import Result


class Submission:
    """What ``VVOS.submit(wait=False)`` answers. Any thread may use it.

    Files are named by their client keys; without a name all are meant, also those that have not begun yet.
    """

    def __init__(self, run: Callable[[Control], list[Result]]) -> None:
        self._control = Control()
        self._results: list[Result] = []
        self._error: BaseException | None = None
        self._run = run
        # No daemon: a program that ends without waiting still finishes what it began.
        self._thread = threading.Thread(target=self._work, name="vvos-submit")
        self._thread.start()

    def _work(self) -> None:
        try:
            self._results = self._run(self._control)
        except BaseException as error:  # noqa: BLE001  # raised again in wait()
            self._error = error

    def pause(self, *keys: str) -> None:
        """Stop sending these files; what has arrived of them stays. A file that is being completed ends first."""
        self._control.wish(Kind.PAUSE, keys)

    def resume(self, *keys: str) -> None:
        """Go on with these files: what the provider has is not sent again."""
        self._control.wish(Kind.RESUME, keys)

    def cancel(self, *keys: str) -> None:
        """Give these files up, and have the provider forget what arrived of them."""
        self._control.wish(Kind.CANCEL, keys)

    def stop(self) -> None:
        """Stop all files, so that a later submit of the same files goes on with them. Their results say ``paused``."""
        self._control.wish(Kind.STOP)

    @property
    def done(self) -> bool:
        """Whether every file has ended."""
        return not self._thread.is_alive()

    def wait(self, timeout: float | None = None) -> list[Result]:
        """The results, when every file has ended; see ``VVOS.submit``.

        Raises ``TimeoutError`` when that takes longer than ``timeout`` seconds; the uploads go on.
        """
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"not every file has ended within {timeout:g} s; the uploads go on.")
        if self._error is not None:
            raise self._error
        return self._results
