"""msgspec learns a type when it first reads one, and crashes the process when two threads make it do so at once
(msgspec 0.20: the half-learned type is found by the other thread). So modules have theirs learned by being imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
READS = re.compile(
    r"(?:\bdecode\([^\n]*type=(?:list\[)?|\bconvert\(\w[\w.]*, )(_?[A-Z]\w+)|\bdecode\(answer\.body, (_?[A-Z]\w+)"
)
MODULES = sorted(
    path
    for folder in (ROOT / "vvos_core", *(ROOT / "plugins").glob("*/vvos_*"), *(ROOT / "docs/examples").glob("*/*"))
    for path in folder.rglob("*.py")
    if not {"testing", "emulator", "tests"} & set(path.relative_to(ROOT).parts)
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_threads_read_was_learned_by_the_import(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    read = {first or second for first, second in READS.findall(text)}
    learned = set(re.findall(r"Decoder\((\w+)\)", text))
    for names in re.findall(r"for _type in \(([^)]*)\):\n    msgspec\.json\.Decoder\(_type\)", text):
        learned |= set(re.split(r",\s*", names))
    assert read <= learned


def test_the_search_finds_what_it_is_to_find() -> None:
    found = [path.name for path in MODULES if READS.search(path.read_text(encoding="utf-8"))]
    assert {"grants.py", "parts.py", "remote.py", "hosts.py"} <= set(found)


def test_a_type_that_was_learned_is_read_by_many_threads() -> None:
    program = """
import sys, threading, msgspec
sys.setswitchinterval(1e-6)
for number in range(300):
    inner = msgspec.defstruct("Inner", [("a", int), ("b", dict[str, str])])
    outer = msgspec.defstruct("Outer", [("x", inner), ("y", list[inner]), ("z", dict[str, inner])])
    msgspec.json.Decoder(outer)
    barrier = threading.Barrier(4)
    def read():
        barrier.wait()
        msgspec.convert({"x": {"a": 1, "b": {}}, "y": [], "z": {}}, outer)
    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
