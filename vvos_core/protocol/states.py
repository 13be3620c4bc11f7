"""Where one upload can be."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """The states of one upload. ``value`` is the word that users see."""

    PENDING = "pending"
    """Added, not begun."""
    TOKEN = "token"
    """Waiting for a grant, or for its renewal."""
    EXISTS = "exists"
    """Asking what is there already."""
    UPLOADING = "uploading"
    COMPLETING = "completing"
    UPLOADED = "uploaded"
    """The object is there; waiting to be notified."""
    NOTIFYING = "notifying"
    PAUSED = "paused"
    DONE = "done"
    SKIPPED = "skipped"
    """Something else has the key and may not be replaced; the profile says that this is no failure."""
    FAILED = "failed"
    CANCELLED = "cancelled"

    # By identity, as they are compared: Enum's own is written in Python, and every move looks a state up.
    __hash__ = object.__hash__


FINAL = frozenset({State.DONE, State.SKIPPED, State.FAILED, State.CANCELLED})
"""An upload ends in one of these, and stays there."""
