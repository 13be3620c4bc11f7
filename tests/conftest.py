"""Settings that hold for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# No deadlines: the machines that run this are shared. In CI the same examples each time: nothing hangs on luck there.
settings.register_profile("here", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")
