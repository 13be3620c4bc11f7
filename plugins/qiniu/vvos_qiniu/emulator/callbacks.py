"""Tells the business of an upload (Qiniu, "Callback"): only ever a program on this machine's loopback interface."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec
import requests

from .messages import Response
from .policy import Policy
from .tokens import Keys

_FORM = "application/x-www-form-urlencoded"
_TIMEOUT = 5.0


def call(policy: Policy, body: str, keys: Keys, etag: str, key: str) -> Response:
    """What the first of the callback's addresses that works answers; else 579, though the object is there."""
    kind = policy.callback_body_type or _FORM
    failure, token, tried = "no callback url", "", ""
    for url in filter(None, policy.callback_url.split(";")):
        tried = url
        token = _signature(url, body, kind, keys)
        headers = {"Content-Type": kind, "Authorization": token, "User-Agent": "qiniu-callback/1.0"}
        if policy.callback_host:
            headers["Host"] = policy.callback_host
        failure, answer = _post(url, body, headers)
        if not failure:
            return Response(200, {"Content-Type": "application/json"}, answer)
    told = {
        "error": f"callback failed: {failure}",
        "callback_url": tried,
        "callback_bodyType": kind,
        "callback_body": body,
        "token": token,
        "hash": etag,
        "key": key,
    }
    return Response(579, {"Content-Type": "application/json"}, msgspec.json.encode(told))


def _signature(url: str, body: str, kind: str, keys: Keys) -> str:
    parts = urlsplit(url)
    text = parts.path + (f"?{parts.query}" if parts.query else "") + "\n"
    return f"QBox {keys.sign((text + (body if kind == _FORM else '')).encode())}"


def _post(url: str, body: str, headers: dict[str, str]) -> tuple[str, bytes]:
    """Why it failed, and the answer."""
    if not _is_loopback(url):
        return "the emulator calls loopback addresses only", b""
    try:
        with requests.Session() as session:
            # No proxy and no ~/.netrc: this must not leave the machine.
            session.trust_env = False
            answer = session.post(url, data=body.encode(), headers=headers, timeout=_TIMEOUT, allow_redirects=False)
    except requests.RequestException as error:
        return type(error).__name__, b""
    if answer.status_code != 200:
        return f"http status code: {answer.status_code}", b""
    try:
        msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return "the answer is not JSON", b""
    return "", answer.content


def _is_loopback(url: str) -> bool:
    try:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.username is not None:
            return False
        return parts.hostname == "localhost" or ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False
