"""Settings: what is refused, and the addresses and rules that they make."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, strategies as st
from vvos_aliyun import Settings
from vvos_aliyun.address import locate
from vvos_aliyun.settings import MAX_PART, MAX_PARTS, MIN_PART, rules

from vvos_core import Secret, TooLarge, plan_chunks


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "bucket": "bilder",
        "region": "cn-hangzhou",
        "access_key": Secret("a"),
        "secret_key": Secret("s"),
    }
    return Settings(**(values | changes))


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({}, "https://bilder.oss-cn-hangzhou.aliyuncs.com"),
        ({"network": "internal"}, "https://bilder.oss-cn-hangzhou-internal.aliyuncs.com"),
        ({"network": "accelerate"}, "https://bilder.oss-accelerate.aliyuncs.com"),
        ({"network": "accelerate", "region": "eu-central-1"}, "https://bilder.oss-accelerate-overseas.aliyuncs.com"),
        ({"endpoint": "https://files.example.com:443/", "cname": True}, "https://files.example.com"),
        ({"endpoint": "http://OSS.example.com:80"}, "http://bilder.oss.example.com"),
        ({"endpoint": "http://127.0.0.1:9000"}, "http://127.0.0.1:9000"),
        ({"endpoint": "http://localhost:9000"}, "http://localhost:9000"),
        ({"endpoint": "http://oss.test:9000", "path_style": True}, "http://oss.test:9000"),
    ],
)
def test_where_the_bucket_is(changes: dict[str, Any], origin: str) -> None:
    address = locate(settings(**changes))
    assert address.origin == origin
    assert address.resource("文/a b") == "/bilder/%E6%96%87/a%20b"
    in_path = "127.0.0.1" in origin or "localhost" in origin or "oss.test" in origin
    assert address.path("a") == ("/bilder/a" if in_path else "/a")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"bucket": "Bilder"}, "bucket"),
        ({"bucket": "ab"}, "bucket"),
        ({"bucket": "-ab"}, "bucket"),
        ({"bucket": "a" * 64}, "bucket"),
        ({"region": "oss-cn-hangzhou"}, "oss-"),
        ({"region": ""}, "region"),
        ({"endpoint": "oss.example.com"}, "endpoint"),
        ({"endpoint": "https://a:b@oss.example.com"}, "user name"),
        ({"endpoint": "https://oss.example.com/bilder"}, "path"),
        ({"endpoint": "https://oss.example.com", "network": "internal"}, "network"),
        ({"endpoint": "http://[::1]:9000"}, "IPv6"),
        ({"endpoint": "http://127.0.0.1:9000", "path_style": False}, "path_style"),
        ({"endpoint": "http://127.0.0.1:9000", "cname": True}, "address"),
        ({"cname": True}, "cname"),
        ({"cname": True, "endpoint": "https://a.b", "path_style": True}, "path_style"),
        ({"grant": "sts"}, "role_arn"),
        ({"role_arn": "acs:ram::1:role/a"}, "role_arn"),
        ({"grant": "sts", "role_arn": "acs:ram::1:role/a", "session_token": Secret("t")}, "session_token"),
        ({"public_url": "ftp://a"}, "public_url"),
        ({"public_url": "https://a", "url_ttl": 5}, "url_ttl"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_is_refused(changes: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        settings(**changes)


@pytest.mark.parametrize(
    ("name", "value", "good"),
    [
        ("part_size", MIN_PART, True),
        ("part_size", MIN_PART - 1, False),
        ("part_size", MAX_PART, True),
        ("part_size", MAX_PART + 1, False),
        ("url_ttl", 604_800, True),
        ("url_ttl", 604_801, False),
        ("grant", "post", False),
    ],
)
def test_ranges_as_the_profile_checks_them(name: str, value: object, good: bool) -> None:
    import msgspec

    table = {"bucket": "bilder", "region": "cn-hangzhou", "access_key": "a", "secret_key": "s", name: value}

    def hook(kind: type, text: Any) -> Any:
        return kind(text)

    if good:
        assert getattr(msgspec.convert(table, Settings, dec_hook=hook), name) == value
    else:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(table, Settings, dec_hook=hook)


@given(st.integers(0, MAX_PART * MAX_PARTS), st.integers(MIN_PART, MAX_PART), st.integers(0, MAX_PART))
def test_every_plan_obeys_the_service(size: int, part_size: int, threshold: int) -> None:
    plan = plan_chunks(size, rules(threshold, part_size))
    if not plan.multipart:
        assert size <= threshold
        return
    assert size > threshold
    assert plan.count <= MAX_PARTS
    assert MIN_PART <= plan.part_size <= MAX_PART
    assert sum(plan.span(number)[1] for number in (1, plan.count)) <= 2 * plan.part_size


def test_the_size_that_is_too_large() -> None:
    with pytest.raises(TooLarge):
        plan_chunks(MAX_PART * MAX_PARTS + 1, rules(0, MIN_PART))


def test_no_secret_shows(capsys: pytest.CaptureFixture[str]) -> None:
    made = settings(access_key=Secret("CANARY"), secret_key=Secret("CANARY"), session_token=Secret("CANARY"))
    assert "CANARY" not in repr(made)
