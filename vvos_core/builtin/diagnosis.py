"""What can be wrong with the folder of the directory provider: it is gone, spans file systems, or has no room."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from ..model import GIB, DiagnoseRequest, Diagnosis, Finding, Verdict
from .folder import OWN

LEAST_FREE = GIB
"""Bytes below which a folder is said to be nearly full."""


def diagnose(root: str, request: DiagnoseRequest) -> Diagnosis:
    """What was found of the folder; the object of the trial is removed. There is no host, and no browser."""
    return Diagnosis(findings=tuple(_findings(root, request.key)))


def _findings(root: str, key: str) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(root).free
        own = os.path.join(root, OWN)
        whole = not os.path.exists(own) or os.stat(root).st_dev == os.stat(own).st_dev
    except OSError as error:
        mend = "make it, or correct root in the profile."
        yield _told("bucket", "fail", f"the folder {root} cannot be looked at ({error.strerror}).", mend)
        return
    if whole:
        yield _told("bucket", "ok", f"the folder {root} is there.")
    else:
        mend = f"mount one file system for both; objects are linked out of {OWN}."
        yield _told("bucket", "fail", f"{own} is on another file system than {root}.", mend)
    room = f"{free / GIB:,.1f} GiB are free."
    yield _told("space", "ok" if free >= LEAST_FREE else "warn", room, "" if free >= LEAST_FREE else "make room.")
    try:
        os.unlink(os.path.join(root, key))
    except FileNotFoundError:
        pass
    except OSError as error:
        yield _told("removal", "warn", f"{key!r} could not be removed ({error.strerror}).", "delete it.")
        return
    yield _told("removal", "ok", "what was tried has been removed.")


def _told(check: str, verdict: Verdict, message: str, mend: str = "") -> Finding:
    return Finding(check=check, verdict=verdict, message=message, mend=mend)
