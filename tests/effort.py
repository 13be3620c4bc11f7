"""How many examples a property test tries: few by default, as many as the profile says in long runs."""

from __future__ import annotations

import os

from hypothesis import settings

SOAKING = os.environ.get("HYPOTHESIS_PROFILE") == "soak"


def examples(usual: int) -> int:
    """``usual``, or with the profile soak no fewer than it says."""
    return max(usual, settings().max_examples) if SOAKING else usual
