"""Tags of objects, as a document and as a header. Source: OSS, "PutObjectTagging"."""

from __future__ import annotations

from urllib.parse import parse_qsl

from .errors import OssError
from .xml import parse

Tags = tuple[tuple[str, str], ...]
MAX_TAGS = 10
MAX_KEY = 128
MAX_VALUE = 256
_SYMBOLS = " +-=._:/"


def of_document(body: bytes) -> Tags:
    """The tags of a ``Tagging``. Raises ``OssError``."""
    return _checked(
        [(tag.findtext("Key") or "", tag.findtext("Value") or "") for tag in parse(body, "Tagging").iter("Tag")]
    )


def of_header(text: str | None) -> Tags:
    """The tags of ``x-oss-tagging``: ``a=1&b=2``, quoted. Raises ``OssError``."""
    return _checked(parse_qsl(text or "", keep_blank_values=True))


def _checked(tags: list[tuple[str, str]]) -> Tags:
    good = len(tags) <= MAX_TAGS and len(dict(tags)) == len(tags)
    for key, value in tags:
        good = good and 1 <= len(key) <= MAX_KEY and len(value) <= MAX_VALUE
        good = good and all(char.isalnum() or char in _SYMBOLS for char in key + value)
    if not good:
        raise OssError("InvalidArgument", "The tags are not valid.", ArgumentName="x-oss-tagging")
    return tuple(tags)
