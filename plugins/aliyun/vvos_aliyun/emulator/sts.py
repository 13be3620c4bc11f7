"""STS: AssumeRole with an inline policy, as a signed RPC call.

Sources: RAM, "AssumeRole" (parameters, limits, error codes); "Signature method" of RPC APIs (HMAC-SHA1, version 1.0).
"""

from __future__ import annotations

import base64
import hmac
import json
import re
import secrets
import threading
import time
from collections.abc import Callable
from urllib.parse import parse_qsl, quote

from vvos_core.testing.server import Request, Response

from .credentials import ACCOUNT, Credentials
from .policy import PolicyGrammar, parse
from .signatures import SKEW, same
from .times import from_iso
from .xml import Fields, document

ROLE = "vvos-upload"
ROLE_ARN = f"acs:ram::{ACCOUNT}:role/{ROLE}"
"""The emulator's one role; it may do everything on every bucket."""
MIN_SECONDS, MAX_SECONDS = 900, 3600
_MAX_BODY = 64 * 1024
_NONCES = 10_000


class StsError(Exception):
    """A refusal of STS."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Sts:
    """The service that hands out temporary credentials."""

    def __init__(self, credentials: Credentials, clock: Callable[[], float]) -> None:
        self._credentials = credentials
        self._clock = clock
        self._lock = threading.Lock()
        self._nonces: dict[str, None] = {}

    @staticmethod
    def is_for(request: Request) -> bool:
        """Whether this is a call of STS and not of OSS: unsigned by a header, at the root, with an Action."""
        form = (request.headers.get("content-type") or "").startswith("application/x-www-form-urlencoded")
        return (
            request.path == "/"
            and request.method in ("GET", "POST")
            and request.headers.get("authorization") is None
            and ("Action" in request.params() or (request.method == "POST" and form))
        )

    def answer(self, request: Request, request_id: str) -> Response:
        """The answer to a call, JSON or XML as ``Format`` says."""
        body = b""
        while len(body) <= _MAX_BODY and (piece := request.body.read(_MAX_BODY)):
            body += piece
        pairs = parse_qsl(request.query, keep_blank_values=True)
        pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        params = dict(pairs)
        as_json = params.get("Format", "XML").upper() == "JSON"
        try:
            if len(params) != len(pairs):
                raise StsError(400, "InvalidParameter", "A parameter is there twice.")
            status, root, fields = 200, "AssumeRoleResponse", self._assume(request.method, params, request_id)
        except StsError as error:
            status, root = error.status, "Error"
            fields = [
                ("RequestId", request_id),
                ("HostId", request.headers.get("host") or ""),
                ("Code", error.code),
                ("Message", error.message),
            ]
        if as_json:
            return Response(status, [("Content-Type", "application/json;charset=utf-8")], _json(fields))
        return Response(status, [("Content-Type", "text/xml;charset=utf-8")], document(root, fields))

    def reset(self) -> None:
        """Forget which calls were made."""
        with self._lock:
            self._nonces.clear()

    def _assume(self, method: str, params: dict[str, str], request_id: str) -> Fields:
        self._authenticate(method, params)
        if params.get("Action") != "AssumeRole":
            raise StsError(
                404, "InvalidAction.NotFound", "Specified api is not found, please check your url and method."
            )
        arn, session = _required(params, "RoleArn"), _required(params, "RoleSessionName")
        if not re.fullmatch(r"acs:ram::\d+:role/.+", arn):
            raise StsError(400, "InvalidParameter.RoleArn", "The parameter RoleArn is wrongly formed.")
        if not re.fullmatch(r"[A-Za-z0-9.@_-]{2,64}", session):
            raise StsError(400, "InvalidParameter.RoleSessionName", "The parameter RoleSessionName is wrongly formed.")
        if arn != ROLE_ARN:
            raise StsError(404, "EntityNotExist.Role", f"The role not exists: {arn}.")
        duration = params.get("DurationSeconds") or str(MAX_SECONDS)
        if not re.fullmatch(r"\d{1,6}", duration) or not MIN_SECONDS <= int(duration) <= MAX_SECONDS:
            raise StsError(
                400,
                "InvalidParameter.DurationSeconds",
                f"The Min/Max value of DurationSeconds is {MIN_SECONDS}/{MAX_SECONDS} seconds.",
            )
        try:
            policy = parse(params["Policy"]) if params.get("Policy") else None
        except PolicyGrammar as error:
            raise StsError(
                400, "InvalidParameter.PolicyGrammar", f"The parameter Policy has not passed grammar check: {error}."
            ) from None
        issued = self._credentials.issue(int(duration), policy)
        return [
            ("RequestId", request_id),
            (
                "AssumedRoleUser",
                [
                    ("Arn", f"acs:ram::{ACCOUNT}:role/{ROLE}/{session}"),
                    ("AssumedRoleId", f"3{secrets.randbelow(10**17):017d}:{session}"),
                ],
            ),
            (
                "Credentials",
                [
                    ("AccessKeyId", issued.access_key),
                    ("AccessKeySecret", issued.secret_key),
                    ("SecurityToken", issued.token),
                    ("Expiration", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(issued.expires))),
                ],
            ),
        ]

    def _authenticate(self, method: str, params: dict[str, str]) -> None:
        for name in ("Action", "Version", "AccessKeyId", "Signature", "SignatureNonce", "Timestamp"):
            _required(params, name)
        if params.get("SignatureMethod") != "HMAC-SHA1" or params.get("SignatureVersion") != "1.0":
            raise StsError(400, "InvalidParameter", "The emulator knows SignatureVersion 1.0 with HMAC-SHA1.")
        if params["Version"] != "2015-04-01":
            raise StsError(400, "InvalidVersion", "Specified parameter Version is not valid.")
        root = self._credentials.root
        if not hmac.compare_digest(params["AccessKeyId"].encode(), root.access_key.encode()):
            raise StsError(404, "InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        canonical = "&".join(
            f"{_quote(name)}={_quote(value)}" for name, value in sorted(params.items()) if name != "Signature"
        )
        text = f"{method}&{_quote('/')}&{_quote(canonical)}"
        expected = base64.b64encode(hmac.digest(f"{root.secret_key}&".encode(), text.encode(), "sha1")).decode()
        if not same(expected, params["Signature"]):
            raise StsError(
                400,
                "SignatureDoesNotMatch",
                "Specified signature is not matched with our calculation. server string to sign is:" + text,
            )
        made = from_iso(params["Timestamp"])
        if made is None or abs(made - self._clock()) > SKEW:
            raise StsError(400, "InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
        with self._lock:
            if params["SignatureNonce"] in self._nonces:
                raise StsError(400, "SignatureNonceUsed", "Specified signature nonce was used already.")
            self._nonces[params["SignatureNonce"]] = None
            if len(self._nonces) > _NONCES:
                del self._nonces[next(iter(self._nonces))]


def _required(params: dict[str, str], name: str) -> str:
    value = params.get(name)
    if not value:
        raise StsError(400, f"Missing{name}", f"{name} is mandatory for this action.")
    return value


def _quote(text: str) -> str:
    return quote(text, safe="~")


def _json(fields: Fields) -> bytes:
    def tree(items: Fields) -> dict[str, object]:
        return {name: value if isinstance(value, str | int) else tree(value) for name, value in items}

    return json.dumps(tree(fields), ensure_ascii=False).encode()
