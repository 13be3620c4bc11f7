"""Who signed a request: V1 and V4 signatures, in a header and in the URL, checked as OSS checks them.

Sources: OSS, "Include signatures in the Authorization header" and "Include signatures in a URL" (V1 and V4); the SDK's
``oss2/auth.py`` for what the texts leave open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping
from urllib.parse import parse_qsl, quote

from vvos_core import Secret
from vvos_core.testing.server import Request

from ..v4 import ALGORITHM, PAYLOAD, is_always_signed, signing_key
from .credentials import Credential, Credentials
from .errors import OssError
from .times import from_http, from_stamp, iso

SKEW = 15 * 60
"""Seconds that a request signed in its header may be old, or ahead."""
MAX_EXPIRES = 7 * 24 * 3600
_SIGNED_IN_V1 = """
    response-content-type response-content-language response-cache-control response-content-encoding
    response-expires response-content-disposition acl uploadId uploads partNumber group link delete website
    location objectInfo objectMeta cors lifecycle restore qos referer stat bucketInfo append position
    security-token live comp status vod startTime endTime x-oss-process symlink callback callback-var tagging
    encryption versions versioning versionId policy requestPayment x-oss-traffic-limit qosInfo asyncFetch
    x-oss-request-payer sequential inventory inventoryId continuation-token worm wormId wormExtend logging
    replication replicationLocation replicationProgress transferAcceleration cname metaQuery
    x-oss-ac-source-ip x-oss-ac-subnet-mask x-oss-ac-vpc-id x-oss-ac-forward-allow resourceGroup style
    styleName x-oss-async-process regionList
"""
SUBRESOURCES = frozenset(_SIGNED_IN_V1.split())
"""The query parameters that a V1 signature holds."""
_V4_HEADER = re.compile(
    r"OSS4-HMAC-SHA256\s+Credential=(?P<credential>[^,\s]+)\s*"
    r"(?:,\s*AdditionalHeaders=(?P<before>[^,\s]*)\s*)?,\s*Signature=(?P<signature>[^,\s]+)\s*"
    r"(?:,\s*AdditionalHeaders=(?P<after>[^,\s]*)\s*)?"
)


class Verifier:
    """Knows the keys, the region and the time."""

    def __init__(self, credentials: Credentials, region: str, flaws: Collection[str] = ()) -> None:
        self._credentials = credentials
        self._region = region
        self._flaws = flaws

    def verify(self, request: Request, bucket: str, key: str, now: float) -> Credential | None:
        """Who signed it; None when nobody did. Raises ``OssError``."""
        # parse_qsl makes spaces of '+', as every SDK that quotes with urlencode wants it.
        pairs = parse_qsl(request.query, keep_blank_values=True, errors="surrogateescape")
        params = dict(pairs)
        authorization = request.headers.get("authorization")
        if authorization is not None:
            if authorization.startswith(ALGORITHM):
                return self._v4_header(authorization, request, bucket, key, pairs, now)
            if authorization.startswith("OSS "):
                return self._v1_header(authorization, request, bucket, key, params, now)
            raise OssError("InvalidArgument", "Authorization header is invalid.", ec="0002-00000005")
        if params.get("x-oss-signature-version") == ALGORITHM:
            return self._v4_url(request, bucket, key, pairs, now)
        if "x-oss-signature-version" in params:
            raise OssError("InvalidArgument", "The signature version is not supported.", ec="0002-00000073")
        if {"OSSAccessKeyId", "Signature", "Expires"} & set(params):
            return self._v1_url(request, bucket, key, params, now)
        return None

    def _v4_header(
        self, text: str, request: Request, bucket: str, key: str, pairs: list[tuple[str, str]], now: float
    ) -> Credential:
        match = _V4_HEADER.fullmatch(text.strip())
        if match is None or (match["before"] is not None and match["after"] is not None):
            raise OssError("InvalidArgument", "Authorization header is invalid.", ec="0002-00000221")
        if request.headers.get("x-oss-content-sha256") != PAYLOAD:
            raise OssError("InvalidArgument", "Only support UNSIGNED-PAYLOAD now.", ec="0002-00000229")
        stamp = request.headers.get("x-oss-date")
        if stamp is None:
            raise OssError("InvalidArgument", "The x-oss-date header is missing.", ec="0002-00000222")
        made = from_stamp(stamp)
        if made is None:
            raise OssError("InvalidArgument", "Invalid date in x-oss-date header.", ec="0002-00000223")
        _check_skew(made, now)
        token = request.headers.get("x-oss-security-token")
        return self._v4(
            request, bucket, key, pairs, stamp, match["credential"], match["before"] or match["after"] or "", token,
            match["signature"],
        )  # fmt: skip

    def _v4_url(self, request: Request, bucket: str, key: str, pairs: list[tuple[str, str]], now: float) -> Credential:
        params = dict(pairs)
        for name in ("x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-signature"):
            if not params.get(name):
                raise OssError("InvalidArgument", f"Query-string authentication requires {name}.", ec="0002-00000225")
        if len(params) != len(pairs):
            raise OssError("InvalidArgument", "A query parameter is there twice.", ec="0002-00000225")
        made = from_stamp(params["x-oss-date"])
        if made is None:
            raise OssError("InvalidArgument", "Invalid date in x-oss-date.", ec="0002-00000223")
        expires = params["x-oss-expires"]
        if not re.fullmatch(r"[0-9]{1,6}", expires) or not 1 <= int(expires) <= MAX_EXPIRES:
            raise OssError("InvalidArgument", "Invalid x-oss-expires, it must be 1 to 604800.", ec="0002-00000070")
        additional = params.get("x-oss-additional-headers")
        if additional == "":
            raise OssError("InvalidArgument", "x-oss-additional-headers is empty.", ec="0002-00000076")
        credential = self._v4(
            request, bucket, key, [pair for pair in pairs if pair[0] != "x-oss-signature"], params["x-oss-date"],
            params["x-oss-credential"], additional or "", params.get("x-oss-security-token"), params["x-oss-signature"],
        )  # fmt: skip
        if made > now + SKEW:
            raise OssError("AccessDenied", "Request is not valid yet.", ec="0002-00000069")
        _check_expiry(made + int(expires), now)
        return credential

    def _v4(
        self,
        request: Request,
        bucket: str,
        key: str,
        pairs: list[tuple[str, str]],
        stamp: str,
        scope_of: str,
        additional: str,
        token: str | None,
        provided: str,
    ) -> Credential:
        parts = scope_of.split("/")
        if len(parts) != 5:
            raise OssError("InvalidArgument", "Invalid credential in Authorization header.", ec="0002-00000224")
        access_key, day, region, product, end = parts
        credential = self._credentials.find(access_key, token)
        if day != stamp[:8] or product != "oss" or end != "aliyun_v4_request":
            raise OssError("InvalidArgument", "Invalid credential in Authorization header.", ec="0002-00000224")
        if region != self._region:
            in_header = request.headers.get("authorization") is not None
            words = "Invalid signing region in Authorization header."
            raise OssError(
                "InvalidArgument",
                words if in_header else "The signing region in credential is invalid.",
                ec="0002-00000226",
            )
        named = additional.split(";") if additional else []
        have = request.headers.names()
        if named != sorted(set(named)) or any(name not in have or "_" in name for name in named):
            raise OssError(
                "InvalidArgument",
                "The additional headers must be sorted, in lower case, and present in the request.",
                ec="0002-00000112",
            )
        if "copy-header" in self._flaws:
            have = have - {"x-oss-copy-source"}
        signed = sorted(name for name in have if is_always_signed(name) or name in named)
        lines = "".join(f"{name}:{request.headers.get(name)}\n" for name in signed)
        canonical = (
            f"{request.method}\n{_resource(bucket, key)}\n{_canonical_query(pairs)}\n".encode()
            + lines.encode("latin-1")
            + f"\n{';'.join(named)}\n{PAYLOAD}".encode("latin-1")
        )
        digest = hashlib.sha256(canonical).hexdigest()
        to_sign = f"{ALGORITHM}\n{stamp}\n{day}/{region}/oss/aliyun_v4_request\n{digest}"
        secret = signing_key(Secret(credential.secret_key), day, region)
        expected = hmac.digest(secret, to_sign.encode("latin-1"), "sha256").hex()
        if not same(expected, provided):
            raise OssError(
                "SignatureDoesNotMatch",
                OSSAccessKeyId=access_key,
                SignatureProvided=provided,
                StringToSign=to_sign,
                CanonicalRequest=canonical.decode("utf-8", "replace"),
            )
        return credential

    def _v1_header(
        self, text: str, request: Request, bucket: str, key: str, params: Mapping[str, str], now: float
    ) -> Credential:
        access_key, colon, provided = text[4:].strip().rpartition(":")
        if not colon or not access_key:
            raise OssError("InvalidArgument", "Authorization header is invalid.", ec="0002-00000005")
        date = request.headers.get("x-oss-date") or request.headers.get("date") or ""
        made = from_http(date)
        if made is None:
            raise OssError("AccessDenied", "OSS authentication requires a valid Date.", ec="0002-00000501")
        _check_skew(made, now)
        credential = self._credentials.find(access_key, request.headers.get("x-oss-security-token"))
        _check_v1(credential, provided, date, request, bucket, key, params)
        return credential

    def _v1_url(self, request: Request, bucket: str, key: str, params: Mapping[str, str], now: float) -> Credential:
        if not all(params.get(name) for name in ("OSSAccessKeyId", "Signature", "Expires")):
            raise OssError(
                "AccessDenied",
                "Query-string authentication requires the Signature, Expires and OSSAccessKeyId parameters.",
                ec="0002-00000072",
            )
        expires = params["Expires"]
        if not re.fullmatch(r"[0-9]{1,12}", expires):
            raise OssError(
                "AccessDenied", f"Invalid date (should be seconds since epoch): {expires}", ec="0002-00000070"
            )
        token = params.get("security-token") or request.headers.get("x-oss-security-token")
        credential = self._credentials.find(params["OSSAccessKeyId"], token)
        _check_expiry(int(expires), now)
        _check_v1(credential, params["Signature"], expires, request, bucket, key, params)
        return credential


def v1_signature(secret_key: str, text: bytes) -> str:
    """Base64 of the HMAC-SHA1: V1's signature, of requests and of the policy of a form."""
    return base64.b64encode(hmac.digest(secret_key.encode(), text, "sha1")).decode()


def same(expected: str, provided: str) -> bool:
    """Compares two signatures in constant time."""
    return hmac.compare_digest(expected.encode(), provided.encode("utf-8", "surrogateescape"))


def _check_v1(
    credential: Credential,
    provided: str,
    date: str,
    request: Request,
    bucket: str,
    key: str,
    params: Mapping[str, str],
) -> None:
    headers = request.headers
    lines = [f"{name}:{headers.get(name)}\n" for name in sorted(headers.names()) if name.startswith("x-oss-")]
    resource = f"/{bucket}/{key}" if bucket else "/"
    chosen = sorted((name, value) for name, value in params.items() if name in SUBRESOURCES)
    if chosen:
        resource += "?" + "&".join(f"{name}={value}" if value else name for name, value in chosen)
    plain = [request.method, headers.get("content-md5") or "", headers.get("content-type") or "", date]
    to_sign = ("\n".join(plain) + "\n" + "".join(lines)).encode("latin-1")
    to_sign += resource.encode("utf-8", "surrogateescape")
    if not same(v1_signature(credential.secret_key, to_sign), provided):
        raise OssError(
            "SignatureDoesNotMatch",
            OSSAccessKeyId=credential.access_key,
            SignatureProvided=provided,
            StringToSign=to_sign.decode("utf-8", "replace"),
        )


def _check_skew(made: float, now: float) -> None:
    if abs(made - now) > SKEW:
        raise OssError(
            "RequestTimeTooSkewed", MaxAllowedSkewMilliseconds="900000", RequestTime=iso(made), ServerTime=iso(now)
        )


def _check_expiry(expires: float, now: float) -> None:
    if now > expires:
        raise OssError(
            "AccessDenied", "Request has expired.", ec="0002-00000069", Expires=iso(expires), ServerTime=iso(now)
        )


def _resource(bucket: str, key: str) -> str:
    return quote(f"/{bucket}/{key}" if bucket else "/", safe="/")


def _canonical_query(pairs: list[tuple[str, str]]) -> str:
    quoted = sorted(
        (quote(name, safe="", errors="surrogateescape"), quote(value, safe="", errors="surrogateescape"))
        for name, value in pairs
    )
    return "&".join(f"{name}={value}" if value else name for name, value in quoted)
