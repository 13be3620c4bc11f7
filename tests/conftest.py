"""Settings that hold for all tests."""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

from .security import threats
from .security.outcomes import Outcomes

# No deadlines: the machines that run this are shared. In CI the same examples each time: nothing hangs on luck there.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
# For long runs: as many examples as a night has room for.
settings.register_profile("soak", deadline=None, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "here"))


def pytest_configure(config: pytest.Config) -> None:
    """In a session of all tests those of the threat table have to run. Of xdist's processes the first one looks."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Outcomes(threats.needed))


@pytest.fixture(autouse=True)
def _journal_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees what another one's uploads, or the user's, left in the journal."""
    monkeypatch.setenv("VVOS_STATE", str(tmp_path_factory.mktemp("state") / "vvos"))
