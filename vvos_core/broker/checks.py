"""What every call refuses before the business or a provider is asked: counts, lengths and forms."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from ..errors import BadInput, DuplicateKey, KeyNotGranted, Mismatch, TooLarge
from ..keys import check_keys
from ..model import Grant
from .messages import FileInfo, FinishedFile, Size
from .seal import Opened

MAX_METADATA_BYTES = 2048
"""Names and values together, in UTF-8: what S3 allows, and the least of what others do."""
MAX_METADATA_ENTRIES = 64
MAX_TYPE_CHARS = 255
MAX_CLIENT_CHARS = 200

MAX_PARAMS_BYTES = 16 * 1024
"""The business parameters of a notifier, as JSON: each listener is told them with each of its keys."""

_CHECKSUM = re.compile(r"[a-z0-9-]{1,32}:[A-Za-z0-9+/=_-]{1,128}")
_TYPE = re.compile(r"[!-~]+(?:[ ]+[!-~]+)*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # goes into the name of an HTTP header


def count(keys: Sequence[str], files: Mapping[str, object], most: int) -> None:
    """Not too many keys, none twice, and no file that is not among them."""
    if len(keys) > most or len(files) > most:
        raise TooLarge(
            f"`keys`: {max(len(keys), len(files))} keys in one call, and at most {most} are allowed; send fewer."
        )
    every = set(keys)
    if len(every) != len(keys):
        twice = next(key for key, times in Counter(keys).items() if times > 1)
        raise DuplicateKey(f"`keys`: {short(twice)} is there twice.", key=twice)
    if not files.keys() <= every:
        unknown = next(key for key in files if key not in every)
        raise BadInput(f"`files`: {short(unknown)} is not in `keys`.")


def params(given: Mapping[str, Any]) -> None:
    """What the business adds to a notifier is short enough to be told to others."""
    length = len(msgspec.json.encode(given))
    if length > MAX_PARAMS_BYTES:
        raise TooLarge(f"the business parameters have {length} bytes, and at most {MAX_PARAMS_BYTES} are allowed here.")


def client_keys(keys: Sequence[str], max_bytes: int) -> None:
    check_keys(keys, max_bytes)


def client(name: str) -> None:
    if len(name) > MAX_CLIENT_CHARS or not (name.isprintable()):
        raise BadInput(f"`client`: expected at most {MAX_CLIENT_CHARS} printable characters.")


def files(said: Mapping[str, FileInfo]) -> None:
    """The form of what is said of each file; sizes are judged elsewhere."""
    last = ""
    for key, info in said.items():
        if info.checksum or info.metadata or info.type != last:  # most files of a batch are of one type
            _file(key, info)
            last = info.type


def _file(key: str, info: FileInfo) -> None:
    if info.type and (len(info.type) > MAX_TYPE_CHARS or not _is_type(info.type)):
        raise BadInput(
            f"`files[{short(key)}].type`: expected a content type of at most {MAX_TYPE_CHARS} ASCII characters.",
            key=key,
        )
    if info.checksum:
        checksum(f"`files[{short(key)}].checksum`", info.checksum, key)
    if info.metadata:
        _metadata(key, info.metadata)


@lru_cache(maxsize=256)  # the files of a batch share a few
def _is_type(text: str) -> bool:
    return _TYPE.fullmatch(text) is not None


def _metadata(key: str, metadata: Mapping[str, str]) -> None:
    place = f"`files[{short(key)}]"
    if len(metadata) > MAX_METADATA_ENTRIES:
        raise BadInput(f"{place}.metadata`: at most {MAX_METADATA_ENTRIES} entries are allowed.", key=key)
    for name, value in metadata.items():
        if not _NAME.fullmatch(name):
            raise BadInput(
                f"{place}.metadata`: the name {short(name)} is not of letters, digits, '.', '_', '-'.", key=key
            )
        if not value.isprintable():
            raise BadInput(f"{place}.metadata[{short(name)}]`: it has a character that cannot be printed.", key=key)
    if len({name.lower() for name in metadata}) != len(metadata):
        raise BadInput(f"{place}.metadata`: two names differ only in upper and lower case.", key=key)
    used = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if used > MAX_METADATA_BYTES:
        raise BadInput(
            f"{place}.metadata`: it has {used} bytes, and at most {MAX_METADATA_BYTES} are allowed.", key=key
        )


def checksum(place: str, value: str, key: str) -> None:
    if value and not _CHECKSUM.fullmatch(value):
        raise BadInput(f'{place}: expected "algorithm:value".', key=key)


def finished(key: str, said: FinishedFile) -> None:
    """The form of what is said of one finished file."""
    if said.checksum and not _CHECKSUM.fullmatch(said.checksum):
        checksum(f"`files[{short(key)}].checksum`", said.checksum, key)
    if said.digest and not _CHECKSUM.fullmatch(said.digest):
        checksum(f"`files[{short(key)}].digest`", said.digest, key)


def size(key: str, size: Size, most: int) -> None:
    if size > most:
        raise TooLarge(f"{short(key)} has {size} bytes, and at most {most} are allowed.", key=key)


def granted(opened: Opened, keys: Sequence[str]) -> list[Grant]:
    """The grants of server keys. Raises ``KeyNotGranted`` when one is not in the token."""
    grants = []
    for key in keys:
        grant = opened.by_key.get(key)
        if grant is None:
            raise KeyNotGranted(f"{short(key)} is not among the keys of this accessToken.", key=key)
        grants.append(grant)
    return grants


def as_granted(grant: Grant, said: FinishedFile) -> None:
    """What the client says of a finished file is what was granted. Raises ``Mismatch``."""
    if isinstance(said.size, int) and said.size != grant.size:
        raise Mismatch(
            f"{short(grant.key)}: {said.size} bytes were sent, and {grant.size} were granted.", key=grant.key
        )
    if (
        said.checksum
        and grant.checksum
        and _same_kind(said.checksum, grant.checksum)
        and said.checksum != grant.checksum
    ):
        raise Mismatch(f"{short(grant.key)}: its checksum is not the one that was granted.", key=grant.key)


def _same_kind(one: str, other: str) -> bool:
    return one.partition(":")[0] == other.partition(":")[0]


def short(key: str) -> str:
    """A key as a message shows it."""
    return repr(key) if len(key) <= 80 else repr(key[:77]) + "…"
