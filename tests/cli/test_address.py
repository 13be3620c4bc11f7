"""``--api``: where the calls go, and which configured headers go along."""

from __future__ import annotations

import pytest

from vvos_core.cli.address import broker_at
from vvos_core.errors import ConfigError
from vvos_core.model import Secret
from vvos_core.profile import ApiSettings

TOKEN = {"Authorization": Secret("Bearer 1")}


def configured(base: str) -> ApiSettings:
    calls = {name: f"{base}/{name}" if base else "" for name in ("gettoken", "exists", "notifier")}
    return ApiSettings(**calls, header=TOKEN, client="me", timeout=5.0)


@pytest.mark.parametrize("base", ["https://up.example/vvos", "https://up.example/vvos/"])
def test_the_calls_are_below_the_base(base: str) -> None:
    api = broker_at(base, ApiSettings())
    assert api.gettoken == "https://up.example/vvos/gettoken"
    assert api.exists == "https://up.example/vvos/exists"
    assert api.notifier == "https://up.example/vvos/notifier"


@pytest.mark.parametrize(
    ("there", "given"),
    [("https://up.example/a", "https://up.example:443/b"), ("", "http://anything.example")],
)
def test_headers_go_to_the_configured_host_and_where_none_is_configured(there: str, given: str) -> None:
    api = broker_at(given, configured(there))
    assert api.header == TOKEN
    assert (api.client, api.timeout) == ("me", 5.0)


@pytest.mark.parametrize("given", ["http://up.example/a", "https://other.example/a", "https://up.example:8443/a"])
def test_headers_go_nowhere_else(given: str) -> None:
    assert broker_at(given, configured("https://up.example/a")).header == {}


@pytest.mark.parametrize(
    "base", ["up.example", "ftp://up.example", "http://", "http://me:pw@up.example", "http://a?b", "http://a#b"]
)
def test_what_is_no_address_is_refused(base: str) -> None:
    with pytest.raises(ConfigError, match="--api") as caught:
        broker_at(base, ApiSettings())
    assert "pw" not in str(caught.value)
