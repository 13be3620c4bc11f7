"""Settings: what they refuse, and where they say the bucket is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st
from vvos_s3 import S3, Settings
from vvos_s3.address import locate

from vvos_core.hooks import PROJECT, Spec
from vvos_core.model import GIB, MIB, Secret
from vvos_core.plan import plan_chunks

KEYS: dict[str, Any] = {"access_key": Secret("AKIDENTITY"), "secret_key": Secret("very-secret")}


def settings(**more: Any) -> Settings:
    return Settings(**{"bucket": "vvos", **KEYS, **more})


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "https://vvos.s3.us-east-1.amazonaws.com"),
        ({"region": "cn-north-1"}, "https://vvos.s3.cn-north-1.amazonaws.com.cn"),
        ({"path_style": True}, "https://s3.us-east-1.amazonaws.com/vvos"),
        ({"bucket": "a.b"}, "https://s3.us-east-1.amazonaws.com/a.b"),
        ({"endpoint": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000/vvos"),
        ({"endpoint": "http://[::1]:9000"}, "http://[::1]:9000/vvos"),
        ({"endpoint": "http://localhost:9000/"}, "http://localhost:9000/vvos"),
        ({"endpoint": "http://minio:9000"}, "http://minio:9000/vvos"),
        ({"endpoint": "https://s3.example.com:443"}, "https://vvos.s3.example.com"),
        ({"endpoint": "http://S3.example.com:80"}, "http://vvos.s3.example.com"),
        ({"endpoint": "https://s3.example.com:80"}, "https://vvos.s3.example.com:80"),
        ({"endpoint": "http://a.example.com", "bucket": "a.b"}, "http://a.b.a.example.com"),
        ({"endpoint": "http://127.0.0.1:9000", "path_style": False}, "http://vvos.127.0.0.1:9000"),
    ],
    ids=str,
)
def test_addresses(more: dict[str, Any], url: str) -> None:
    address = locate(settings(**more))
    assert address.url("文/a b") == f"{url}/%E6%96%87/a%20b"
    assert f"{address.origin}{address.path('文/a b')}" == address.url("文/a b")
    assert address.origin.endswith(f"//{address.host}")


def test_a_public_url_is_what_urls_begin_with() -> None:
    address = locate(settings(public_url="https://cdn.example.com/files/"))
    assert address.url("a#b?c%d+e&f") == "https://cdn.example.com/files/a%23b%3Fc%25d%2Be%26f"
    assert address.origin == "https://vvos.s3.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"endpoint": "s3.example.com"}, "endpoint"),
        ({"endpoint": "ftp://s3.example.com"}, "endpoint"),
        ({"endpoint": "https://"}, "endpoint"),
        ({"endpoint": "https://s3.example.com/bucket"}, "path"),
        ({"endpoint": "https://s3.example.com?x=1"}, "endpoint"),
        ({"endpoint": "https://me:very-secret@s3.example.com"}, "user name"),
        ({"endpoint": "https://s3.example.com:port"}, "endpoint"),
        ({"endpoint": "https://[::1"}, "endpoint"),
        ({"public_url": "cdn.example.com"}, "public_url"),
        ({"public_url": "https://cdn.example.com", "url_ttl": 60}, "url_ttl"),
        ({"bucket": ""}, "bucket"),
        ({"bucket": "a/b"}, "bucket"),
        ({"bucket": "Fotos?"}, "bucket"),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_its_name(more: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        settings(**more)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    "more",
    [
        {"part_size": 5 * MIB - 1},
        {"part_size": 5 * GIB + 1},
        {"threshold": -1},
        {"threshold": 5 * GIB + 1},
        {"checksum": "sha1"},
        {"url_ttl": 604801},
        {"region": ""},
        {"endpoint": "nothing"},
        {"buckets": "x"},
    ],
    ids=str,
)
def test_a_table_that_does_not_fit_is_refused(more: dict[str, Any]) -> None:
    table = {"bucket": "vvos", "access_key": "a", "secret_key": "b", **more}

    def secret(kind: type, value: object) -> object:
        return Secret(str(value)) if kind is Secret else value

    class Strict(Settings, forbid_unknown_fields=True, frozen=True, kw_only=True):
        pass

    assert msgspec.convert({**table, **dict.fromkeys(more)} | {"bucket": "vvos"}, dict)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(table, Strict, dec_hook=secret)


def test_secrets_are_never_shown() -> None:
    value = settings(session_token=Secret("very-secret-too"))
    provider = S3(value)
    for thing in (value, provider, provider._granter, vars(provider), msgspec.structs.asdict(value)):
        assert "very-secret" not in repr(thing)
        assert "AKIDENTITY" not in repr(thing)


@given(st.integers(0, 10_000 * 5 * GIB))
def test_every_size_to_48_tib_has_a_plan_within_the_rules(size: int) -> None:
    rules = S3(None).rules
    cut = plan_chunks(size, rules)
    assert cut.multipart == (size > 8 * MIB)
    if cut.multipart:
        assert 2 <= cut.count <= 10_000
        assert 5 * MIB <= cut.part_size <= 5 * GIB


def test_the_largest_object_has_48_8_tib() -> None:
    assert S3(None).rules.max_size == 10_000 * 5 * GIB == int(48.828125 * 1024 * GIB)


def test_what_one_part_holds_is_never_cut() -> None:
    assert plan_chunks(9 * MIB, settings(threshold=5 * MIB, part_size=16 * MIB).rules).multipart is False


def test_the_hooks_are_those_of_the_contract() -> None:
    import pluggy

    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(Spec)
    for provider in (S3(None), S3(settings())):
        manager.register(provider)
    manager.check_pending()
    assert len(manager.hook.abort.get_hookimpls()) == 2


def test_the_readme_names_every_setting() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    rows = "".join(line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    for field in msgspec.structs.fields(Settings):
        assert f"`{field.name}`" in rows
