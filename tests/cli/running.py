"""The types of the fixtures that run ``vvos``."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Run = Callable[..., "tuple[int, str, str]"]
Spawn = Callable[..., "subprocess.Popen[bytes]"]
