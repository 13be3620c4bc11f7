"""Cuts a size into chunks by a provider's rules."""

from __future__ import annotations

from .errors import BadInput, TooLarge
from .model import Plan, Rules


def plan_chunks(size: int, rules: Rules) -> Plan:
    """The plan for ``size`` bytes: one piece up to the threshold, above it equal parts and a last that may be shorter.

    Raises ``TooLarge`` when no plan within the rules can hold the file, ``BadInput`` for a negative size.
    """
    if size < 0:
        raise BadInput(f"a size of {size} bytes is none; give the file's number of bytes.")
    if size <= rules.threshold:
        return Plan(size=size, multipart=False, part_size=0)
    needed = -(-size // rules.max_parts)
    part_size = max(rules.part_size, rules.min_part)
    if needed > part_size:
        part_size = -(-needed // rules.align) * rules.align
    if part_size > rules.max_part:
        part_size = rules.max_part
        if needed > part_size:
            raise TooLarge(f"the file has {size} bytes; this provider's largest object has {rules.max_size}.")
    return Plan(size=size, multipart=True, part_size=part_size)
