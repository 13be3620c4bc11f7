"""CORS: what a browser is told about a bucket's answers. Source: OSS, "PutBucketCors", "OptionObject"."""

from __future__ import annotations

import re

from vvos_core.testing.server import Request, Response

from .errors import OssError
from .xml import parse


def check_rules(body: bytes) -> None:
    """Raises ``OssError`` for what is no CORSConfiguration."""
    rules = parse(body, "CORSConfiguration").findall("CORSRule")
    if not 1 <= len(rules) <= 20 or not all(
        rule.findtext("AllowedOrigin") and rule.findtext("AllowedMethod") for rule in rules
    ):
        raise OssError("MalformedXML", ec="0021-00000012")


def preflight(request: Request, rules: bytes | None) -> Response:
    """The answer to OPTIONS, which needs no signature."""
    if request.headers.get("origin") is None or request.headers.get("access-control-request-method") is None:
        raise OssError("InvalidRequest", "Insufficient information. Origin request header needed.")
    headers = cors_headers(request, rules)
    if not headers:
        raise OssError("AccessForbidden")
    return Response(200, headers)


def cors_headers(request: Request, rules: bytes | None) -> list[tuple[str, str]]:
    """The headers of the first rule that fits; none without an Origin, rules or a fit."""
    origin = request.headers.get("origin")
    if origin is None or rules is None:
        return []
    asking = request.method == "OPTIONS"
    method = request.headers.get("access-control-request-method") if asking else request.method
    asked = (request.headers.get("access-control-request-headers") or "") if asking else ""
    wanted = [name.strip().lower() for name in asked.split(",") if name.strip()]
    for rule in parse(rules, "CORSConfiguration").findall("CORSRule"):
        texts = {name: [item.text or "" for item in rule.findall(name)] for name in _LISTS}
        if method not in texts["AllowedMethod"] or not _any(texts["AllowedOrigin"], origin):
            continue
        if not all(_any([pattern.lower() for pattern in texts["AllowedHeader"]], name) for name in wanted):
            continue
        headers = [
            ("Access-Control-Allow-Origin", "*" if "*" in texts["AllowedOrigin"] else origin),
            ("Access-Control-Allow-Methods", ", ".join(texts["AllowedMethod"])),
            ("Vary", "Origin"),
        ]
        if wanted:
            headers.append(("Access-Control-Allow-Headers", ", ".join(wanted)))
        if texts["ExposeHeader"]:
            headers.append(("Access-Control-Expose-Headers", ", ".join(texts["ExposeHeader"])))
        age = rule.findtext("MaxAgeSeconds")
        if asking and age:
            headers.append(("Access-Control-Max-Age", age))
        return headers
    return []


_LISTS = ("AllowedOrigin", "AllowedMethod", "AllowedHeader", "ExposeHeader")


def _any(patterns: list[str], text: str) -> bool:
    return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text) for pattern in patterns)
