"""The state folder: made for its owner alone, and refused when somebody else could have put something into it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from ..errors import JournalError

LOCKS = "locks"
NEW = "journal.new"
"""A journal in the making: it gets its name when it is whole."""
BESIDE = ("", "-wal", "-shm", "-journal")
"""What SQLite adds to a database's name for the files beside it."""
_NUMBERED = re.compile(r"journal(\.damaged)?-([0-9]{1,9})\.db")
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def state_folder(folder: str | os.PathLike[str] | None) -> Path:
    """``folder``, else that of the environment variable ``VVOS_STATE``, else the user's own one; absolute."""
    named = folder or os.environ.get("VVOS_STATE")
    if not named:
        from platformdirs import user_state_path  # here, for a folder that is named needs no search

        named = user_state_path("vvos", appauthor=False)
    return Path(os.path.abspath(named))


def make(folder: Path) -> None:
    """Make ``folder`` with mode 0700, whatever the umask, and check it. Raises ``JournalError`` or ``OSError``."""
    if not os.path.lexists(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            pass  # made by another process just now, and checked below
        else:
            folder.chmod(0o700)  # an umask may have taken from the owner what SQLite needs
    check(folder)


def check(folder: Path) -> None:
    """Raises ``JournalError`` unless the folder, and the journal's files in it, are the user's own and no links.

    SQLite opens by path. That is safe below a folder that only its owner can write, so the folder is checked first.
    Who can rename the folder itself (whoever can write to the one above) is trusted.
    """
    info = os.lstat(folder)
    _own(folder, info, stat.S_ISDIR, "a folder")
    if os.name == "posix" and info.st_mode & 0o022:
        raise JournalError(
            f"The state folder {folder} can be written by others; look at what is in it, then mend it with: "
            f"chmod 700 {folder}."
        )
    for name in os.listdir(folder):
        if name == LOCKS or name.startswith("journal"):
            path = folder / name
            try:
                info = os.lstat(path)
                _own(path, info, stat.S_ISREG, "a file")
                if os.name == "posix" and info.st_mode & 0o077:
                    path.chmod(0o600)
            except FileNotFoundError:  # SQLite removes the files beside its database when the last user closes it
                continue


def journals(folder: Path) -> list[Path]:
    """The journals in ``folder``. The last is the one in use; another one only where its replacement was cut short."""
    return [folder / name for _, damaged, name in _numbered(folder) if not damaged]


def following(folder: Path) -> Path:
    """The name of the next journal in ``folder``, which no other one had."""
    last = max((number for number, _, _ in _numbered(folder)), default=0)
    return folder / f"journal-{last + 1}.db"


def set_aside(journal: Path) -> Path:
    """Give a damaged journal, and the files beside it, a name that says so."""
    damaged = journal.with_name(journal.name.replace("journal-", "journal.damaged-", 1))
    for end in BESIDE:
        if os.path.lexists(f"{journal}{end}"):
            os.replace(f"{journal}{end}", f"{damaged}{end}")
    return damaged


def remove(path: Path) -> None:
    """Remove a database that is no more needed, with the files beside it."""
    for end in BESIDE:
        Path(f"{path}{end}").unlink(missing_ok=True)


def create(path: Path) -> int:
    """A new file with mode 0600, whatever the umask; answers its descriptor. Raises ``OSError`` when it exists."""
    descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    if os.name == "posix":
        os.fchmod(descriptor, 0o600)
    return descriptor


def open_locks(folder: Path) -> int:
    """The descriptor of the lock file, which is made where it is not there."""
    try:
        return create(folder / LOCKS)
    except FileExistsError:
        return os.open(folder / LOCKS, _FLAGS)


def sync(folder: Path) -> None:
    """Make the names in ``folder`` survive a loss of power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _numbered(folder: Path) -> list[tuple[int, bool, str]]:
    found = [(_NUMBERED.fullmatch(name), name) for name in os.listdir(folder)]
    return sorted((int(match[2]), bool(match[1]), name) for match, name in found if match)


def _own(path: Path, info: os.stat_result, right: Callable[[int], bool], kind: str) -> None:
    if stat.S_ISLNK(info.st_mode):
        raise JournalError(f"{path} is a symbolic link, which the journal does not follow; put {kind} there instead.")
    if not right(info.st_mode):
        raise JournalError(f"{path} is not {kind}; move it away, or set VVOS_STATE to another folder.")
    if os.name == "posix" and info.st_uid != os.geteuid():
        raise JournalError(f"{path} belongs to another user; set VVOS_STATE to a folder of your own.")
