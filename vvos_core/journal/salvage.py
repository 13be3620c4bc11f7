"""What can still be read of a damaged journal, put into a fresh one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from ..errors import JournalError
from . import tables
from .folder import NEW, create, following, remove, set_aside, sync
from .pages import SIZE, rows

_WORK = "journal.work"


def make_new(folder: Path, damaged: Path | None = None) -> tuple[Path, str]:
    """A new journal in ``folder``, with what can be read of ``damaged``, which is set aside under another name.

    Answers the new one, and of a damaged one a sentence about what became of it. It appears under its name when it is
    whole. Raises ``OSError`` or ``sqlite3.Error`` when it cannot be written. Nobody else may write meanwhile.
    """
    new = folder / NEW
    remove(new)
    descriptor = create(new)
    with closing(sqlite3.connect(new, isolation_level=None)) as database, open(descriptor, "rb") as first:
        database.execute(f"PRAGMA page_size = {SIZE}")
        database.execute("BEGIN")
        for statement in tables.SCHEMA:
            database.execute(statement)
        database.execute(f"PRAGMA application_id = {tables.APPLICATION}")
        database.execute(f"PRAGMA user_version = {tables.VERSION}")
        database.execute("COMMIT")
        said = _fill(database, first.read(SIZE), folder, damaged) if damaged else ""
        [(mode,)] = database.execute("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise JournalError(
                f"The file system of {folder} cannot hold a write-ahead log; set VVOS_STATE to a local folder."
            )
    name = following(folder)
    new.rename(name)
    if damaged:
        said += f"; the damaged file is kept as {set_aside(damaged)}."
    sync(folder)
    return name, said


def _fill(database: sqlite3.Connection, first: bytes, folder: Path, damaged: Path) -> str:
    work = folder / _WORK
    remove(work)
    try:
        for end in ("", "-wal"):
            if os.path.exists(f"{damaged}{end}"):
                with open(f"{damaged}{end}", "rb") as source, open(create(Path(f"{work}{end}")), "wb") as copy:
                    shutil.copyfileobj(source, copy)
        # With a sound first page SQLite takes the file for a database, and brings what was committed last into it.
        with open(work, "r+b") as copy:
            copy.write(first[:18] + b"\2\2" + first[20:])  # the form with a write-ahead log
        with suppress(sqlite3.Error), closing(sqlite3.connect(work, isolation_level=None)) as folded:
            folded.execute("PRAGMA journal_mode = WAL")
            folded.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        with open(work, "rb") as pages:
            database.execute("BEGIN")
            kept, bad = tables.refill(database, rows(pages, SIZE - first[20]))
            database.execute("COMMIT")
    finally:
        remove(work)
    lost = f", {bad} damaged rows were left out" if bad else ""
    return f"{kept} uploads could be read and are kept{lost}, and what is missing is uploaded from its start again"
