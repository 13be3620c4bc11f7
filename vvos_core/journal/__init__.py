"""What survives a crash of the client: which uploads were granted, and which chunks the service confirmed.

- `record`: one upload as it is known to the next run, and its form in the store
- `journal`: `Journal`, what the engine says to it and asks of it
- `database`: the SQLite file: opened, checked, replaced when it is damaged
- `folder`: whose the folder and its files are, and who may read them
- `locks`: which process has which upload
- `salvage`, `pages`: what can still be read of a damaged file

The format is documented in ``docs/journal.md``.
"""

from __future__ import annotations

from .journal import Journal as Journal
from .record import Record as Record, identity as identity
