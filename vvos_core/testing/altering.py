"""What somebody does with a grant who wants more than it allows: changes, leaves out or spoils what is in it."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from typing import Any

from ..model import Secret


def changed(value: Any, texts: dict[str, str], numbers: dict[int, int] | None = None) -> Any:
    """A grant's data with these texts and numbers put in the place of others, wherever they are."""
    if isinstance(value, dict):
        return {name: changed(item, texts, numbers) for name, item in value.items()}
    if isinstance(value, list):
        return [changed(item, texts, numbers) for item in value]
    if isinstance(value, str):
        if numbers and value.isdecimal() and int(value) in numbers:
            return str(numbers[int(value)])
        for old, new in texts.items():
            value = value.replace(old, new)
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return (numbers or {}).get(value, value)
    return value


def without_one(value: Any) -> Iterator[Any]:
    """A grant's data, each time with another of its entries left out."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield {other: kept for other, kept in value.items() if other != name}
            for less in without_one(item):
                yield {**value, name: less}


def in_base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def in_bare_base64(text: str) -> str:
    return in_base64(text).rstrip("=")


def spoiled(value: object) -> Iterator[dict[str, object]]:
    """A grant's data with one of its texts spoiled, each in turn."""
    if isinstance(value, dict):
        for name, item in value.items():
            if isinstance(item, str) and len(item) > 8:
                # Not the last letter: of base64 it may hold bits that do not count.
                yield {**value, name: item[:-3] + ("a" if item[-3] != "a" else "b") + item[-2:]}
            for inner in spoiled(item):
                yield {**value, name: inner}


def shuffled(secret: Secret) -> Secret:
    """Another secret of the same letters: whoever checks its form has nothing to say."""
    letters = list(secret.reveal())
    places = [place for place, letter in enumerate(letters) if letter.isalnum()]
    taken = places.copy()
    random.Random(1).shuffle(taken)
    mixed = letters.copy()
    for old, new in zip(places, taken, strict=True):
        mixed[new] = letters[old]
    return Secret("".join(mixed))
