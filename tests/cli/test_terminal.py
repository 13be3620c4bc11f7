"""The live display: within the terminal whatever its size, on a real pseudo-terminal too."""

from __future__ import annotations

import fcntl
import io
import os
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from hypothesis import example, given, strategies as st
from rich.cells import cell_len
from rich.console import Console

from vvos_core.cli.bars import picture
from vvos_core.cli.display import Display
from vvos_core.errors import Denied
from vvos_core.progress import FileProgress, Progress
from vvos_core.results import Result

from .running import Spawn

MIB = 1024 * 1024
ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")


def under_way(*names: str, state: str = "uploading") -> tuple[FileProgress, ...]:
    return tuple(FileProgress(client_key=name, bytes_done=3, bytes_total=10, rate=1e6, state=state) for name in names)


def progress(files: tuple[FileProgress, ...], total: int = 100_000) -> Progress:
    return Progress(
        bytes_done=5 * MIB,
        bytes_total=20 * MIB,
        rate=MIB,
        files_done=7,
        files_total=total,
        state="uploading",
        files=files,
    )


def lines_of(what: Progress, width: int, height: int, stopping: bool = False) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(picture(what, width, height, stopping))
    return captured.get().splitlines()


@given(
    st.lists(st.text(max_size=60), max_size=60),
    st.integers(10, 200),
    st.integers(2, 60),
    st.booleans(),
)
@example(["影片" * 40], 40, 24, True)
def test_the_picture_fits_the_terminal(names: list[str], width: int, height: int, stopping: bool) -> None:
    lines = lines_of(progress(under_way(*names)), width, height, stopping)
    assert 1 <= len(lines) < height
    assert all(cell_len(line) <= width for line in lines)


def test_the_picture_tells_bytes_rate_and_time_left() -> None:
    lines = lines_of(progress(under_way("片.mp4")), 100, 24)
    assert lines[0].startswith("片.mp4")
    assert "30%" in lines[0]
    assert "976.6 KiB/s" in lines[0]
    assert "5.0 MiB of 20.0 MiB · 0:15 left · 1.0 MiB/s · 7/100,000 files" in lines[1]
    assert "stopping" in lines_of(progress(()), 100, 24, stopping=True)[0]


def test_what_moves_comes_first_when_there_is_no_room_for_all() -> None:
    waiting = under_way(*(f"w{number}" for number in range(600)), state="token")
    lines = lines_of(progress((*waiting, *under_way("moving"))), 80, 10)
    assert len(lines) == 7
    assert lines[0].startswith("moving")


def test_a_hostile_name_keeps_to_its_row() -> None:
    lines = lines_of(progress(under_way("a\x1b[2J\nb\u202e.txt")), 100, 24)
    assert len(lines) == 2
    assert lines[0].startswith("a\\x1b[2J\\nb\\u202e.txt")


class FakeBars:
    """Counts what would be drawn."""

    def __init__(self) -> None:
        self.drawn = 0
        self.printed: list[int] = []

    def __enter__(self) -> FakeBars:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def draw(self, progress: Progress, stopping: bool) -> None:
        self.drawn += 1

    def above(self, lines: list[str]) -> None:
        self.printed.append(len(lines))


def test_a_hundred_thousand_lines_cost_no_drawing_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = FakeBars()
    monkeypatch.setattr("vvos_core.cli.display._is_terminal", lambda: True)
    monkeypatch.setattr("vvos_core.cli.bars.Bars", lambda: bars)
    failed = Result(
        client_key="a", key="", url="", size=1, state="failed", checksum="", reused=False, error=Denied("no")
    )
    with Display() as display:
        for _ in range(100_000):
            display.on_result(failed.error, failed)
        assert (bars.drawn, bars.printed) == (0, [])
        display.on_progress(None, progress(()))
        display.on_result(failed.error, failed)
    assert (bars.drawn, bars.printed) == (1, [100_000, 1])


def test_without_a_terminal_nothing_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    with Display() as display:
        display.on_progress(None, progress(under_way("a")))
    assert capsys.readouterr() == ("", "")


def on_terminal(process: subprocess.Popen[bytes], master: int) -> bytes:
    """All that the process writes to the terminal."""
    written = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.05)[0]:
            try:
                block = os.read(master, 65536)
            except OSError:  # Linux: EIO when nobody has the other end any more
                break
            if not block:
                break
            written += block
        elif process.poll() is not None:
            break
    return written


@pytest.mark.parametrize("columns", [24, 120])
@pytest.mark.parametrize("results_too", [False, True])
def test_on_a_terminal(broker: str, clean: Path, spawn: Spawn, columns: int, results_too: bool) -> None:
    (clean / "d").mkdir()
    for number in range(30):
        (clean / "d" / f"一个相当长的文件名-{number}.bin").write_bytes(b"x" * 100_000)
    (clean / "d" / "big.bin").write_bytes(b"y" * 20 * MIB)
    (clean / "d" / "bad\x1b[2J.bin").write_bytes(b"z")
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 12, columns, 0, 0))
    process = spawn(
        *("put", "d", "--api", broker),
        env={"TERM": "xterm-256color"},
        stdin=slave,
        stdout=slave if results_too else subprocess.PIPE,
        stderr=slave,
    )
    os.close(slave)
    written = on_terminal(process, master)
    os.close(master)
    assert process.wait(60) == 1
    out = b"" if results_too else process.stdout.read()  # type: ignore[union-attr]  # it was made with a pipe
    assert b"\x1b[2J" not in written + out
    assert b"bad\\x1b[2J.bin: BAD_KEY" in written
    assert written.count(b"\x1b[?25l") == written.count(b"\x1b[?25h") == 1, "the cursor comes back"
    drawn = [ESCAPE.sub(b"", line).decode() for line in re.split(rb"[\r\n]+", written)]
    assert any("━" in line for line in drawn)
    assert any("MiB" in line and "━" in line for line in drawn)
    assert all(cell_len(line) <= columns for line in drawn if "━" in line)
    results = [line for line in (drawn if results_too else out.decode().splitlines()) if "uploaded   d/" in line]
    assert len(results) == 31
    assert any(line.startswith("31 of 32 files arrived, ") for line in drawn)
    if not results_too:
        assert b"\x1b" not in out


def test_a_dumb_terminal_gets_lines(broker: str, clean: Path, spawn: Spawn) -> None:
    (clean / "a.txt").write_bytes(b"a")
    master, slave = os.openpty()
    process = spawn("put", "a.txt", "--api", broker, env={"TERM": "dumb"}, stdout=slave, stderr=slave)
    os.close(slave)
    written = on_terminal(process, master)
    os.close(master)
    assert process.wait(60) == 0
    assert b"\x1b" not in written
    assert written.startswith("uploaded   a.txt → up/a.txt".encode())
