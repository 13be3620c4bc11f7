"""User metadata as HTTP headers, for text in any language."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vvos_core import BadInput

LIMIT = 8 * 1024
"""Bytes of all ``x-oss-meta-`` headers together (OSS, "PutObject")."""
PREFIX = "x-oss-meta-"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_UNSENDABLE = re.compile("[\\x00-\\x1f\\x7f\\ud800-\\udfff]")


def headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata as headers, names in lower case.

    OSS keeps the bytes that it gets, which are UTF-8 for all its SDKs; so a value is text of the wire, where each
    character stands for one byte (latin-1). ``value.encode("latin-1").decode()`` reads one back.

    Raises ``BadInput`` for a name that OSS does not take, two names that differ in case only, a value that a header
    cannot carry unchanged, and too much of it all.
    """
    made: dict[str, str] = {}
    for name, value in metadata.items():
        lower = name.lower()
        if not _NAME.fullmatch(lower):
            raise BadInput(f"the metadata name {name[:40]!a} has other characters than a-z, 0-9 and '-'; rename it.")
        if PREFIX + lower in made:
            raise BadInput(f"the metadata name {lower!r} is there twice; OSS does not tell upper from lower case.")
        if _UNSENDABLE.search(value):
            raise BadInput(f"the metadata value of {lower!r} has a control character in it; leave it out.")
        if value != value.strip(" "):
            raise BadInput(f"the metadata value of {lower!r} begins or ends with a space; leave it out.")
        made[PREFIX + lower] = value.encode().decode("latin-1")
    if sum(len(name) + len(value) for name, value in made.items()) > LIMIT:
        raise BadInput(f"the metadata have more than {LIMIT} bytes; shorten them.")
    return made
