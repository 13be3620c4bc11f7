"""``docs/configuration.md``: its examples load, and it names every key with its default."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from vvos_core.configuration.document import Document
from vvos_core.profile import ApiSettings, BrokerSettings, Config, Profile, WebhookSettings, load

LEAK = "s3cr3t-value-of-more-than-32-letters"
DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"


def blocks() -> list[str]:
    return re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks())))
def test_the_examples_load(number: int, tmp_path: Path) -> None:
    text = blocks()[number]
    env = dict.fromkeys(re.findall(r'env = "(.*?)"', text), LEAK)
    env |= {name: f"postgresql://u:{LEAK}@h/d" for name in env if "DATABASE" in name}
    for name in re.findall(r'file = "(.*?)"', text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(LEAK)
    (tmp_path / "vvos.toml").write_text(text, encoding="utf-8")
    config = load(tmp_path / "vvos.toml", env=env)
    s3 = pytest.importorskip("vvos_s3.settings", reason="the provider of the examples is not installed")
    for profile in config.profiles.values():
        assert profile.mistakes(s3.Settings) == []


@pytest.mark.parametrize(
    ("heading", "settings"),
    [
        ("`[api]`", ApiSettings),
        ("`[broker]`", BrokerSettings),
        ("`[[broker.webhooks]]`", WebhookSettings),
        ("`[profiles.NAME]`", Profile),
        ("The top", Config),
    ],
)
def test_every_key_is_documented(heading: str, settings: type[msgspec.Struct]) -> None:
    section = DOCS.read_text(encoding="utf-8").split(f"### {heading}\n")[1].split("\n#")[0]
    rows = {row[0]: row[1] for row in re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", section, re.MULTILINE)}
    made_elsewhere = {"name", "settings", "origin", "path"} if settings in (Profile, Config) else set()
    fields = [field for field in msgspec.structs.fields(settings) if field.name not in made_elsewhere]
    assert set(rows) == {field.name for field in fields}
    for field in fields:
        if field.required:
            assert rows[field.name] == "required"
        elif settings is not Config or field.name == "default_profile":
            default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
            written = Document(f"value = {rows[field.name].strip('`')}").values["value"]
            assert msgspec.to_builtins(default) == msgspec.to_builtins(tuple(written) if written == [] else written)
