"""The broker as its clients find it: reachable, speaking the protocol, open to the pages that may call it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from .. import request_token
from ..errors import VVOSError
from ..http import Answer, Http
from ..model import Finding
from ..preflight import check_cors
from ..profile import ApiSettings, Config

CALLS = ("gettoken", "exists", "notifier")


def addresses(config: Config) -> ApiSettings | None:
    """The calls of ``[api]``, else of the broker that ``[broker]`` has on this machine; None where there is neither."""
    if config.api.gettoken:
        return config.api
    if not config.broker.seal_keys or not config.broker.port:
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.broker.host, config.broker.host)
    base = f"http://[{host}]:{config.broker.port}" if ":" in host else f"http://{host}:{config.broker.port}"
    return ApiSettings(gettoken=f"{base}/gettoken", exists=f"{base}/exists", notifier=f"{base}/notifier")


def origin(api: ApiSettings) -> str:
    """``scheme://host[:port]``."""
    parts = urlsplit(api.gettoken)
    return f"{parts.scheme}://{parts.netloc}"


def check_broker(http: Http, api: ApiSettings, origins: Sequence[str]) -> Iterator[Finding]:
    """The health of the broker, its three calls, and what a browser may; nothing is granted."""
    yield _health(http, api)
    for name in CALLS:
        yield _call(http, api, name, getattr(api, name))
    yield from check_cors(
        http,
        api.gettoken,
        origins,
        {"POST": ["content-type"]},
        mend="name the origin in broker.cors_origins, and restart the broker.",
    )


def _health(http: Http, api: ApiSettings) -> Finding:
    url = f"{api.gettoken.rstrip('/').rpartition('/')[0]}/healthz"
    host = urlsplit(url).netloc
    try:
        answer = http.send("GET", url, headers=_headers(api), what="asking the broker for its health")
    except VVOSError as error:
        return Finding(check="broker", verdict="fail", message=error.message, mend="start the broker; see its log.")
    if answer.status == 200:
        return Finding(check="broker", verdict="ok", message=f"the broker at {host} is well.")
    if answer.status in (401, 403, 404, 405):
        return Finding(check="broker", verdict="unknown", message=f"{host} says nothing of its health.")
    return Finding(
        check="broker",
        verdict="fail",
        message=f"the broker at {host} is not well (HTTP {answer.status}{_words(answer)}).",
        mend="see its log; its database has to be there.",
    )


def _call(http: Http, api: ApiSettings, name: str, url: str) -> Finding:
    # No key is named, so whoever answers has nothing to grant, look for or record.
    body: dict[str, Any] = {"keys": [], "accessToken": ""}
    if name == "gettoken":
        body = {"keys": [], "requestToken": request_token.make()}
    headers = {**_headers(api), "Content-Type": "application/json", "Accept": "application/json"}
    try:
        answer = http.send("POST", url, headers=headers, body=msgspec.json.encode(body), what=f"calling {name}")
    except VVOSError as error:
        return Finding(check=name, verdict="fail", message=error.message)
    told = _json(answer)
    there = answer.status < 500 and answer.status not in (404, 405)
    if there and isinstance(told, dict) and (isinstance(told.get("success"), bool) or "keys" in told):
        return Finding(check=name, verdict="ok", message=f"{name} speaks the protocol.")
    return Finding(
        check=name,
        verdict="fail",
        message=f"{name} at {urlsplit(url).netloc} does not answer as the protocol says (HTTP {answer.status}).",
        mend=f"correct api.{name}; where a proxy stands before the broker, see that it passes the path on.",
    )


def _headers(api: ApiSettings) -> dict[str, str]:
    return {name: value.reveal() for name, value in api.header.items()}


def _words(answer: Answer) -> str:
    told = _json(answer)
    message = told.get("message") if isinstance(told, dict) else None
    return f": {message[:200]}" if isinstance(message, str) else ""


def _json(answer: Answer) -> Any:
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
