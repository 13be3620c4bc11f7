"""What a profile may say, the rules that follow from it, and what importing the plugin costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given, strategies as st
from vvos_qiniu import Qiniu, Settings
from vvos_qiniu.checksum import BLOCK
from vvos_qiniu.emulator import QiniuEmulator

from vvos_core import ConfigError, Notified, Profile, Secret, plan_chunks

from .conftest import Bench

MIB = 1024 * 1024
GIVEN: dict[str, Any] = {
    "bucket": "photos",
    "access_key": Secret("an-access-key"),
    "secret_key": Secret("a-secret-key"),
    "domain": "https://cdn.example.com",
}


def resolve(**changes: Any) -> Settings:
    """The settings as they come out of a configuration file."""
    settings = Profile(name="p", provider="qiniu", settings=GIVEN | changes).resolve(Settings)
    assert isinstance(settings, Settings)
    return settings


def test_the_least_that_has_to_be_said() -> None:
    settings = resolve()
    assert (settings.endpoint, settings.version, settings.up_hosts) == ("https://uc.qiniuapi.com", "v2", ())
    assert settings.secret_key == Secret("a-secret-key")
    assert settings.rules == Qiniu.rules
    assert "a-secret-key" not in repr(settings)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"bucket": "a/b"}, "bucket"),
        ({"domain": "cdn.example.com"}, "domain"),
        ({"domain": "https://u:p@cdn.example.com"}, "user name"),
        ({"domain": "https://cdn.example.com?x=1"}, "domain"),
        ({"endpoint": "https://uc/path"}, "path"),
        ({"up_hosts": ["up.example.com"]}, "up_hosts"),
        ({"up_hosts": ["https://up:x"]}, "up_hosts"),
        ({"rs_hosts": ["http://a", "https://b"]}, "rs_hosts"),
        ({"version": "v3"}, "version"),
        ({"version": "v1", "part_size": 8 * MIB}, "part_size"),
        ({"part_size": MIB - 1}, "part_size"),
        ({"part_size": 1024 * MIB + 1}, "part_size"),
        ({"threshold": -1}, "threshold"),
        ({"url_ttl": -1}, "url_ttl"),
        ({"buckt": "x"}, "buckt"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        resolve(**change)


@given(st.integers(0, 10_000 * 1024 * MIB), st.sampled_from([MIB, BLOCK, 5 * MIB, 1024 * MIB]))
def test_every_plan_keeps_the_services_rules(size: int, part_size: int) -> None:
    settings = Settings(**GIVEN | {"part_size": part_size})
    cut = plan_chunks(size, settings.rules)
    assert cut.multipart == (size > BLOCK)
    if cut.multipart:
        assert cut.count <= 10_000
        assert MIB <= cut.part_size <= 1024 * MIB


def test_blocks_are_always_four_mib() -> None:
    rules = resolve(version="v1").rules
    assert plan_chunks(10_000 * BLOCK, rules).part_size == BLOCK
    assert rules.equal_parts


def test_a_signed_url_reads_from_a_private_bucket() -> None:
    with QiniuEmulator(private=True) as emulator:
        bench = Bench(emulator)
        bench.granting = bench.made(url_ttl=60, domain=emulator.info["endpoint"] + "/")
        grant, stored = bench.upload("文/a b+c.txt", b"hello")
        verdict = bench.notify(grant, 5, stored.checksum)
        assert isinstance(verdict, Notified)
        query = parse_qs(urlsplit(verdict.url).query)
        assert 50 <= int(query["e"][0]) - emulator.clock() <= 60
        assert requests.get(verdict.url, timeout=10).content == b"hello"
        assert requests.get(verdict.url.partition("?")[0], timeout=10).status_code == 401
        bench.later(61)
        assert requests.get(verdict.url, timeout=10).status_code == 401


def test_importing_the_plugin_imports_no_sdk() -> None:
    program = (
        "import sys, vvos_qiniu, vvos_qiniu.emulator; vvos_qiniu.Qiniu(None);"
        "print([m for m in ('qiniu', 'werkzeug', 'requests', 'urllib3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout


def test_the_region_cache_of_the_sdk_is_not_touched(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from qiniu.http import regions_provider  # type: ignore[import-untyped,unused-ignore]  # ships no types

    monkeypatch.setattr(regions_provider, "_global_cache_scope", None)
    grant, stored = bench.upload("a", b"abc")
    assert isinstance(bench.notify(grant, 3, stored.checksum), Notified)
