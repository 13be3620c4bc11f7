"""How a case ends that does not pass: it fails with what was wrong and what to do, or is skipped with a reason."""

from __future__ import annotations

from typing import NoReturn

import pytest


def fail(what: str, mend: str) -> NoReturn:
    """Fail the case: what was wrong, and what the author has to do."""
    # Without a traceback, and without the error that was judged: the two sentences say it all.
    raise pytest.fail.Exception(f"{what}\n  → {mend}", pytrace=False) from None


def skip_unless(can: bool, what: str) -> None:
    """Skip the case where the author declares that the provider cannot do what it is about."""
    if not can:
        pytest.skip(f"the provider declares that it cannot: {what}")
