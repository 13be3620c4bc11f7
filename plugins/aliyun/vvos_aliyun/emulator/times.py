"""The three ways in which OSS writes a time, and how each is read."""

from __future__ import annotations

import calendar
import time
from email.utils import formatdate, parsedate_to_datetime


def iso(moment: float) -> str:
    """``2026-11-22T14:02:06.000Z``, as in XML."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(moment))


def http(moment: float) -> str:
    """``Sun, 22 Nov 2026 14:02:06 GMT``, as in headers."""
    return formatdate(moment, usegmt=True)


def from_http(text: str) -> float | None:
    """Seconds since 1970, or None for what is no date of a header."""
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def from_stamp(text: str) -> float | None:
    """Of ``20261122T140206Z``."""
    return _parse(text, "%Y%m%dT%H%M%SZ")


def from_iso(text: str) -> float | None:
    """Of ``2026-11-22T14:02:06.000Z`` and of the same without milliseconds."""
    return _parse(text, "%Y-%m-%dT%H:%M:%S.%fZ") or _parse(text, "%Y-%m-%dT%H:%M:%SZ")


def _parse(text: str, form: str) -> float | None:
    try:
        return calendar.timegm(time.strptime(text, form))
    except ValueError:
        return None
