"""One file of a submit on its way, and what holds for all files of it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from math import inf

from msgspec import Struct

from .model import Call
from .protocol.events import Event
from .protocol.upload import Upload
from .source import Source


class Order(Struct, frozen=True, kw_only=True):
    """What holds for all files of a submit."""

    batch: str
    """Names the batch; the requestTokens of its calls are made from it."""
    cover: bool = False
    client: str = ""
    token_call: Call = Call()
    exists_call: Call = Call()
    notify_call: Call = Call()


class Job:
    """One file: its source, its upload, and how far its bytes have come."""

    __slots__ = (
        "_moving",
        "_stored",
        "client_key",
        "completed",
        "doubtful",
        "halt",
        "kept_as",
        "metadata",
        "pending",
        "renew_at",
        "source",
        "type",
        "upload",
    )

    def __init__(
        self,
        upload: Upload,
        source: Source,
        client_key: str,
        media_type: str,
        metadata: Mapping[str, str],
    ) -> None:
        self.upload = upload
        self.source = source
        self.client_key = client_key
        self.type = media_type
        self.metadata = metadata
        self.kept_as = ""
        """Its id in the journal; empty where nothing of it is kept."""
        self.pending = 0
        """Commands that have been handed out and have not been answered."""
        self.renew_at = inf
        """When its grant is to be renewed, in seconds of the engine's clock."""
        self.halt = threading.Event()
        """Set, it breaks off what is on its way."""
        self.doubtful = False
        """The file may have changed since an earlier run sent chunks of it: they are compared before it goes on."""
        self.completed: Event | None = None
        """What ``complete`` answered already, in one go with the only chunk."""
        self._stored = 0
        self._moving: dict[int, int] = {}

    @property
    def bytes_done(self) -> int:
        """Bytes that were stored or are on their way; all of them when the object was there already."""
        if self.upload.reused:
            return self.source.size
        return self._stored + sum(list(self._moving.values()))

    def count_stored(self) -> None:
        """Count again what is stored: an earlier run's chunks came, or a service forgot some."""
        self._stored = sum(receipt.size for receipt in self.upload.receipts.values())

    def chunk_moves(self, number: int, passed: int) -> None:
        """``passed`` bytes of chunk ``number`` have been handed to the network in this try."""
        self._moving[number] = passed

    def chunk_stored(self, number: int, size: int) -> None:
        self._moving.pop(number, None)
        self._stored += size

    def chunk_returned(self, number: int) -> None:
        self._moving.pop(number, None)
