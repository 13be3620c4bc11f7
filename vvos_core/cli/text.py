"""What may reach a terminal or a JSON document, and numbers as people read them."""

from __future__ import annotations

import unicodedata

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def printable(text: str) -> str:
    """``text`` on one line, with everything escaped that a terminal might obey or hide.

    That is control characters, line ends, bidirectional overrides, and the bytes of file names that are not UTF-8.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else char.encode("unicode_escape").decode()
        for char in text
    )


def well_formed(text: str) -> str:
    """``text`` with the bytes of file names that are not UTF-8 escaped, so that it can be written as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def size(count: float) -> str:
    """Bytes for a person: ``24.0 MiB``."""
    if count < 1024:
        return f"{count:.0f} B"
    for unit in _UNITS[1:]:
        count /= 1024
        if count < 1024 or unit == _UNITS[-1]:
            break
    return f"{count:,.1f} {unit}"


def duration(seconds: float) -> str:
    """Seconds for a clock: ``0:07``, ``1:02:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def age(seconds: float) -> str:
    """How long ago, roughly: ``5m``, ``3h``, ``2d``; never below nothing, whatever the clocks say."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"


def count(number: int, noun: str) -> str:
    """``1 file``, ``1,200 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
