"""CORS: what a browser is told about a bucket's answers.

Source: AWS S3 User Guide, "Using cross-origin resource sharing (CORS)": the first rule that matches counts.
"""

from __future__ import annotations

import re
from typing import Any

from vvos_core.testing.server import Request


def cors_headers(request: Request, rules: list[Any]) -> list[tuple[str, str]]:
    """The headers to add for the first matching rule (moto's CorsRule); none without an Origin or a match."""
    origin = request.headers.get("origin")
    if origin is None:
        return []
    preflight = request.method == "OPTIONS"
    method = request.headers.get("access-control-request-method") if preflight else request.method
    asked = request.headers.get("access-control-request-headers") if preflight else None
    wanted = [name.strip().lower() for name in (asked or "").split(",") if name.strip()]
    for rule in rules:
        if method not in _list(rule.allowed_methods):
            continue
        origins = _list(rule.allowed_origins)
        if not any(_matches(pattern, origin) for pattern in origins):
            continue
        allowed = [pattern.lower() for pattern in _list(rule.allowed_headers)]
        if not all(any(_matches(pattern, name) for pattern in allowed) for name in wanted):
            continue
        headers = [
            ("Access-Control-Allow-Origin", "*" if "*" in origins else origin),
            ("Access-Control-Allow-Methods", ", ".join(_list(rule.allowed_methods))),
            ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"),
        ]
        if "*" not in origins:
            headers.append(("Access-Control-Allow-Credentials", "true"))
        if wanted:
            headers.append(("Access-Control-Allow-Headers", ", ".join(wanted)))
        if exposed := _list(rule.exposed_headers):
            headers.append(("Access-Control-Expose-Headers", ", ".join(exposed)))
        if preflight and rule.max_age_seconds is not None:
            headers.append(("Access-Control-Max-Age", str(rule.max_age_seconds)))
        return headers
    return []


def _list(value: Any) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(piece) for piece in pattern.split("*")), text) is not None
