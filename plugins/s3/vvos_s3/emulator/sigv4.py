"""Verification of AWS Signature Version 4 from the raw request: header and presigned-query authentication.

Written from the AWS documentation and independent of botocore, which signs in the tests: a shared mistake would
otherwise stay unseen. Sources: AWS S3 API Reference, "Authenticating Requests: Using the Authorization Header
(AWS Signature Version 4)" and "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)".
"""

from __future__ import annotations

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from vvos_core.testing.server import Headers

from .errors import S3Error

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_SKEW = 15 * 60
MAX_EXPIRES = 604_800
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()

_DATE = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_QUERY_FIELDS = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")


@dataclass(frozen=True)
class Credential:
    """A key pair the server knows. Temporary ones carry a session token and an end (seconds of the server's clock)."""

    access_key: str
    secret_key: str
    session_token: str | None = None
    expires_at: float | None = None
    rights: Mapping[str, str] | None = None
    """Each action that is allowed, and for which keys; None for all."""


@dataclass(frozen=True)
class Verified:
    """What a valid signature vouches for; chunk signatures continue from `signature` with `signing_key`."""

    credential: Credential
    service: str
    amz_date: str
    scope: str
    signature: str
    signing_key: bytes
    payload: str
    presigned: bool


@dataclass(frozen=True)
class _Claim:
    """What the request says about its own signature."""

    access_key: str
    date: str
    region: str
    service: str
    amz_date: str
    signed_headers: tuple[str, ...]
    signature: str
    token: str | None
    presigned: bool
    expires: int = 0

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    def malformed(self, message: str, **details: str) -> S3Error:
        code = "AuthorizationQueryParametersError" if self.presigned else "AuthorizationHeaderMalformed"
        return S3Error(code, message, **details)


def verify(
    *,
    method: str,
    path: str,
    query: str,
    headers: Headers,
    region: str,
    now: float,
    credentials: Callable[[str], Credential | None],
    body_sha256: Callable[[], str],
    unsigned: Collection[str] = (),
) -> Verified:
    """Checks everything about a signature that can be known before the body; raises S3Error on the first fault.

    `path` and `query` are as on the wire. `body_sha256` is called only for a service that signs the body without
    naming its hash in a header (STS); S3 requires `x-amz-content-sha256`, and the caller compares that afterwards.
    `unsigned` names the x-amz-* headers that are, wrongly, let through without a signature.
    """
    params = split_query(query)
    claim = _claim(params, headers)
    _check_scope(claim, region)
    credential = credentials(claim.access_key)
    if credential is None:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=claim.access_key)
    _check_time(claim, now)
    _check_signed_headers(claim, headers, unsigned)
    payload = _payload(claim, params, headers, body_sha256)
    canonical = canonical_request(method, path, params, headers, claim.signed_headers, payload)
    to_sign = "\n".join((ALGORITHM, claim.amz_date, claim.scope, hashlib.sha256(canonical).hexdigest()))
    key = signing_key(credential.secret_key, claim.date, claim.region, claim.service)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not _same(expected, claim.signature):
        raise S3Error(
            "SignatureDoesNotMatch",
            AWSAccessKeyId=claim.access_key,
            StringToSign=to_sign,
            SignatureProvided=claim.signature,
        )
    _check_token(claim, credential, now)
    return Verified(
        credential, claim.service, claim.amz_date, claim.scope, claim.signature, key, payload, claim.presigned
    )


def signing_key(secret_key: str, date: str, region: str, service: str) -> bytes:
    """The key of one day, region and service, derived from the secret."""
    key = b"AWS4" + secret_key.encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def split_query(query: str) -> list[tuple[bytes, bytes]]:
    """The decoded pairs of a raw query, in order. A plus sign means a space, as in every HTML form."""
    pairs = []
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((_decode(name.replace("+", " ")), _decode(value.replace("+", " "))))
    return pairs


def canonical_request(
    method: str,
    path: str,
    params: list[tuple[bytes, bytes]],
    headers: Headers,
    signed_headers: tuple[str, ...],
    payload: str,
) -> bytes:
    """The text that was signed.

    Path and query are decoded and encoded again, because `~` and `%7E` are the same byte; S3, unlike other
    services, encodes once and does not fold `.`, `..` or `//`.
    """
    pairs = sorted((_encode(k, ""), _encode(v, "")) for k, v in params if k != b"X-Amz-Signature")
    lines = [method, _encode(_decode(path), "/"), "&".join(f"{k}={v}" for k, v in pairs)]
    for name in signed_headers:
        values = [_trim(value) for key, value in headers if key.lower() == name]
        lines.append(f"{name}:{','.join(values)}")
    lines += ["", ";".join(signed_headers), payload]
    return "\n".join(lines).encode("latin-1")


def parse_date(text: str) -> float | None:
    """Seconds of a timestamp like 20260131T235959Z, or None if it is not one."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None


def _claim(params: list[tuple[bytes, bytes]], headers: Headers) -> _Claim:
    authorization = headers.get("authorization")
    query = {name.decode("latin-1"): value.decode("latin-1") for name, value in params}
    in_query = "X-Amz-Algorithm" in query or "X-Amz-Signature" in query
    if authorization is not None and in_query:
        raise S3Error("InvalidArgument", "Only one auth mechanism allowed")
    if in_query:
        return _query_claim(params, query)
    if authorization is not None:
        return _header_claim(authorization, headers)
    if "AWSAccessKeyId" in query:
        raise _unsupported()
    raise S3Error("AccessDenied")


def _query_claim(params: list[tuple[bytes, bytes]], query: dict[str, str]) -> _Claim:
    names = [name for name, _ in params if name.startswith(b"X-Amz-")]
    missing = [field for field in _QUERY_FIELDS if f"X-Amz-{field}" not in query]
    if missing or len(names) != len(set(names)):
        raise S3Error(
            "AuthorizationQueryParametersError",
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters, each once.",
        )
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise S3Error("AuthorizationQueryParametersError", f'X-Amz-Algorithm only supports "{ALGORITHM}"')
    if not re.fullmatch(r"-?\d{1,18}", query["X-Amz-Expires"], re.ASCII):
        raise S3Error("AuthorizationQueryParametersError", "X-Amz-Expires should be a number")
    claim = _credential_claim(
        query["X-Amz-Credential"],
        amz_date=query["X-Amz-Date"],
        signed=query["X-Amz-SignedHeaders"],
        signature=query["X-Amz-Signature"],
        token=query.get("X-Amz-Security-Token"),
        expires=int(query["X-Amz-Expires"]),
        presigned=True,
    )
    if claim.expires < 1:
        raise claim.malformed("X-Amz-Expires must be non-negative and at least 1")
    if claim.expires > MAX_EXPIRES:
        raise claim.malformed(
            "X-Amz-Expires must be less than a week (in seconds); "
            f"that is, the given X-Amz-Expires must be less than {MAX_EXPIRES} seconds"
        )
    return claim


def _header_claim(authorization: str, headers: Headers) -> _Claim:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise _unsupported()
    fields: dict[str, str] = {}
    for piece in rest.split(","):
        name, _, value = piece.strip().partition("=")
        if name in fields:
            raise S3Error("AuthorizationHeaderMalformed")
        fields[name] = value
    if set(fields) != {"Credential", "SignedHeaders", "Signature"}:
        raise S3Error("AuthorizationHeaderMalformed")
    amz_date = headers.get("x-amz-date")
    if amz_date is None:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    return _credential_claim(
        fields["Credential"],
        amz_date=amz_date,
        signed=fields["SignedHeaders"],
        signature=fields["Signature"],
        token=headers.get("x-amz-security-token"),
        expires=0,
        presigned=False,
    )


def _credential_claim(
    text: str, *, amz_date: str, signed: str, signature: str, token: str | None, expires: int, presigned: bool
) -> _Claim:
    parts = text.rsplit("/", 4)
    access_key, date, region, service = parts[:4] if len(parts) == 5 else ("", "", "", "")
    claim = _Claim(
        access_key,
        date,
        region,
        service,
        amz_date=amz_date,
        signed_headers=tuple(signed.split(";")),
        signature=signature,
        token=token,
        expires=expires,
        presigned=presigned,
    )
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise claim.malformed(
            'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
        )
    return claim


def _unsupported() -> S3Error:
    return S3Error(
        "InvalidRequest", f"The authorization mechanism you have provided is not supported. Please use {ALGORITHM}."
    )


def _check_scope(claim: _Claim, region: str) -> None:
    if claim.region != region:
        raise claim.malformed(f"the region '{claim.region}' is wrong; expecting '{region}'", Region=region)
    if claim.service not in ("s3", "sts"):
        raise claim.malformed(f'incorrect service "{claim.service}". This endpoint belongs to "s3".')
    if claim.amz_date[:8] != claim.date:
        raise claim.malformed(f'Invalid credential date "{claim.date}". It must match X-Amz-Date.')


def _check_time(claim: _Claim, now: float) -> None:
    signed_at = parse_date(claim.amz_date)
    server_time = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    if signed_at is None:
        raise S3Error("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
    if not claim.presigned:
        if abs(now - signed_at) > MAX_SKEW:
            raise S3Error("RequestTimeTooSkewed", RequestTime=claim.amz_date, ServerTime=server_time)
        return
    if signed_at - now > MAX_SKEW:
        raise S3Error("AccessDenied", "Request is not yet valid", ServerTime=server_time)
    if now > signed_at + claim.expires:
        raise S3Error("AccessDenied", "Request has expired", X_Amz_Expires=str(claim.expires), ServerTime=server_time)


def _check_signed_headers(claim: _Claim, headers: Headers, let_through: Collection[str]) -> None:
    signed = claim.signed_headers
    if "host" not in signed:
        raise claim.malformed("SignedHeaders must contain host")
    present = headers.names()
    unsigned = sorted(name for name in present if name.startswith("x-amz-") and name not in {*signed, *let_through})
    if unsigned:
        raise S3Error(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(unsigned),
        )
    # A signed header that is missing would otherwise count as an empty one.
    if list(signed) != sorted(set(signed)) or not present.issuperset(signed):
        raise S3Error("SignatureDoesNotMatch", AWSAccessKeyId=claim.access_key)


def _payload(claim: _Claim, params: list[tuple[bytes, bytes]], headers: Headers, body_sha256: Callable[[], str]) -> str:
    declared = headers.get("x-amz-content-sha256")
    if declared is not None:
        return declared
    if claim.presigned:
        return dict(params).get(b"X-Amz-Content-Sha256", UNSIGNED_PAYLOAD.encode()).decode("latin-1")
    if claim.service == "s3":
        raise S3Error("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    return body_sha256()


def _check_token(claim: _Claim, credential: Credential, now: float) -> None:
    if credential.session_token is None:
        if claim.token is not None:
            raise S3Error("InvalidToken")
        return
    if claim.token is None:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=claim.access_key)
    if not _same(credential.session_token, claim.token):
        raise S3Error("InvalidToken")
    if credential.expires_at is not None and now >= credential.expires_at:
        raise S3Error("ExpiredToken")


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode("latin-1"), given.encode("latin-1"))


def _trim(value: str) -> str:
    # As bytes: str.split() would also split at 0x85 and 0xA0, which are halves of UTF-8 characters here.
    return b" ".join(value.encode("latin-1").split()).decode("latin-1")


def _decode(text: str) -> bytes:
    return unquote_to_bytes(text.encode("latin-1"))


def _encode(raw: bytes, safe: str) -> str:
    # quote() leaves letters, digits and _.-~ alone: RFC 3986's unreserved set, which is the one AWS names.
    return quote(raw, safe=safe)
