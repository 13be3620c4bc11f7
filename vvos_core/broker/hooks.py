"""The seam for the business: two hooks that say who calls, whether they may, and how and where a file is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, field

from ..errors import Unauthenticated
from ..hooks import hookspec
from ..model import Ask

__all__ = ["Access", "BusinessCall", "BusinessSpec", "CallName", "Placed", "Unauthenticated"]

CallName = Literal["gettoken", "exists", "notifier"]


class BusinessCall(Struct, frozen=True, kw_only=True):
    """One call of the web API, as the business sees it."""

    call: CallName
    headers: Mapping[str, str]
    """The HTTP headers, names in lower case."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """The fields of the body that are not the protocol's: the business parameters."""
    keys: tuple[str, ...] = ()
    """The client keys; those of the accessToken in ``exists`` and ``notifier``."""
    request_id: str = ""
    """Names the upload batch: the requestToken's id."""
    renewal: bool = False
    """A gettoken that renews what was granted before."""
    cover: bool = False
    """Whether the client asks to replace objects that are there."""
    client: str = ""
    """The client's name of itself; a claim, not a proof."""
    now: float = 0.0
    """Seconds since 1970, UTC."""


class Access(Struct, frozen=True, kw_only=True):
    """Leave for one call."""

    who: str
    """Names the caller, for ever: 1 to 200 printable characters. What one is granted, only the same one can use."""
    profile: str = ""
    """The profile that serves this call's files; empty for the broker's."""
    prefix: str = ""
    """Put before the names that the built-in naming gives, after the broker's own prefix."""


class Placed(Struct, frozen=True, kw_only=True):
    """Where one file goes."""

    key: str
    """The server key."""
    profile: str = ""
    """The profile that serves this file; empty for the call's."""


class BusinessSpec:
    """The hook specifications. The business's object has methods of these names, marked with ``hookimpl``."""

    @hookspec(firstresult=True)
    def authorize(self, call: BusinessCall) -> Access:  # type: ignore[empty-body]  # pluggy reads only the signature
        """Say who calls, or raise: ``Denied`` (403) or ``Unauthenticated`` (401), whose message the client is shown.

        Asked in every call, and again for a renewal. Called from several threads at once.
        """

    @hookspec(firstresult=True)
    def name_key(self, call: BusinessCall, file: Ask, access: Access) -> Placed | None:
        """Name one file of a gettoken; ``file.key`` is still the client's. ``None`` leaves it to the broker.

        May raise any ``VVOSError``: that file alone is refused.
        """
