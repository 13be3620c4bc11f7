"""User metadata as HTTP headers, for text in any language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.header import Header

from vvos_core import BadInput

LIMIT = 2048
"""Bytes of all names and values together (AWS, "Working with object metadata")."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]")
_PLAIN = re.compile(r"[!-~]+( [!-~]+)*|")


def encode(metadata: Mapping[str, str]) -> dict[str, str]:
    """The metadata with lower-case names and values that a header can carry.

    Text that is not plain ASCII becomes RFC 2047 encoded words: S3 itself decodes those before it stores them and
    answers in the same form (AWS, "Working with object metadata"), boto3 takes and gives them as they are, and
    ``email.header.decode_header`` reads them back. Plain text stays as it is, but for what would look encoded.

    Raises ``BadInput`` for a name that no header can have, two names that differ in case only, a control character,
    and too much of it all.
    """
    encoded: dict[str, str] = {}
    for name, value in metadata.items():
        lower = name.lower()
        if not _NAME.fullmatch(lower):
            raise BadInput(f"the metadata name {name[:40]!a} has other characters than a-z 0-9 . _ -; rename it.")
        if lower in encoded:
            raise BadInput(f"the metadata name {lower!r} is there twice; S3 does not tell upper from lower case.")
        if _CONTROL.search(value):
            raise BadInput(f"the metadata value of {lower!r} has a control character in it; leave it out.")
        plain = _PLAIN.fullmatch(value) and "=?" not in value
        encoded[lower] = value if plain else Header(value, "utf-8").encode(linesep="")
    if sum(len(name) + len(value) for name, value in encoded.items()) > LIMIT:
        raise BadInput(f"the metadata have more than {LIMIT} bytes; shorten them.")
    return encoded
