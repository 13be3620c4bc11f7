"""The arithmetic of the report: medians, spread, and ratios pair by pair."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from msgspec import Struct


class Spread(Struct, frozen=True):
    """Of several figures."""

    median: float
    least: float
    most: float


def spread(values: Sequence[float]) -> Spread:
    """Raises ``ValueError`` for no values."""
    if not values:
        raise ValueError("there are no runs to make a median of")
    return Spread(median(values), min(values), max(values))


def ratios(theirs: Sequence[float], ours: Sequence[float]) -> Spread:
    """How many times ours goes into theirs, run by run: a machine that slows down slows both of a pair."""
    if len(theirs) != len(ours):
        raise ValueError(f"{len(theirs)} runs cannot be paired with {len(ours)}")
    return spread([their / our for their, our in zip(theirs, ours, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that ``percent`` of them do not exceed."""
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]
