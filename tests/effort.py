"""What property tests may cost: how many examples they try, and where their files are."""

from __future__ import annotations

import os

from hypothesis import settings

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where a sync costs nothing, for tests that make hundreds of journals."""
SOAKING = os.environ.get("HYPOTHESIS_PROFILE") == "soak"


def examples(usual: int) -> int:
    """``usual``, or with the profile soak no fewer than it says."""
    return max(usual, settings().max_examples) if SOAKING else usual
