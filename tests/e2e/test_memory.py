"""What a large upload costs in memory, measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Stage

GIB = 1024**3
PROGRAM = """
import sys
from vvos_core.cli import main
status = main(sys.argv[1:])
# Of this program alone: the kernel's ru_maxrss would count the process that started it.
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
sys.exit(status)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak is read from Linux's /proc")
def test_a_gibibyte_goes_through_the_command_line_in_less_than_128_mib(stage: Stage, tmp_path: Path) -> None:
    film = tmp_path / "影片.mp4"
    with film.open("wb") as file:
        file.truncate(GIB)  # a hole: read as zeros, and no gibibyte on the disk
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "put", str(film), "--api", stage.to_broker.url, "--quiet"],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stderr.split("VmHWM:")[1].split()[0])
    assert peak < 128 * 1024, f"{peak} KiB"
    assert sum(len(block) for block in stage.s3.read("影片.mp4")) == GIB
