"""What the author of a provider tells the kit: its name, what its service can do, and how to get at the service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass(frozen=True, kw_only=True)
class Capabilities:
    """What the provider, and the service behind it, can do. All of it, unless the author says otherwise.

    A case that asks for more is skipped, and says so. Whatever of the first group is given up is a way in for a
    client that wants more than it was granted: say ``False`` only where the service cannot do it.
    """

    # What a grant is worth: the service itself, not the plugin's storing half, refuses what was not granted.
    enforces_key: bool = True
    enforces_expiry: bool = True
    enforces_size: bool = True
    enforces_type: bool = True
    enforces_cover: bool = True
    """``cover=False``: an object that is there is not replaced, also when it came after the grant."""
    rejects_added_headers: bool = True
    """A header that nobody signed does not change what a request does; see ``copy_headers``."""

    # What else there is.
    multipart: bool = True
    """Above ``rules.threshold`` an object goes in parts. Without, the threshold is the largest object."""
    lists_parts: bool = True
    """``exists`` lists the parts of an unfinished upload."""
    aborts: bool = True
    """``abort`` is implemented: the parts of an upload that is given up go away."""
    checksums: bool = True
    """The service keeps a checksum of its own of each object, and the plugin compares it."""
    metadata: bool = True
    """User metadata are kept. Where they are not they have to be refused: lost in silence is worse."""


class Author:
    """What the author overrides."""

    name: str = ""
    """The entry point's name: what ``provider = …`` says."""
    sdk: Sequence[str] = ()
    """The top-level modules of the service's SDK, which neither importing nor storing may import."""
    capabilities: Capabilities = Capabilities()
    ttl: int = 300
    """Seconds that the kit's grants last; raise it where the service signs for no less."""

    service: Any = None
    """What ``start_service`` gave."""

    @pytest.fixture
    def start_service(self) -> Any:
        """Override to start the service, or to ask for a fixture that does: its value becomes ``self.service``."""
        return None

    def profile(self, address: str) -> Mapping[str, Any]:
        """The settings of ``[profiles.NAME]``, without ``provider``, for a service that is reached at ``address``.

        ``address`` is what ``address()`` says, or a proxy in front of it that stages faults. Secrets are given as
        ``Secret``. Sizes should be small: objects of three parts are uploaded, many times.
        """
        raise NotImplementedError("profile(address): say which settings make a profile of your provider")

    def address(self) -> str:
        """``host:port`` where the service listens; '' where there is no network between, and its faults are skipped."""
        return ""

    def read(self, key: str) -> bytes:
        """The bytes of an object, read with anything but the plugin: the official SDK, the file system."""
        raise NotImplementedError("read(key): say how to read an object without your plugin")

    def advance_clock(self, seconds: float) -> None:
        """Set the service's clock ahead by so much, never the machine's: at most ``ttl`` + 60 s in one case."""
        raise NotImplementedError(
            "advance_clock(seconds): say how to move the service's clock; where there is no way to, write "
            "Capabilities(enforces_expiry=False), and nobody will know whether grants expire"
        )

    def type_of(self, key: str) -> str | None:
        """The media type of an object, by the service; None where it keeps none."""
        return None

    def metadata_of(self, key: str) -> Mapping[str, str]:
        """The user metadata of an object as they were given, by the service; asked where ``metadata`` is declared."""
        raise NotImplementedError("metadata_of(key): say how to read an object's metadata, or declare metadata=False")

    def unfinished(self) -> Sequence[Any] | None:
        """The unfinished uploads that the service keeps; None where nobody can tell."""
        return None

    def copy_headers(self, key: str) -> Mapping[str, str]:
        """The headers that turn a put into a copy of the object ``key`` at this kind of service; empty for none."""
        return {}
