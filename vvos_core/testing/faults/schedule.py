"""Which request gets which fault, and the log of what came."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from .fault import Fault

Headers = Sequence[tuple[bytes, bytes]]
_LOG = 10_000
NONE = Fault()


@dataclass(slots=True)
class Seen:
    """A request that came, and what became of it."""

    method: str
    path: str
    """As on the wire, without its query: that of a presigned request is a capability."""
    fault: str = ""
    """The fault's name; empty where it passed."""
    body: int = 0
    """Bytes of the body that the client sent, without the framing of chunks."""
    status: int = 0
    """What the service answered; 0 where it was not asked, or did not."""


@dataclass(slots=True)
class _Rule:
    fault: Fault
    method: str
    target: re.Pattern[str]
    header: tuple[str, re.Pattern[str]] | None
    wait: int
    left: int | None

    def fits(self, method: str, target: str, headers: Headers) -> bool:
        if self.method not in ("", method) or not self.target.search(target):
            return False
        if self.header is None:
            return True
        name, pattern = self.header
        return any(key.decode().lower() == name and pattern.search(value.decode("latin-1")) for key, value in headers)


class Schedule:
    """Rules in the order of staging; the first that is due for a request counts. Shared by threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[_Rule] = []
        self._seen: deque[Seen] = deque(maxlen=_LOG)

    def stage(
        self,
        fault: Fault,
        method: str,
        target: str,
        header: tuple[str, str] | None,
        nth: int,
        times: int | None,
    ) -> None:
        pattern = (header[0].lower(), re.compile(header[1])) if header else None
        with self._lock:
            self._rules.append(_Rule(fault, method, re.compile(target), pattern, nth - 1, times))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def choose(self, method: str, target: str, headers: Headers) -> tuple[Fault, Seen]:
        """The fault of a request that has come, and its entry in the log."""
        seen = Seen(method, target.partition("?")[0])
        chosen = NONE
        with self._lock:
            for rule in self._rules:
                if not rule.fits(method, target, headers):
                    continue
                if rule.wait:
                    rule.wait -= 1
                elif rule.left != 0 and chosen is NONE:
                    if rule.left is not None:
                        rule.left -= 1
                    chosen = rule.fault
            seen.fault = chosen.name
            self._seen.append(seen)
        return chosen, seen

    def seen(self) -> list[Seen]:
        with self._lock:
            return list(self._seen)
