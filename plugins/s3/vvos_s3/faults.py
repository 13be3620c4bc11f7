"""What S3's errors mean: the one table from its codes, and where there is none from the HTTP status, to VVOS's."""

from __future__ import annotations

import re

from vvos_core import (
    Answer,
    BadAnswer,
    BadInput,
    ConfigError,
    Denied,
    Exists,
    Mismatch,
    NotFound,
    ServiceFailed,
    TokenExpired,
    TooLarge,
    Unavailable,
    VVOSError,
    for_status,
)

from . import xml

_REGION = "the bucket {bucket} is not in this region or at this endpoint; correct them in the profile"
_GONE = "the unfinished upload or one of its parts is not there any more"
_TABLE: dict[str, tuple[type[VVOSError], str]] = {
    "ExpiredToken": (TokenExpired, "the session credentials that it was granted with have expired"),
    "RequestExpired": (TokenExpired, "the grant has expired"),
    "PreconditionFailed": (Exists, "something is there under this key and may not be replaced"),
    # Another write of the key is being decided, and who wins is not known yet: asking again tells (412, or stored).
    "ConditionalRequestConflict": (Unavailable, "another upload of this key is under way"),
    "OperationAborted": (Unavailable, "another upload of this key is under way"),
    "NoSuchUpload": (NotFound, _GONE),
    "InvalidPart": (NotFound, _GONE),
    "NoSuchKey": (NotFound, "there is no such object"),
    "BadDigest": (Mismatch, "the service received other bytes than were read"),
    "XAmzContentChecksumMismatch": (Mismatch, "the service received other bytes than were read"),
    "XAmzContentSHA256Mismatch": (Mismatch, "the service received other bytes than were read"),
    "SlowDown": (ServiceFailed, "the service asks to go slower"),
    "ServiceUnavailable": (ServiceFailed, "the service is not available"),
    "InternalError": (ServiceFailed, "the service failed"),
    "RequestTimeout": (Unavailable, "the service waited too long for the next bytes"),
    "IncompleteBody": (Unavailable, "the service received fewer bytes than were announced"),
    "EntityTooLarge": (TooLarge, "it is larger than the service takes in one request"),
    "MetadataTooLarge": (TooLarge, "the metadata are longer than the service takes"),
    "EntityTooSmall": (BadInput, "a part is smaller than the service takes; raise part_size in the profile"),
    "NoSuchBucket": (ConfigError, "there is no bucket {bucket}; correct bucket, region or endpoint in the profile"),
    "PermanentRedirect": (ConfigError, _REGION),
    "TemporaryRedirect": (ConfigError, _REGION),
    "AuthorizationHeaderMalformed": (ConfigError, _REGION),
    "AuthorizationQueryParametersError": (Denied, "the service refused"),
    "AccessDenied": (Denied, "the service refused"),
    "SignatureDoesNotMatch": (Denied, "the service refused"),
    "InvalidAccessKeyId": (Denied, "the service refused"),
    "RequestTimeTooSkewed": (Denied, "the clock of who signed it is more than 15 minutes off the service's; set it"),
    "NotImplemented": (BadAnswer, 'the service does not know this request; checksum = "md5" asks for less'),
}
_CAPABILITY = re.compile(r"X-Amz-[A-Za-z-]+=[^&\s]*|\b[0-9a-f]{64}\b|\bAKIA\w+")


def refused(answer: Answer, what: str, *, key: str | None, bucket: str = "that the grant names") -> VVOSError:
    """The error that an answer tells of. ``what`` begins its sentence."""
    code, message = xml.error(answer.body)
    return fault(code, message, answer.status, what, key=key, bucket=bucket, retry_after=answer.retry_after)


def fault(
    code: str,
    message: str,
    status: int,
    what: str,
    *,
    key: str | None,
    bucket: str = "that the grant names",
    retry_after: float | None = None,
) -> VVOSError:
    """The error for a code of S3, the words that came with it, and the HTTP status (which alone answers a HEAD)."""
    cls, text = _TABLE.get(code) or _by_status(status)
    # An expired presigned request is an AccessDenied like others; only the words tell (AWS: "Request has expired").
    if code == "AccessDenied" and "expired" in message.lower():
        cls, text = _TABLE["RequestExpired"]
    sentence = text.format(bucket=bucket)
    words = _CAPABILITY.sub("…", " ".join(message.split()))[:200].rstrip(".")
    if code and issubclass(cls, Denied | BadInput | BadAnswer) and cls is not TokenExpired:
        sentence += f" ({code}: {words})" if words else f" ({code})"
    elif not code:
        sentence += f" (HTTP {status})"
    return cls(f"{what}: {sentence}.", key=key, retry_after=retry_after)


def _by_status(status: int) -> tuple[type[VVOSError], str]:
    if status in (301, 307, 308):
        return ConfigError, _REGION
    if status == 412:
        return _TABLE["PreconditionFailed"]
    if status == 409:
        return _TABLE["ConditionalRequestConflict"]
    if status == 501:
        return _TABLE["NotImplemented"]
    cls = Denied if status == 401 else for_status(status)
    return cls, "the service refused" if 400 <= status < 500 else "the service failed"
