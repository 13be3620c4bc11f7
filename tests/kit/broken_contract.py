"""The kit for each broken provider; run by `test_broken_providers`, one case of each. Not collected by itself."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from vvos_core.testing import Capabilities, ProviderContract

from . import (  # noqa: F401  # each notes its mistakes
    broken_bytes,
    broken_diagnosis,
    broken_errors,
    broken_grants,
    broken_repeats,
    broken_resume,
)
from .broken_web import FLAWS
from .directory_author import DirectoryAuthor
from .mistakes import MISTAKES, Right
from .web import Web
from .web_author import WebAuthor


def _contract(provider: type[Any]) -> type[ProviderContract]:
    author = WebAuthor if issubclass(provider, Web) else DirectoryAuthor
    name = provider.__name__
    return type(f"Test{name}", (author,), {"name": name.lower(), "sdk": ("kit_sdk",), "flaws": FLAWS.get(name, ())})


class TestPlain(DirectoryAuthor):
    """A provider whose author declares everything away that can be."""

    name = "plain"
    capabilities = Capabilities(**dict.fromkeys((field.name for field in fields(Capabilities)), False))


_providers: list[type[Any]] = [Right, Web, *(mistake.provider for mistake in MISTAKES.values())]
for _provider in _providers:
    globals()[f"Test{_provider.__name__}"] = _contract(_provider)
