"""What an upload knows of itself: the data that the table's guards read and its actions change."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

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
        "kept",
        "lost",
        "number",
        "open",
        "plan",
        "receipts",
        "remembered",
        "renewals",
        "restarts",
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
        self.kept = False
        """Something remembers what is stored, so that a later run can go on: a failure does not abort it."""
        self.lost = False
        """The provider forgot the multipart upload, or will never renew it: it begins again once nothing flies."""
        self.remembered = ""
        """The checksum of the source, from a run that finished with the very same file."""
        self.renewals = 0
        self.restarts = 0
        self.rounds = 0
        self.unanswered = False
        """``complete`` was called and nobody knows whether it did its work."""
        self.reused = False
        """The object was there already, byte for byte; nothing was sent."""
        self.url = ""
        self.error: VVOSError | None = None

    @classmethod
    def stopped(cls, number: int, size: int, grant: Grant, receipts: Iterable[Receipt], *, window: int = 4) -> Upload:
        """An upload that an earlier run began: paused, with what the service confirmed of it."""
        upload = cls(number, size, window=window)
        upload.state = State.PAUSED
        upload.hold(grant)
        upload.receipts = {receipt.number: receipt for receipt in receipts}
        return upload

    def hold(self, grant: Grant) -> None:
        """Have ``grant``; the first one says how the source is cut."""
        if self.plan is None:
            self.plan = Plan(size=grant.size, multipart=grant.multipart, part_size=grant.part_size)
            self.open = grant.multipart
        self.grant = grant

    def start_over(self) -> None:
        """Forget what was granted and stored; nothing of it flies."""
        self.grant = None
        self.plan = None
        self.checksum = ""
        self.receipts = {}
        self.unsent = 1
        self.returned.clear()
        self.open = False
        self.lost = False
        self.unanswered = False
        self.renewals = 0
        self.restarts += 1

    @property
    def all_stored(self) -> bool:
        return self.plan is not None and len(self.receipts) == self.plan.count

    def __repr__(self) -> str:
        return f"Upload({self.number}, {self.state.value}, {len(self.receipts)} stored, {len(self.flying)} flying)"
