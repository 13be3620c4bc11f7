"""The policy of a form: until when, and what its fields have to be. Source: OSS, "PostObject", "Post Policy"."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .call import MAX_PUT
from .errors import OssError
from .times import from_iso


@dataclass(frozen=True)
class FormPolicy:
    """A policy whose signature held."""

    expires: float
    conditions: tuple[tuple[str, str, Any], ...]
    """Operator, field in lower case, what it is compared with."""
    size: tuple[int, int]
    """Bytes of the file: least and most."""

    def check(self, fields: Mapping[str, str], now: float) -> None:
        """Raises ``OssError`` unless the time and every field are as the policy wants."""
        if now > self.expires:
            raise OssError("AccessDenied", "Invalid according to Policy: Policy expired.", ec="0010-00000025")
        for operator, name, wanted in self.conditions:
            if not _holds(operator, fields.get(name, ""), wanted):
                raise OssError(
                    "AccessDenied",
                    f"Invalid according to Policy: Policy Condition failed: "
                    f"{json.dumps([operator, f'${name}', wanted], ensure_ascii=False)}",
                    ec="0010-00000026",
                )


def parse_policy(text: bytes) -> FormPolicy:
    """The policy in a JSON text. Raises ``OssError``."""
    try:
        document = json.loads(text)
    except ValueError:
        raise _malformed("Invalid JSON.") from None
    if not isinstance(document, dict) or not isinstance(document.get("conditions"), list):
        raise _malformed("conditions is missing.")
    expires = from_iso(str(document.get("expiration", "")))
    if expires is None:
        raise _malformed("expiration is no date of the form 2014-12-01T12:00:00.000Z.")
    conditions: list[tuple[str, str, Any]] = []
    size = (0, MAX_PUT)
    for item in document["conditions"]:
        if isinstance(item, dict) and item:
            conditions += [("eq", str(name).lower(), str(value)) for name, value in item.items()]
        elif _is_range(item):
            size = (item[1], item[2])
        elif _is_comparison(item):
            conditions.append((item[0], item[1][1:].lower(), item[2]))
        else:
            raise _malformed("a condition is not of a known form.")
    return FormPolicy(expires, tuple(conditions), size)


def _holds(operator: str, value: str, wanted: Any) -> bool:
    if operator == "starts-with":
        return value.startswith(wanted)
    if operator in ("in", "not-in"):
        return (value in wanted) == (operator == "in")
    return bool(value == wanted)


def _is_range(item: Any) -> bool:
    return (
        isinstance(item, list)
        and len(item) == 3
        and item[0] == "content-length-range"
        and all(isinstance(number, int) and number >= 0 for number in item[1:])
    )


def _is_comparison(item: Any) -> bool:
    if not (isinstance(item, list) and len(item) == 3 and isinstance(item[1], str) and item[1].startswith("$")):
        return False
    kind = {"eq": str, "starts-with": str, "in": list, "not-in": list}.get(item[0])
    return kind is not None and isinstance(item[2], kind)


def _malformed(why: str) -> OssError:
    return OssError("InvalidPolicyDocument", f"Invalid Policy: {why}")
