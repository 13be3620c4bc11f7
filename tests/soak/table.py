"""``make soak``: kills, faults and sweeps over all clouds in turn for a given time, and a table of what came of it.

    python -m tests.soak.table [SECONDS [SEED]]

Exit status 1 when something is not zero that has to be.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from ..e2e.killing import CONCURRENCY, Tally, Theatre

CLOUDS = ("s3", "qiniu", "aliyun")
HEAD = (
    "provider",
    "runs",
    "kills",
    "faults",
    "sent again per kill, mean",
    "max",
    "at most",
    "objects wrong",
    "orphans after sweep",
    "duplicates without the same key",
)


def soak(seconds: float, seed: int) -> tuple[str, bool]:
    """The table, in Markdown, and whether all is as it has to be."""
    chance = random.Random(seed)
    rows, good = [], True
    with ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in CLOUDS]
        stages = [Theatre(name, folder, stack) for name, folder in zip(CLOUDS, folders, strict=True)]
        end = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < end:
            for stage in stages:
                if turn % 2:
                    stage.play(chance, kills=2, faults=2)
                else:
                    stage.play(chance, kills=1)
            turn += 1
        for stage in stages:
            tally = stage.settle()
            limit = CONCURRENCY * stage.part
            good &= sound(tally, limit)
            sys.stderr.writelines(f"{reason}\n" for reason in tally.reasons)
            rows.append(_row(stage.name, tally, limit))
    lines = [HEAD, ("---",) * len(HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines), good


def sound(tally: Tally, limit: int) -> bool:
    """Whether the zeros are zeros, and no kill cost more than what was in flight."""
    zeros = (tally.wrong, tally.orphans, tally.strange)
    return zeros == (0, 0, 0) and tally.kills > 0 and max(tally.again, default=0) <= limit


def _row(name: str, tally: Tally, limit: int) -> tuple[str, ...]:
    mean = sum(tally.again) / max(1, len(tally.again))
    return (
        name,
        *(str(number) for number in (tally.runs, tally.kills, tally.faults)),
        *(f"{size / 2**20:.2f} MiB" for size in (mean, max(tally.again, default=0), limit)),
        *(str(number) for number in (tally.wrong, tally.orphans, tally.strange)),
    )


def main(seconds: float = 600.0, seed: float = 0.0) -> int:
    table, good = soak(seconds, int(seed) or random.randrange(1, 10**6))
    sys.stdout.write(table + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
