"""The profiles that a broker serves, opened on first use; and one batch, split among them and put together again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from ..calls import Calls
from ..errors import VVOSError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Profiles:
    """``open_profile`` loads a profile by its name, or raises ``VVOSError``; ``default`` serves what names none."""

    def __init__(self, open_profile: Callable[[str], Calls], default: str) -> None:
        self.default = default
        self._open = open_profile
        self._calls: dict[str, Calls] = {}
        self._lock = threading.Lock()

    def calls(self, name: str) -> Calls:
        """The hooks of one profile. Opening is tried again in the next call when it failed."""
        calls = self._calls.get(name)
        if calls is None:
            with self._lock:
                calls = self._calls.get(name)
                if calls is None:
                    calls = self._calls[name] = self._open(name)
        return calls

    def ask(
        self,
        items: Sequence[tuple[str, Item]],
        question: Callable[[Calls, list[Item]], Sequence[Answer | VVOSError]],
    ) -> list[Answer | VVOSError]:
        """One answer for each (profile, item), in order; ``question`` is put once to each profile.

        A ``VVOSError`` that concerns a profile's whole batch becomes the answer of its items, and of no others.
        """
        if len(names := {profile for profile, _ in items}) == 1:
            return list(self._ask(names.pop(), [item for _, item in items], question))
        batches: dict[str, list[int]] = {}
        for place, (profile, _) in enumerate(items):
            batches.setdefault(profile, []).append(place)
        answers: list[Answer | VVOSError] = [VVOSError("")] * len(items)
        for profile, places in batches.items():
            batch = self._ask(profile, [items[place][1] for place in places], question)
            for place, answer in zip(places, batch, strict=True):
                answers[place] = answer
        return answers

    def _ask(
        self,
        profile: str,
        items: list[Item],
        question: Callable[[Calls, list[Item]], Sequence[Answer | VVOSError]],
    ) -> Sequence[Answer | VVOSError]:
        try:
            return question(self.calls(profile), items)
        except VVOSError as error:
            return [error] * len(items)
