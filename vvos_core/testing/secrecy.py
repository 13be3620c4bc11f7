"""Looks for secrets where a person or a log would see them."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from ..model import Grant, Secret
from .verdict import fail

SHORTEST = 20
"""Characters of a text in a grant that may be a capability; what is shorter is a name or a number."""


def secrets_of(table: Mapping[str, Any]) -> dict[str, Secret]:
    """The secrets among a profile's settings, each under what it is."""
    return {f"the setting {name}": value for name, value in table.items() if isinstance(value, Secret)}


def check_secrecy(
    shown: BaseException | str, where: str, secrets: Mapping[str, Secret], grants: Sequence[Grant]
) -> None:
    """Fail the case when ``shown``, an error with its traceback or a text, has a secret or a grant's data in it."""
    if isinstance(shown, BaseException):
        text = "".join(traceback.format_exception(type(shown), shown, shown.__traceback__)) + repr(shown)
    else:
        text = shown
    found = next((name for name, value in _forbidden(secrets, grants) if value in text), "")
    if found:
        kind = f" ({type(shown).__name__})" if isinstance(shown, BaseException) else ""
        fail(
            f"{found} can be read in {where}{kind}.",
            "leave it out of messages, raise the translated error with `from None` where the cause shows it, and keep "
            "grant.data, URLs and headers out of both.",
        )


def _forbidden(secrets: Mapping[str, Secret], grants: Sequence[Grant]) -> Iterator[tuple[str, str]]:
    for name, secret in secrets.items():
        if secret.reveal():
            yield name, secret.reveal()
    for grant in grants:
        known = {grant.key, grant.client_key, grant.upload_id, grant.type, grant.checksum.partition(":")[2]}
        for leaf in _texts(grant.data):
            for piece in _capabilities(leaf):
                if len(piece) >= SHORTEST and piece not in known:
                    yield "what a grant carries (grant.data)", piece


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _capabilities(text: str) -> Iterator[str]:
    """What of a text in a grant lets its holder do something: a signed URL and the values of its query; a token."""
    address, _, query = text.partition("?")
    if query:
        yield text
        yield from (value for _, value in parse_qsl(query))
    elif not address.startswith(("/", "http://", "https://")):
        # A plain path or address is no secret; tokens and signatures do not look like one.
        yield text
