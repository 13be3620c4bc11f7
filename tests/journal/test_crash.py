"""kill -9: what was committed is there, nothing is half there, and what the dead held is free."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vvos_core.errors import Busy
from vvos_core.journal import Journal

from . import killed
from .making import record

ROOT = Path(__file__).parents[2]


def runs(folder: Path, how: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, killed.__file__, str(folder), how], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_killed_at_every_step_all_that_was_committed_is_there_and_nothing_half(tmp_path: Path) -> None:
    states: list[dict[str, Any]] = [{}]
    journal = Journal(tmp_path / "model")
    for _ in killed.commits(journal):
        journal.commit()
        states.append(killed.state(tmp_path / "model"))
    journal.close()
    assert len({json.dumps(state) for state in states}) == len(states) == 7

    *dead, last = runs(tmp_path / "killed", "sound")
    assert len(dead) > 60
    for run in dead:
        assert run["status"] == 9
        # A kill between the end of a commit and the child's word of it finds one more.
        assert run["found"] in states[run["committed"] : run["committed"] + 2], run["step"]
    assert {run["committed"] for run in dead} == set(range(6))
    assert (last["status"], last["committed"], last["found"]) == (0, 6, states[6])


def test_killed_at_every_step_of_a_replacement_nothing_more_is_lost(tmp_path: Path) -> None:
    *dead, last = runs(tmp_path, "damaged")
    assert len(dead) > 30
    assert last["status"] == 0
    for run in dead:
        assert run["found"] == last["found"] != {}, run["step"]


HOLDER = """
import sys
from vvos_core.journal import Journal
journal = Journal(sys.argv[1])
for id in sys.argv[2:]:
    journal.claim(id)
print("claimed", flush=True)
sys.stdin.read()
"""


def test_of_two_processes_one_has_it_until_it_is_killed(tmp_path: Path) -> None:
    mine, theirs, free = (record(number).id for number in (1, 2, 3))
    journal = Journal(tmp_path / "state")
    journal.claim(mine)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "state"), theirs],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "claimed\n"
        with pytest.raises(Busy) as busy:
            journal.claim(theirs, "a.mp4")
        assert str(busy.value) == "a.mp4 is being uploaded by another process; wait for it or stop it."
        assert (busy.value.code, busy.value.retryable, busy.value.http_status) == ("BUSY", False, 409)
        journal.claim(free)
        # Other uses of the folder by this process do not free what it has.
        other = Journal(tmp_path / "state")
        other.begin(record(5))
        other.commit()
        other.close()
        late = subprocess.run(
            [sys.executable, "-c", HOLDER, str(tmp_path / "state"), mine], capture_output=True, text=True, timeout=60
        )
        assert "Busy" in late.stderr
    finally:
        holder.kill()
        holder.communicate()
    journal.claim(theirs, "a.mp4")
    journal.close()
    done = subprocess.run(
        [sys.executable, "-c", HOLDER, str(tmp_path / "state"), mine, theirs, free],
        input="",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("claimed\n", "")


def test_a_forked_child_does_not_have_what_its_parent_has(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from vvos_core.errors import Busy\n"
        "from vvos_core.journal import Journal\n"
        "journal = Journal(sys.argv[1])\n"
        "journal.claim('0' * 16)\n"
        "journal.claim('1' * 16)\n"
        "journal.release('1' * 16)\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    journal = Journal(sys.argv[1])\n"
        "    journal.claim('1' * 16)\n"
        "    try: journal.claim('0' * 16)\n"
        "    except Busy as error: print(error, flush=True)\n"
        "    os._exit(0)\n"
        "print(os.waitpid(pid, 0)[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "It is being uploaded by another process; wait for it or stop it.\n0\n"


WRITER = """
import sys
from tests.journal.making import receipt, record
from vvos_core.journal import Journal
first = int(sys.argv[2])
journal = Journal(sys.argv[1])
for number in range(first, first + 20):
    journal.begin(record(number))
    journal.commit()
    journal.store(record(number).id, receipt(1))
    journal.commit()
journal.close()
"""


def test_several_processes_write_at_once(tmp_path: Path) -> None:
    """Also the folder and the file are made by whoever comes first."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "new" / "state"), str(first)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in (0, 100, 200)
    ]
    for writer in writers:
        _, wrong = writer.communicate(timeout=120)
        assert (writer.returncode, wrong) == (0, "")
    journal = Journal(tmp_path / "new" / "state")
    found = {one.id: len(one.receipts) for one in journal.records()}
    assert found == {record(first + number).id: 1 for first in (0, 100, 200) for number in range(20)}
    journal.close()
    assert sorted(os.listdir(tmp_path / "new" / "state")) == ["journal-1.db", "locks"]
