"""What errors of OSS and STS mean: the one table from their codes, and where there is none from the HTTP status."""

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
)

from . import xml

_GONE = "the unfinished upload or one of its parts is not there any more"
_THERE = "something is there under this key and may not be replaced"
_REFUSED = "the service refused"
_FAILED = "the service failed"
_BUSY = "the service asks to go slower"
_KEYS = "the profile's keys are not known to Aliyun, or do not fit together; correct them"
_REGION = "the bucket {bucket} is not in this region or at this endpoint; correct them in the profile"
_TABLE: dict[str, tuple[type[VVOSError], str]] = {
    "RequestExpired": (TokenExpired, "the grant has expired"),  # not a code of OSS: see fault()
    "SecurityTokenExpired": (TokenExpired, "the credentials that it was granted with have expired"),
    "FileAlreadyExists": (Exists, _THERE),
    "ObjectAlreadyExists": (Exists, _THERE),
    "FileImmutable": (Exists, "something is there under this key, and the bucket's retention policy protects it"),
    "PreconditionFailed": (Exists, _THERE),
    "NoSuchUpload": (NotFound, _GONE),
    "InvalidPart": (NotFound, _GONE),
    "NoSuchKey": (NotFound, "there is no such object"),
    "InvalidDigest": (Mismatch, "the service received other bytes than were read"),
    "RequestTimeout": (Unavailable, "the service waited too long for the next bytes"),
    "IncompleteBody": (Unavailable, "the service received fewer bytes than were announced"),
    "InternalError": (ServiceFailed, _FAILED),
    "ServiceUnavailable": (ServiceFailed, _FAILED),
    "QpsLimitExceeded": (ServiceFailed, _BUSY),
    "TotalQpsLimitExceeded": (ServiceFailed, _BUSY),
    "UploadTrafficRateLimitExceeded": (ServiceFailed, _BUSY),
    "Throttling": (ServiceFailed, _BUSY),
    "Throttling.User": (ServiceFailed, _BUSY),
    "EntityTooLarge": (TooLarge, "it is larger than the service takes in one request"),
    "MetadataTooLarge": (TooLarge, "the metadata are longer than the service takes"),
    "EntityTooSmall": (BadInput, "a part is smaller than 100 KiB; raise part_size in the profile"),
    "InvalidPartOrder": (BadInput, "the parts are not in order"),
    "InvalidObjectName": (BadInput, "the service does not take this key; rename it"),
    "InvalidArgument": (BadInput, _REFUSED),
    "NoSuchBucket": (ConfigError, "there is no bucket {bucket}; correct bucket, region or endpoint in the profile"),
    "InvalidBucketName": (ConfigError, "{bucket} is no bucket's name; correct bucket or endpoint in the profile"),
    "SigningRegion": (ConfigError, _REGION),  # not a code of OSS: see fault()
    "SecondLevelDomainForbidden": (ConfigError, "the service takes no path style; leave path_style out"),
    "UserDisable": (ConfigError, "the Aliyun account of the bucket is disabled; look after its bills"),
    "AccessDenied": (Denied, _REFUSED),
    "SignatureDoesNotMatch": (Denied, _REFUSED),
    "InvalidAccessKeyId": (Denied, _REFUSED),
    "InvalidSecurityToken": (Denied, _REFUSED),
    "RequestTimeTooSkewed": (Denied, "the clock of who signed it is more than 15 minutes off the service's; set it"),
    # STS
    "InvalidAccessKeyId.NotFound": (ConfigError, _KEYS),
    "InvalidAccessKeyId.Inactive": (ConfigError, _KEYS),
    "IncompleteSignature": (ConfigError, _KEYS),
    "InvalidTimeStamp.Expired": (ConfigError, "the clock here is more than 15 minutes off; set it"),
    "EntityNotExist.Role": (ConfigError, "there is no such role; correct role_arn in the profile"),
    "InvalidParameter.RoleArn": (ConfigError, "there is no such role; correct role_arn in the profile"),
    "NoPermission": (
        ConfigError,
        "the profile's keys may not assume the role; give them sts:AssumeRole, and its trust",
    ),
    "InvalidParameter.DurationSeconds": (ConfigError, "the role's longest session is below 15 minutes; raise it"),
}
_CAPABILITY = re.compile(
    r"(x-oss-[a-z-]+|OSSAccessKeyId|Signature)=[^&\s]*|\b[0-9a-f]{64}\b|\b(LTAI|STS\.|CAIS)[\w.+/=-]+"
)


def refused(answer: Answer, what: str, *, key: str, bucket: str = "that the grant names") -> VVOSError:
    """The error that an answer of OSS tells of. ``what`` begins its sentence."""
    code, message = xml.error(answer)
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
    """The error for a code, the words that came with it, and the HTTP status."""
    cls, text = _TABLE.get(code) or _by_status(status)
    # Some codes stand for several things, and only the words tell which (OSS, EC 0002-00000069 and 0002-00000227).
    lower = message.lower()
    if code == "AccessDenied" and "expired" in lower and "policy" not in lower:
        cls, text = _TABLE["RequestExpired"]
    if code == "InvalidArgument" and "region" in lower:
        cls, text = _TABLE["SigningRegion"]
    sentence = text.format(bucket=bucket)
    words = _CAPABILITY.sub("…", " ".join(message.split()))[:200].rstrip(".")
    if code and issubclass(cls, Denied | BadInput | BadAnswer) and cls is not TokenExpired:
        sentence += f" ({code}: {words})" if words else f" ({code})"
    elif not code:
        sentence += f" (HTTP {status})"
    return cls(f"{what}: {sentence}.", key=key, retry_after=retry_after)


def _by_status(status: int) -> tuple[type[VVOSError], str]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return ServiceFailed, _FAILED
    return (
        (BadInput, _REFUSED) if status >= 400 else (BadAnswer, "the service answered what it never should; is it OSS?")
    )


_BY_STATUS: dict[int, tuple[type[VVOSError], str]] = {
    301: (ConfigError, _REGION),
    302: (ConfigError, _REGION),
    307: (ConfigError, _REGION),
    401: (Denied, _REFUSED),
    403: (Denied, _REFUSED),
    404: _TABLE["NoSuchKey"],
    408: _TABLE["RequestTimeout"],
    409: _TABLE["FileAlreadyExists"],
    412: _TABLE["PreconditionFailed"],
    413: _TABLE["EntityTooLarge"],
    429: (ServiceFailed, _BUSY),
    503: (ServiceFailed, _BUSY),
}
