"""What the broker listens to, and nothing else: in particular no address that a storage service could call back."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from starlette.routing import Route

from vvos_core import Secret
from vvos_core.broker import create_app
from vvos_core.profile import BrokerSettings, Config, Profile

from .places import Place

CALLED = {"/gettoken": {"POST"}, "/exists": {"POST"}, "/notifier": {"POST"}}
LOOKED_AT = {"/healthz": {"GET", "HEAD"}, "/openapi.json": {"GET", "HEAD"}}


def test_no_route_takes_a_providers_callback(tmp_path: Path) -> None:
    """A forged callback has nowhere to go: objects are looked up at the provider, never believed by report."""
    config = Config(
        profiles={"p": Profile(name="p", provider="directory", settings={"root": str(tmp_path)})},
        broker=BrokerSettings(
            database=f"sqlite:///{tmp_path / 'broker.db'}", seal_keys=(Secret("k" * 40),), access="open"
        ),
    )
    app = create_app(config)
    routes = {route.path: set(route.methods or ()) for route in app.routes if isinstance(route, Route)}
    assert len(app.routes) == len({route.path for route in app.routes if isinstance(route, Route)})
    assert routes == CALLED | {f"{path}/": methods for path, methods in CALLED.items()} | LOOKED_AT


def _every_text(value: Any) -> str:
    """A grant's data, with what is in base64 decoded as well."""
    shown = json.dumps(value)
    for piece in str(value).replace("'", " ").replace(":", " ").split():
        try:
            shown += base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4)).decode()
        except ValueError:
            continue
    return shown.lower()


def test_no_grant_asks_a_service_to_call_anybody(cloud: Place) -> None:
    for size in (5, 5 * 1024 * 1024 + 10):
        grant = cloud.grant("a/回.bin", size)
        assert "callback" not in _every_text(dict(grant.data))
        cloud.calls.abort(grant)
