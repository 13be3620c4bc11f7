"""RAM policies as AssumeRole takes them: parsed strictly, evaluated to yes or no.

Source: RAM, "Policy elements" and "Policy structure and syntax"; OSS, "RAM policies". A policy given to AssumeRole can
only narrow what the role may; the emulator's role may do everything, so the policy alone decides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

MAX_LENGTH = 2048
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda pattern, value: pattern == value,
    "StringNotEquals": lambda pattern, value: pattern != value,
    "StringEqualsIgnoreCase": lambda pattern, value: pattern.lower() == value.lower(),
    "StringLike": lambda pattern, value: _like(pattern, value),
    "StringNotLike": lambda pattern, value: not _like(pattern, value),
    "Bool": lambda pattern, value: pattern.lower() == value.lower(),
}
_NEGATIVE = ("StringNotEquals", "StringNotLike")


class PolicyGrammar(ValueError):
    """The text is no policy."""


@dataclass(frozen=True)
class Statement:
    """One statement."""

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[tuple[str, str, tuple[str, ...]], ...]
    """Operator, key, values."""

    def covers(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """Whether it speaks of this."""
        return (
            any(_like(pattern.lower(), action.lower()) for pattern in self.actions)
            and any(_resource_like(pattern, resource) for pattern in self.resources)
            and all(_holds(condition, context) for condition in self.conditions)
        )


@dataclass(frozen=True)
class Policy:
    """What STS credentials may do."""

    statements: tuple[Statement, ...]

    def allows(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """``resource`` is ``bucket/key``, ``bucket`` or empty. A Deny wins, and what is not allowed is denied."""
        said = [statement.allow for statement in self.statements if statement.covers(action, resource, context)]
        return bool(said) and all(said)


def parse(text: str) -> Policy:
    """The policy in a JSON text. Raises ``PolicyGrammar``."""
    if len(text) > MAX_LENGTH:
        raise PolicyGrammar(f"longer than {MAX_LENGTH} characters")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise PolicyGrammar("not JSON") from error
    if not isinstance(document, dict) or document.get("Version") != "1" or set(document) != {"Version", "Statement"}:
        raise PolicyGrammar('an object with "Version": "1" and "Statement" only')
    statements = document["Statement"]
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise PolicyGrammar("no Statement")
    return Policy(tuple(_statement(item) for item in statements))


def _statement(item: Any) -> Statement:
    if not isinstance(item, dict) or not {"Effect", "Action", "Resource"} <= set(item):
        raise PolicyGrammar("a statement has Effect, Action and Resource")
    if not set(item) <= {"Effect", "Action", "Resource", "Condition", "Sid"} or item["Effect"] not in ("Allow", "Deny"):
        raise PolicyGrammar("a statement has an unknown element or Effect")
    resources = _texts(item["Resource"])
    if not all(re.fullmatch(r"\*|acs:[^:]*:[^:]*:[^:]*:.+", resource) for resource in resources):
        raise PolicyGrammar("a Resource is not of the form acs:oss:*:*:bucket/key")
    conditions = []
    for operator, keys in _mapping(item.get("Condition", {})).items():
        if operator not in _OPERATORS:
            raise PolicyGrammar(f"the emulator does not know the condition {operator}")
        conditions += [(operator, key.lower(), _texts(values)) for key, values in _mapping(keys).items()]
    return Statement(item["Effect"] == "Allow", _texts(item["Action"]), resources, tuple(conditions))


def _texts(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise PolicyGrammar("a string or a list of strings was expected")
    return tuple(texts)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PolicyGrammar("an object was expected")
    return value


def _holds(condition: tuple[str, str, tuple[str, ...]], context: Mapping[str, str]) -> bool:
    operator, key, patterns = condition
    value = context.get(key)
    if value is None:
        return operator in _NEGATIVE
    test = _OPERATORS[operator]
    return (all if operator in _NEGATIVE else any)(test(pattern, value) for pattern in patterns)


def _resource_like(pattern: str, resource: str) -> bool:
    if pattern == "*":
        return True
    _, service, _, _, name = pattern.split(":", 4)
    return service in ("oss", "*") and _like(name, resource)


def _like(pattern: str, text: str) -> bool:
    """``*`` stands for any text and ``?`` for one character."""
    expression = "".join({"*": ".*", "?": "."}.get(char) or re.escape(char) for char in pattern)
    return re.fullmatch(expression, text, re.DOTALL) is not None
