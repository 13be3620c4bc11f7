"""Which process has which upload, and which one writes: locks that end with the process that holds them."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import Busy, JournalError
from .folder import LOCKS, make, open_locks
from .record import row_id

try:
    import fcntl
except ImportError:  # Windows: only the runs of one process know of each other
    fcntl = None  # type: ignore[assignment]  # a module or nothing

_WRITING = 0
"""The byte of the lock file that who writes has; those of the uploads follow."""
_WAIT = 5.0
"""Seconds that a writer waits for another one."""
_BETWEEN = 0.005


class Locks:
    """The lock file of one folder; one object per process, see ``locks_of``.

    POSIX record locks belong to the process, and closing any descriptor of the file frees all of them. So it is opened
    once and stays open while anybody of this process uses it; what several runs have is kept in a table beside it.
    """

    def __init__(self, folder: Path, descriptor: int) -> None:
        self._folder = folder
        self._descriptor = descriptor
        self.users = 0
        self._owners: dict[str, object] = {}
        self._owners_lock = threading.Lock()
        self._writing = threading.Lock()

    def claim(self, id: str, name: str, owner: object) -> None:
        """Raises ``Busy`` unless ``id`` is free, or ``owner`` has it already."""
        with self._owners_lock:
            if self._owners.setdefault(id, owner) is not owner:
                raise Busy(f"{name} is being uploaded by this process already; wait for it.")
            try:
                if not self._lock(_byte(id)):
                    raise Busy(f"{name} is being uploaded by another process; wait for it or stop it.")
            except BaseException:
                del self._owners[id]
                raise

    def release(self, id: str, owner: object) -> None:
        with self._owners_lock:
            if self._owners.get(id) is owner:
                del self._owners[id]
                self._unlock(_byte(id))

    def release_all(self, owner: object) -> None:
        with self._owners_lock:
            theirs = [id for id, whose in self._owners.items() if whose is owner]
        for id in theirs:
            self.release(id, owner)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody else writes meanwhile, and the file is not replaced. Raises ``JournalError`` after five seconds."""
        end = time.monotonic() + _WAIT
        if not self._writing.acquire(timeout=_WAIT):
            raise self._locked()
        try:
            while not self._lock(_WRITING):
                if time.monotonic() > end:
                    raise self._locked()
                time.sleep(_BETWEEN)
            try:
                yield
            finally:
                self._unlock(_WRITING)
        finally:
            self._writing.release()

    def _lock(self, byte: int) -> bool:
        if fcntl is not None:
            try:
                fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    return False
                raise
        return True

    def _unlock(self, byte: int) -> None:
        if fcntl is not None:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, byte)

    def _locked(self) -> JournalError:
        return JournalError(
            f"The journal in {self._folder} is held by another process for {_WAIT:.0f} seconds; try again when it is "
            "done, or stop it."
        )

    def close(self) -> None:
        os.close(self._descriptor)

    def forget(self) -> None:
        """In a forked child, which has none of its parent's locks."""
        self._owners.clear()
        self._owners_lock = threading.Lock()
        self._writing = threading.Lock()


def _byte(id: str) -> int:
    # 62 of the 64 bits: an offset has a sign, and byte 0 is the writers'.
    return (row_id(id) & ((1 << 62) - 1)) + 1


_open: dict[tuple[int, int], Locks] = {}
_opening = threading.Lock()


def locks_of(folder: Path, before: Locks | None = None) -> Locks:
    """The locks of ``folder``, which is made where it is not there, in place of ``before``; to be given to `leave`.

    Raises ``JournalError`` when the folder cannot be trusted, ``OSError`` when it cannot be made.
    """
    make(folder)
    with _opening:
        # By the lock file's own number: two names of one folder are one folder, and a file made anew is another one.
        found: Locks | None = None
        with suppress(FileNotFoundError):
            info = os.lstat(folder / LOCKS)
            found = _open.get((info.st_dev, info.st_ino))
        if found is None:
            descriptor = open_locks(folder)
            info = os.fstat(descriptor)
            found = _open.setdefault((info.st_dev, info.st_ino), Locks(folder, descriptor))
        if found is not before:
            found.users += 1
    if before is not None and before is not found:
        leave(before)
    return found


def leave(locks: Locks) -> None:
    """Use ``locks`` no more; nothing that was claimed through them is held any longer by who leaves."""
    with _opening:
        locks.users -= 1
        if not locks.users:
            locks.close()
            for number, known in list(_open.items()):
                if known is locks:
                    del _open[number]


def _forget_all() -> None:
    for locks in _open.values():
        locks.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
