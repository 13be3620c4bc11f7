"""What a provider's author tests with: `ProviderContract`, the conformance kit; needs ``pip install 'vvos[testing]'``.

A provider's test is a subclass that says how to reach its service::

    from vvos_core.testing import Capabilities, ProviderContract

    class TestMine(ProviderContract):
        name = "mine"                       # the entry point's
        sdk = ("mine_sdk",)
        capabilities = Capabilities(metadata=False)

        @pytest.fixture
        def start_service(self, mine_emulator):      # becomes self.service
            return mine_emulator

        def address(self):                  # where it listens
            return self.service.address

        def profile(self, address):         # the settings of [profiles.NAME], for a service reached at this address
            return {"endpoint": f"http://{address}", "secret_key": Secret(self.service.key), "part_size": 1 << 20}

        def read(self, key):                # by the official SDK, not by the plugin
            return mine_sdk.Client(self.service.address).get(key)

        def advance_clock(self, seconds):
            self.service.ahead += seconds

`author` lists all that can be said, the ``case_…`` modules hold what is tested. `faults` has the proxy that cuts, loses
and stalls requests, for tests of one's own. `server`, for local services of one's own, needs no pytest: the names here
are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .author import Capabilities as Capabilities
    from .contract import ProviderContract as ProviderContract
    from .faults import FaultProxy as FaultProxy

_MODULE_OF = {"Capabilities": "author", "ProviderContract": "contract", "FaultProxy": "faults"}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
