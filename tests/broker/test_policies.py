"""The built-in policies, the business's hooks over them, and the sentences for a business that does not fit."""

from __future__ import annotations

import re
import sys
import time
import types

import pytest

from vvos_core.broker.hooks import Access, BusinessCall, Placed
from vvos_core.broker.policies import ANYONE, Business, find
from vvos_core.errors import ConfigError, ContractBroken
from vvos_core.hooks import hookimpl
from vvos_core.model import Ask

NEW_YEARS_EVE = 1_798_761_599.0  # 2026-12-31T23:59:59Z
CALL = BusinessCall(call="gettoken", headers={}, now=NEW_YEARS_EVE)


def ask(key: str) -> Ask:
    return Ask(client_key=key, key=key, size=1)


def name(key: str, naming: str, prefix: str = "", access: Access | None = None, business: object = None) -> str:
    face = Business(business, "open", naming, prefix)  # type: ignore[arg-type]  # parametrized
    return face.name(CALL, ask(key), access or Access(who="x")).key


@pytest.mark.parametrize(
    ("naming", "prefix", "key", "expected"),
    [
        ("keep", "", "相册/a.jpg", "相册/a.jpg"),
        ("keep", "up", "a.jpg", "up/a.jpg"),
        ("keep", "up/深/", "a.jpg", "up/深/a.jpg"),
        ("date", "", "相册/a.jpg", "2026/12/31/相册/a.jpg"),
        ("date", "up", "a.jpg", "up/2026/12/31/a.jpg"),
    ],
)
def test_keep_and_date(naming: str, prefix: str, key: str, expected: str) -> None:
    assert name(key, naming, prefix) == expected


def test_days_are_utcs(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        monkeypatch.setenv("TZ", "Asia/Shanghai")
        time.tzset()
        assert name("a", "date") == "2026/12/31/a"
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("key", "extension"),
    [
        ("相册/a.JPG", r"\.JPG"),
        ("a.tar.gz", r"\.gz"),
        ("a", ""),
        ("folder.d/a", ""),
        (".bashrc", ""),
        ("a.", ""),
        ("a." + "x" * 17, ""),
        ("a.照片", r"\.照片"),
    ],
)
def test_random_keeps_the_extension(key: str, extension: str) -> None:
    assert re.fullmatch(rf"up/[0-9a-f]{{32}}{extension}", name(key, "random", "up"))
    assert name(key, "random") != name(key, "random")


def test_the_access_prefix_comes_after_the_brokers() -> None:
    assert name("a", "keep", "up", Access(who="x", prefix="/users/42/")) == "up/users/42/a"


@pytest.mark.parametrize("prefix", ["a/../b", "a//b", "\0", "e\u0301"])
def test_a_prefix_that_no_key_may_have_is_a_mistake(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        Business(None, "open", "keep", prefix)


def test_open_admits_everybody_and_business_needs_one() -> None:
    assert Business(None, "open", "keep", "").authorize(CALL) == Access(who=ANYONE)
    with pytest.raises(ConfigError, match=r'business = "module:object".*access = "open"'):
        Business(None, "business", "keep", "")


class Both:
    @hookimpl
    def authorize(self, call: BusinessCall) -> Access:
        return Access(who="小明")

    @hookimpl
    def name_key(self, call: BusinessCall, file: Ask, access: Access) -> Placed | None:
        return Placed(key=f"{access.who}/{file.client_key}") if file.client_key.startswith("own") else None


class OnlyNames:
    @hookimpl
    def name_key(self, file: Ask) -> Placed:  # a hook may leave out what it does not use
        return Placed(key=f"n/{file.client_key}", profile="other")


@pytest.mark.parametrize("business", [Both, Both(), lambda: Both()])
def test_a_business_is_a_class_an_instance_or_a_function(business: object) -> None:
    face = Business(business, "business", "date", "")
    assert face.authorize(CALL).who == "小明"
    assert face.name(CALL, ask("own.jpg"), Access(who="小明")) == Placed(key="小明/own.jpg")


def test_what_the_business_does_not_name_the_policy_does() -> None:
    face = Business(Both, "business", "date", "")
    assert face.name(CALL, ask("a"), Access(who="x")).key == "2026/12/31/a"


def test_a_business_that_only_names_does_not_say_who_may() -> None:
    assert Business(OnlyNames(), "open", "keep", "").name(CALL, ask("a"), Access(who="x")) == Placed(
        key="n/a", profile="other"
    )
    with pytest.raises(ConfigError, match="nobody says who may upload"):
        Business(OnlyNames(), "business", "keep", "")


@pytest.mark.parametrize("answer", [None, True, "小明", Access(who=""), Access(who="x" * 201), Access(who="a\0b")])
def test_what_is_not_an_access_admits_nobody(answer: object) -> None:
    class Careless:
        @hookimpl
        def authorize(self, call: BusinessCall) -> object:
            return answer

    for access in ("business", "open"):
        with pytest.raises(ContractBroken):
            Business(Careless(), access, "keep", "").authorize(CALL)


def test_what_is_not_placed_is_refused() -> None:
    class Careless:
        @hookimpl
        def name_key(self, file: Ask) -> object:
            return "a key"

    with pytest.raises(ContractBroken, match="str, not Placed"):
        name("a", "keep", business=Careless())


def test_hooks_that_do_not_fit_are_a_mistake() -> None:
    class Unmarked:
        def authorize(self, call: BusinessCall) -> Access:
            return Access(who="x")

    class Unknown:
        @hookimpl
        def authorise(self, call: BusinessCall) -> Access:
            return Access(who="x")

    class Arguments:
        @hookimpl
        def authorize(self, request: object) -> Access:
            return Access(who="x")

    class Fails:
        def __init__(self) -> None:
            raise RuntimeError("no database")

    with pytest.raises(ConfigError, match="marked with"):
        Business(Unmarked(), "business", "keep", "")
    with pytest.raises(ConfigError, match="authorise"):
        Business(Unknown(), "business", "keep", "")
    with pytest.raises(ConfigError, match="do not fit"):
        Business(Arguments(), "business", "keep", "")
    with pytest.raises(ConfigError, match=r"calling it failed \(RuntimeError: no database\)"):
        Business(Fails, "business", "keep", "")


def test_finds_what_the_configuration_names(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("shop_upload")
    module.__dict__["policies"] = Both
    monkeypatch.setitem(sys.modules, "shop_upload", module)
    assert find("shop_upload:policies") is Both
    assert find("shop_upload:policies.authorize") is Both.authorize
    with pytest.raises(ConfigError, match="no 'rules'"):
        find("shop_upload:rules")
    with pytest.raises(ConfigError, match="'no_such_module' cannot be imported"):
        find("no_such_module:x")
    for malformed in ("shop_upload", "shop_upload:", ":x", ""):
        with pytest.raises(ConfigError, match='"module:object"'):
            find(malformed)
