"""Small stand-ins for what the protocol is given: a checksum that anyone can add up."""

from __future__ import annotations

from collections.abc import Sequence

from vvos_core.model import Receipt


class _Adder:
    def __init__(self) -> None:
        self.total = 0

    def update(self, block: memoryview) -> None:
        self.total += sum(block)

    def value(self) -> str:
        return f"sum:{self.total}"


class Sum:
    """The sum of all bytes: combined by adding."""

    name = "sum"

    def new(self) -> _Adder:
        return _Adder()

    def combine(self, receipts: Sequence[Receipt]) -> str:
        if not all(receipt.checksum for receipt in receipts):
            return ""
        return f"sum:{sum(int(receipt.checksum[4:]) for receipt in receipts)}"
