"""Many keys looked up by listing the bucket, in place of a request for each: what to list, and what it tells.

A listing is believed only where it is what it should be: in order, behind where it was to begin, under the prefix. It
decides what is not there, and what is there as it was read; whatever else, a look at the one object decides.
"""

from __future__ import annotations

import random
import re
from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence

from msgspec import Struct

from .errors import VVOSError
from .model import Finished

LEAST = 8
"""Fewer keys than these are looked at one by one."""
MOST = 1000
"""Objects that are asked for at once: the most that the services give (AWS and OSS, "ListObjectsV2")."""
_POOR = 2
"""Pages with little of what is looked for, after which no more are read."""
_BEHIND = "\U0010fffd"
"""Sorts behind every character that keys have."""
_LONGEST = 1023
"""Bytes of the key that a listing begins behind (OSS, "ListObjectsV2": less than 1,024)."""
_MD5 = re.compile(r"md5:([0-9a-f]{32})")
_MD5_OF_PARTS = re.compile(r"md5:([0-9a-f]{32}(?:-[0-9]{1,5})?)")


class Listed(Struct, frozen=True):
    """An object as a listing tells it."""

    key: str
    size: int
    etag: str
    """Without quotes, in lower case."""


class Page(Struct, frozen=True):
    """A piece of a listing; ``more`` where others follow."""

    objects: Sequence[Listed]
    more: bool


ListPage = Callable[[str, str, int], Page]
"""Lists the objects whose keys begin with the first argument, behind the second, at most as many as the third."""


def look_up(keys: Collection[str], list_page: ListPage) -> dict[str, Listed | None]:
    """What a listing tells of each key: its object, or None where there is none. Of what is left out it tells nothing.

    It is for services whose listing shows every object as soon as it is stored, in order of the keys' UTF-8: so do S3
    (AWS, "Amazon S3 data consistency model", "ListObjectsV2") and OSS. A listing that fails, or is not in this order,
    or lists what was not asked for, tells nothing at all.
    """
    left = sorted(set(keys))
    told: dict[str, Listed | None] = {}
    poor = 0
    while len(left) >= LEAST and poor < _POOR:
        prefix, after = _common(left[0], left[-1]), _before(left[0])
        most = min(MOST, len(left) + len(left) // 4 + 16)
        try:
            page = list_page(prefix, after, most)
        except VVOSError:
            break  # a look at each may be allowed, or tells better what is wrong
        if not _is_sound(page, prefix, after, most):
            return {}
        covered = len(left)
        if page.more:
            covered = bisect_right(left, page.objects[-1].key) if page.objects else 0
        there = {listed.key: listed for listed in page.objects}
        told.update((key, there.get(key)) for key in left[:covered])
        left = left[covered:]
        poor += covered < max(LEAST, most // 8)
    return told


def absent(keys: Collection[str], list_page: ListPage) -> set[str]:
    """The keys under which, by a listing, there is nothing."""
    return {key for key, listed in look_up(keys, list_page).items() if listed is None}


def proven(objects: Sequence[Finished], list_page: ListPage, look: Callable[[str], Listed | None]) -> dict[str, str]:
    """The MD5, as ``md5:value``, of each key whose object, by a listing, has the size and the MD5 that were read.

    An object's ETag is the MD5 of what was put in one piece, but for some kinds of encryption; where it is another
    value the key is left out. One of the objects, any, is looked at as well: when ``look``, which answers an empty ETag
    where it is no MD5, finds it otherwise than it is listed, the listing proves nothing.
    """
    wanted = {done.grant.key: (done.size, md5) for done in objects if (md5 := _md5(done))}
    if len(wanted) < LEAST or len({done.grant.key for done in objects}) < len(objects):
        return {}
    listed = look_up(wanted, list_page)
    alike = [there for there in listed.values() if there is not None and wanted[there.key] == (there.size, there.etag)]
    if not alike:
        return {}
    one = random.choice(alike)
    try:
        if look(one.key) != one:
            return {}
    except VVOSError:
        return {}
    return {there.key: f"md5:{there.etag}" for there in alike}


def _md5(done: Finished) -> str:
    """The MD5 that alone says what the object has to be; empty where there is none, or something else as well."""
    grant = done.grant
    if done.size != grant.size:
        return ""
    match = _MD5_OF_PARTS.fullmatch(done.checksum) or (None if grant.multipart else _MD5.fullmatch(done.digest))
    if match is None or grant.checksum not in ("", match[0]):
        return ""
    return match[1]


def _is_sound(page: Page, prefix: str, after: str, most: int) -> bool:
    last = after
    for listed in page.objects:
        if listed.key <= last or not listed.key.startswith(prefix):
            return False
        last = listed.key
    return len(page.objects) <= most


def _common(first: str, last: str) -> str:
    """What both, and all keys between them, begin with."""
    for place, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:place]
    return first


def _before(key: str) -> str:
    """What sorts before ``key``, with hardly a key between the two."""
    head, last = key[:-1], ord(key[-1])
    if last <= 0x21:
        return head
    last -= 1
    if 0xD800 <= last <= 0xDFFF:
        last = 0xD7FF  # those are no characters
    before = head + chr(last)
    return before + _BEHIND if len((before + _BEHIND).encode()) <= _LONGEST else before
