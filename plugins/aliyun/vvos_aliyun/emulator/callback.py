"""Upload callbacks: the object is stored, then a server is told, and its answer goes to the client.

Source: OSS, "Callback". Only servers of this machine's loopback are called. The signature that OSS puts on its calls
needs a key of Aliyun's, so there is none here.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import ipaddress
import json
import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from vvos_core.testing.server import Response

from .call import Call
from .errors import OssError
from .store import Stored

SECONDS = 5.0
MAX_ANSWER = 3 * 1024 * 1024
MAX_URLS = 5


@dataclass(frozen=True)
class Callback:
    """What a write asks to be told to whom."""

    urls: tuple[str, ...]
    host: str
    body: str
    kind: str
    variables: dict[str, str]
    """Custom ones; their names begin with ``x:``."""

    def sent(self, call: Call, value: Stored, response: Response) -> Response:
        """Call; the answer to the client is the server's. The object stays whether that works or not."""
        body = self._filled(call, value).encode()
        problem = "no callbackUrl"
        for url in self.urls:
            try:
                reply = _post(url, self.host, self.kind, body)
            except _Failed as failed:
                problem = str(failed)
                continue
            response.body, response.length, response.status = reply, None, 200
            response.set("Content-Type", "application/json")
            return response
        raise OssError("CallbackFailed", problem, headers=dict(response.headers) | {"Content-Type": "application/xml"})

    def _filled(self, call: Call, value: Stored) -> str:
        blobs = value.content.blobs
        known = {
            "bucket": call.bucket,
            "object": call.key,
            "etag": value.etag,
            "size": str(value.size),
            "mimeType": value.headers.get("content-type", ""),
            "crc64": str(value.content.crc),
            "contentMd5": base64.b64encode(blobs[0].md5).decode() if value.kind == "Normal" and blobs else "",
            "clientIp": "127.0.0.1",
            "reqId": call.request_id,
            "operation": call.operation,
            **self.variables,
        }

        def text(match: re.Match[str]) -> str:
            found = known.get(match[1], "")
            return json.dumps(found, ensure_ascii=False) if "json" in self.kind else quote(found, safe="")

        return re.sub(r"\$\{([^}]*)\}", text, self.body)


class _Failed(Exception):
    """Why a server was not told."""


def read(call: Call) -> Callback | None:
    """The callback that a request asks for, by header or in its query; None without. Raises ``OssError``."""
    asked = call.header("x-oss-callback") or call.params.get("callback")
    if not asked:
        return None
    extra = call.header("x-oss-callback-var") or call.params.get("callback-var")
    return parse(asked, _json(extra, "callback-var") if extra else {})


def parse(asked: str, variables: dict[str, Any]) -> Callback:
    """The callback in a base64 text. Raises ``OssError``."""
    fields = _json(asked, "callback")
    url, body = fields.get("callbackUrl"), fields.get("callbackBody")
    if not isinstance(url, str) or not isinstance(body, str) or not url or not body:
        raise _invalid("callback", "callbackUrl and callbackBody are required.")
    kind = fields.get("callbackBodyType") or "application/x-www-form-urlencoded"
    if kind not in ("application/x-www-form-urlencoded", "application/json"):
        raise _invalid("callback", "The callbackBodyType is not supported.")
    urls = tuple(item.strip() for item in url.split(";") if item.strip())
    if len(urls) > MAX_URLS:
        raise _invalid("callback", "There are more than 5 callback URLs.")
    return Callback(
        urls,
        str(fields.get("callbackHost") or ""),
        body,
        kind,
        {name: str(value) for name, value in variables.items() if name.startswith("x:")},
    )


def _json(text: str, what: str) -> dict[str, Any]:
    try:
        fields = json.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise _invalid(what, f"The {what} configuration is not json format.") from None
    if not isinstance(fields, dict):
        raise _invalid(what, f"The {what} configuration is not json format.")
    return fields


def _invalid(what: str, message: str) -> OssError:
    return OssError("InvalidArgument", message, ec="0007-00000020", ArgumentName=what)


def _post(url: str, host: str, kind: str, body: bytes) -> bytes:
    """The JSON that the server answers. Raises ``_Failed``."""
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port = parts.port or 80
        address = socket.getaddrinfo(parts.hostname or "", port, type=socket.SOCK_STREAM)[0][4][0]
        loopback = parts.scheme == "http" and ipaddress.ip_address(address).is_loopback
    except (ValueError, OSError):
        raise _Failed("Error status : -1.") from None
    if not loopback:
        raise _Failed("Private address is forbidden to callback.")  # the real one says so of what it refuses to call
    # Connects to the address that was checked, whatever its name means the next moment.
    connection = http.client.HTTPConnection(str(address), port, timeout=SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"Host": host or parts.netloc, "Content-Type": kind, "User-Agent": "aliyun-oss-callback"}
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        reply = answer.read(MAX_ANSWER + 1)
    except (OSError, http.client.HTTPException):
        raise _Failed("Error status : -1.") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise _Failed(f"Error status : {answer.status}.")
    try:
        json.loads(reply)
    except ValueError:
        raise _Failed("Response body is not valid json format.") from None
    if len(reply) > MAX_ANSWER:
        raise _Failed("Response body is too long.")
    return reply
