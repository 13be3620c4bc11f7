"""User metadata as Kodo takes them: fields called ``x-qn-meta-NAME``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from vvos_core import BadInput

LIMIT = 1024
"""Bytes of all names and values together (Qiniu, "Complete multipart upload")."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,50}")
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")


def encode(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata with the names that the service wants.

    Raises ``BadInput`` for a name that it does not take, a control character, and too much of it all.
    """
    for name, value in metadata.items():
        if not _NAME.fullmatch(name):
            raise BadInput(f"the metadata name {name[:40]!a} is not 1 to 50 letters, digits, '_' and '-'; rename it.")
        if _CONTROL.search(value):
            raise BadInput(f"the metadata value of {name!r} has a control character in it; leave it out.")
    if sum(len(name) + len(value.encode()) for name, value in metadata.items()) > LIMIT:
        raise BadInput(f"the metadata have more than {LIMIT} bytes; shorten them.")
    return {f"x-qn-meta-{name}": value for name, value in metadata.items()}
