"""Temporary credentials for one key: AssumeRole with an inline policy, as a signed RPC call.

Sources: RAM, "AssumeRole"; "Signature method" of RPC APIs, version 1.0 (HMAC-SHA1). No SDK does anything else here.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import Struct

from vvos_core import BadAnswer, Http, Secret

from .faults import fault
from .settings import Settings

MIN_SECONDS, MAX_SECONDS = 900, 3600
"""What AssumeRole gives at least, and what a role allows at most unless it was told otherwise."""
_ACTIONS = ["oss:PutObject", "oss:AbortMultipartUpload"]
_PATTERN = re.compile(r"[*?]|\$\{")


class Credentials(Struct, frozen=True):
    """``AccessKeyId`` and so on, of an answer."""

    AccessKeyId: str
    AccessKeySecret: str
    SecurityToken: str
    Expiration: str


class _Answer(Struct, frozen=True):
    Credentials: Credentials


class _Refusal(Struct, frozen=True):
    Code: str = ""
    Message: str = ""


# learned while this is imported: msgspec crashes where two threads meet a type for the first time
for _type in (_Answer, _Refusal):
    msgspec.json.Decoder(_type)


class Sts:
    """Asks for credentials with the profile's keys. Shared by threads."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._http = Http(timeout=(5, 15))

    def assume(self, key: str, seconds: int, issued_at: float) -> Credentials:
        """Credentials that may put ``key`` and nothing else, for about ``seconds``, and at least a quarter of an hour.

        Not for a key that ``is_pattern``. Raises the errors of the service.
        """
        settings = self._settings
        policy = {
            "Version": "1",
            "Statement": [
                {"Effect": "Allow", "Action": _ACTIONS, "Resource": [f"acs:oss:*:*:{settings.bucket}/{key}"]}
            ],
        }
        parameters = {
            "Action": "AssumeRole",
            "RoleArn": settings.role_arn,
            "RoleSessionName": "vvos",
            "Policy": msgspec.json.encode(policy).decode(),
            "DurationSeconds": str(min(max(seconds, MIN_SECONDS), MAX_SECONDS)),
        }
        body = form(parameters, settings.access_key, settings.secret_key, issued_at, uuid.uuid4().hex)
        what = f"asking STS for credentials for {key!r}"
        answer = self._http.send(
            "POST",
            f"{settings.sts_endpoint.rstrip('/')}/",
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=body,
            what=what,
        )
        if answer.status != 200:
            refusal = _decoded(answer.body, _Refusal, _Refusal())
            raise fault(
                refusal.Code, refusal.Message, answer.status, what, key=key, bucket=settings.bucket,
                retry_after=answer.retry_after,
            )  # fmt: skip
        given = _decoded(answer.body, _Answer, None)
        if given is None:
            host = urlsplit(settings.sts_endpoint).hostname
            raise BadAnswer(f"{what}: {host} answered no credentials; correct sts_endpoint.", key=key)
        credentials: Credentials = given.Credentials
        return credentials


def is_pattern(key: str) -> bool:
    """Whether a policy would take the key for more than one: RAM knows ``*``, ``?`` and ``${…}``, and no way around."""
    return _PATTERN.search(key) is not None


def form(parameters: Mapping[str, str], access_key: Secret, secret_key: Secret, moment: float, nonce: str) -> bytes:
    """The body of a signed call, made at ``moment`` (seconds since 1970, UTC)."""
    signed = {
        **parameters,
        "Format": "JSON",
        "Version": "2015-04-01",
        "AccessKeyId": access_key.reveal(),
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": nonce,
        "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(moment))),
    }
    canonical = "&".join(f"{_quote(name)}={_quote(value)}" for name, value in sorted(signed.items()))
    text = f"POST&%2F&{_quote(canonical)}"
    digest = hmac.digest(f"{secret_key.reveal()}&".encode(), text.encode(), "sha1")
    return f"{canonical}&Signature={_quote(base64.b64encode(digest).decode())}".encode()


def _quote(text: str) -> str:
    return quote(text, safe="")


def _decoded(body: bytes, kind: type[Any], otherwise: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return otherwise
