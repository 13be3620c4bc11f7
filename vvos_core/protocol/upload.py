"""What an upload knows of itself: the data that the table's guards read and its actions change."""

from __future__ import annotations

from collections import deque

from ..errors import VVOSError
from ..model import Checksum, Grant, Plan, Receipt
from .events import ObjectFound
from .states import State


class Upload:
    """One upload: its state, and what its moves need to know. Changed by `advance` alone."""

    __slots__ = (
        "came_from",
        "checksum",
        "error",
        "flying",
        "found",
        "grant",
        "hasher",
        "number",
        "open",
        "plan",
        "receipts",
        "renewals",
        "returned",
        "reused",
        "rounds",
        "size",
        "state",
        "unanswered",
        "unsent",
        "url",
        "window",
    )

    def __init__(self, number: int, size: int, *, window: int = 4) -> None:
        """``number`` names the upload within its batch; ``size`` in bytes; ``window``: chunks handed out at a time."""
        self.number = number
        self.size = size
        self.window = window
        self.state = State.PENDING
        self.came_from = State.PENDING
        """The state that a renewal goes back to."""
        self.grant: Grant | None = None
        self.plan: Plan | None = None
        self.hasher: Checksum | None = None
        self.checksum = ""
        """Of the bytes as read: combined from the chunks', or computed over the whole source."""
        self.found: ObjectFound | None = None
        self.receipts: dict[int, Receipt] = {}
        self.unsent = 1
        """The lowest number that was never handed out."""
        self.returned: deque[int] = deque()
        """Numbers that were handed out and came back unstored."""
        self.flying: set[int] = set()
        self.open = False
        """A multipart upload is begun at the provider and neither completed nor aborted."""
        self.renewals = 0
        self.rounds = 0
        self.unanswered = False
        """``complete`` was called and nobody knows whether it did its work."""
        self.reused = False
        """The object was there already, byte for byte; nothing was sent."""
        self.url = ""
        self.error: VVOSError | None = None

    @property
    def all_stored(self) -> bool:
        return self.plan is not None and len(self.receipts) == self.plan.count

    def __repr__(self) -> str:
        return f"Upload({self.number}, {self.state.value}, {len(self.receipts)} stored, {len(self.flying)} flying)"
