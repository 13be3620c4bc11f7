"""What docs/webhooks.md shows is true: the configuration loads, the receiver verifies, the body has these fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.broker.receiving import SECRET, settings, told
from vvos_core.builtin.webhooks import payload, sign
from vvos_core.configuration.sections import webhook_key
from vvos_core.profile import load

from .blocks import blocks

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
(CONFIGURATION,) = blocks(PAGE, "toml")
(BODY,) = blocks(PAGE, "json")
(RECEIVER,) = blocks(PAGE, "python")


def test_the_configuration_loads(tmp_path: Path) -> None:
    (tmp_path / "vvos.toml").write_text(CONFIGURATION)
    (webhook,) = load(tmp_path / "vvos.toml", env={"VVOS_WEBHOOK_SECRET": SECRET}).broker.webhooks
    assert webhook == settings("https://app.example.com/vvos", allow_private=False)


def test_the_body_has_the_fields_that_are_sent() -> None:
    shown, sent = json.loads(BODY), payload(told().objects[0], {})
    assert list(shown) == list(sent)
    assert list(shown["data"]) == list(sent["data"])


def test_the_receiver_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec(compile(RECEIVER, str(PAGE), "exec"), names)
    verified = names["verified"]
    monkeypatch.setattr(names["time"], "time", lambda: 1_800_000_000.0)
    body = msgspec.json.encode(payload(told().objects[0], {}))

    def headers(at: int, *secrets: str) -> dict[str, str]:
        signatures = " ".join(sign(webhook_key(secret), "evt_1", at, body) for secret in secrets)
        return {"webhook-id": "evt_1", "webhook-timestamp": str(at), "webhook-signature": signatures}

    assert verified(SECRET, headers(1_800_000_000, "a" * 24, SECRET), body)["data"]["key"] == "相册/a.jpg"
    for wrong in (headers(1_800_000_000, "a" * 24), headers(1_799_999_000, SECRET), headers(1_800_001_000, SECRET)):
        with pytest.raises(ValueError, match="the"):
            verified(SECRET, wrong, body)
    with pytest.raises(ValueError, match="signature"):
        verified(SECRET, headers(1_800_000_000, SECRET), body + b" ")
