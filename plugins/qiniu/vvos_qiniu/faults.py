"""What Kodo's refusals mean: the one table from its status codes, and the words with them, to VVOS's errors."""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from vvos_core import (
    Answer,
    BadAnswer,
    BadInput,
    BadToken,
    ConfigError,
    Denied,
    Exists,
    KeyNotGranted,
    Mismatch,
    NotFound,
    ServiceFailed,
    TokenExpired,
    TooLarge,
    Unavailable,
    VVOSError,
)

Row = tuple[int, str, type[VVOSError], str]
_GONE = "the unfinished upload, or a piece of it, is not there any more"
_OTHER_BYTES = "the service received other bytes than were read"
_TABLE: tuple[Row, ...] = (
    # status, a word that its text has, the error, and what to say of it. The first row that fits counts.
    (400, "invalid part", NotFound, _GONE),
    (400, "md5", Mismatch, _OTHER_BYTES),
    (400, "", BadInput, "the service did not understand it"),
    (401, "expired", TokenExpired, "the upload token has expired"),
    (401, "out of date", TokenExpired, "the upload token has expired"),
    (401, "", BadToken, "the service does not accept the keys that signed it"),
    (403, "scope", KeyNotGranted, "the upload token is for another key"),
    (403, "FsizeLimit", TooLarge, "it is larger than was granted"),
    (403, "mimeType", Denied, "its media type is not the one that was granted"),
    (403, "", Denied, "the service refused"),
    (404, "", BadAnswer, "the service does not know this request; is the address right?"),
    (405, "", BadAnswer, "the service does not know this request; is the address right?"),
    (406, "", Mismatch, _OTHER_BYTES),
    (408, "", Unavailable, "the service waited too long for the next bytes"),
    (413, "", TooLarge, "it is larger than was granted"),
    (419, "", Denied, "the account is frozen"),
    (429, "", Unavailable, "the service asks to go slower"),
    (573, "", Unavailable, "the service asks to go slower"),
    # The object is there, and nothing is gained by sending it again (Qiniu, "Callback").
    (579, "", BadAnswer, "it is stored, but the business did not take the callback that its token asks for"),
    (608, "", Unavailable, "the object was changed meanwhile"),
    (612, "", NotFound, _GONE),
    (614, "", Exists, "something is there under this key and may not be replaced"),
    (631, "", ConfigError, "there is no bucket {bucket}; correct it in the profile"),
    (701, "", NotFound, _GONE),
)
FINAL = frozenset({501, 509, 573, 579, 608, 612, 614, 616, 618, 630, 631, 632, 640, 701})
"""Statuses from 500 that another host would only repeat: those at which the official SDKs do not try again."""
_CAPABILITY = re.compile(r"[\w-]{16,}={0,2}:[\w-]{27,}={0,2}(:[\w=-]*)?")
_WITH_WORDS = (Denied, BadInput, BadAnswer)


class _Error(Struct):
    error: str = ""


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
msgspec.json.Decoder(_Error)


def refused(
    answer: Answer, what: str, *, key: str, bucket: str = "that the grant names", expired: bool = False
) -> VVOSError:
    """The error that an answer tells of. ``what`` begins its sentence.

    ``expired``: by our own clock the token is; a service that says no more than 401 then means just that.
    """
    status, said = answer.status, text(answer.body)
    if status == 401 and expired and "expired" not in said:
        said = f"expired {said}"
    return fault(status, said, what, key=key, bucket=bucket, retry_after=answer.retry_after)


def fault(
    status: int,
    said: str,
    what: str,
    *,
    key: str | None,
    bucket: str = "that the grant names",
    retry_after: float | None = None,
) -> VVOSError:
    """The error for a status and the words that came with it."""
    for code, word, found, sentence in _TABLE:
        if code == status and word.lower() in said.lower():
            cls, meaning = found, sentence.format(bucket=bucket)
            break
    else:
        cls, meaning = _by_class(status)
    words = _CAPABILITY.sub("…", " ".join(said.split()))[:200].rstrip(".")
    if words and issubclass(cls, _WITH_WORDS) and cls is not TokenExpired:
        meaning += f" ({status}: {words})"
    elif not words:
        meaning += f" (HTTP {status})"
    return cls(f"{what}: {meaning}.", key=key, retry_after=retry_after)


def text(body: bytes) -> str:
    """The words of an error's body; empty where it has none."""
    try:
        return msgspec.json.decode(body, type=_Error).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""


def _by_class(status: int) -> tuple[type[VVOSError], str]:
    if status >= 500 and status not in FINAL:
        return ServiceFailed, "the service failed"
    if status >= 400:
        return Denied, "the service refused"
    return BadAnswer, "this is not how Kodo answers; is the address right?"
