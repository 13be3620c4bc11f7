"""Settings: raw tables become typed values, and every mistake is named with what would be right."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given, strategies as st
from msgspec import Meta

from vvos_core.configuration.document import Document
from vvos_core.configuration.environment import NONE, overrides, segment, variable
from vvos_core.configuration.settings import Mistake, Must, check, nearest
from vvos_core.model import Secret

LEAK = "s3cr3t-密钥-value"


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Inner(msgspec.Struct, frozen=True, kw_only=True):
    depth: Annotated[int, Meta(ge=1, le=9)] = 1
    label: str


def _short(value: str) -> str:
    return "" if len(value) < 5 else "is long; write at most 4 letters"


class Full(msgspec.Struct, frozen=True, kw_only=True):
    bucket: str
    port: Annotated[int, Meta(ge=0, le=65535)] = 80
    ratio: float = 0.5
    on: bool = False
    mode: Literal["fail", "skip"] = "fail"
    level: Level = Level.LOW
    names: tuple[str, ...] = ()
    counts: list[int] = []
    pair: tuple[str, int] = ("", 0)
    key: Secret | None = None
    keys: tuple[Annotated[Secret, Meta(min_length=8)], ...] = ()
    address: Secret | str = ""
    inner: Inner | None = None
    inners: list[Inner] = []
    tags: dict[str, str] = {}
    hidden: dict[str, Secret] = {}
    short: Annotated[str, Must(_short)] = ""
    anything: Any = None


@dataclasses.dataclass(frozen=True)
class Plain:
    bucket: str
    key: Secret
    size: Annotated[int, Meta(gt=0)] = 1
    made: int = dataclasses.field(init=False, default=7)


def read(type_: type[Any], text: str, env: Mapping[str, str] | None = None, folder: Path | None = None) -> Any:
    """``text`` as the table ``t`` of a file, with what ``env`` overrides there."""
    document = Document(text, (folder or Path("f")) / "vvos.toml")
    given_ = overrides(env or {}).at("t")
    return check(type_, document.values["t"], ("t",), env or {}, document=document, overrides=given_)


def good(text: str, env: Mapping[str, str] | None = None, folder: Path | None = None) -> Full:
    value, mistakes = read(Full, text, env, folder)
    assert mistakes == []
    assert isinstance(value, Full)
    return value


def bad(
    text: str, env: Mapping[str, str] | None = None, folder: Path | None = None, type_: type[Any] = Full
) -> list[str]:
    """The mistakes of ``text`` as ``line place: message``."""
    value, mistakes = read(type_, text, env, folder)
    assert value is None
    assert mistakes
    assert all(mistake.file.endswith("vvos.toml") or mistake.place.startswith("VVOS_T__") for mistake in mistakes)
    return [f"{mistake.line} {mistake.place}: {mistake.message}" for mistake in mistakes]


def test_every_kind_of_value() -> None:
    value = good(
        """
        [t]
        bucket = "照片"
        port = 0
        ratio = 2
        on = true
        mode = "skip"
        level = "high"
        names = ["甲", "b"]
        counts = [1, 2]
        pair = ["x", 3]
        inner = { label = "i", depth = 9 }
        tags = { env = "prod", "中" = "文" }
        address = "as it stands"
        anything = { env = "kept" }
        [[t.inners]]
        label = "j"
        """
    )
    assert value == Full(
        bucket="照片",
        port=0,
        ratio=2.0,
        on=True,
        mode="skip",
        level=Level.HIGH,
        names=("甲", "b"),
        counts=[1, 2],
        pair=("x", 3),
        inner=Inner(label="i", depth=9),
        inners=[Inner(label="j")],
        tags={"env": "prod", "中": "文"},
        address="as it stands",
        anything={"env": "kept"},
    )
    assert type(value.ratio) is float


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("port = 65536", "t.port: expected a whole number from 0 to 65535, found the number 65536"),
        ('port = "80"', 't.port: expected a whole number from 0 to 65535, found the text "80"'),
        ("port = true", "t.port: expected a whole number from 0 to 65535, found true"),
        ('on = "yes"', 't.on: expected true or false, found the text "yes"'),
        ("ratio = []", "t.ratio: expected a number, found a list"),
        ('mode = "replace"', 't.mode: expected one of "fail", "skip", found the text "replace"'),
        ('level = "mid"', 't.level: expected one of "low", "high", found the text "mid"'),
        ('names = "a"', "t.names: expected a list whose items are each text, found text that is not shown"),
        ('names = ["a", 1]', "t.names[1]: expected text, found the number 1"),
        ('pair = ["a"]', "t.pair: expected a list of 2 items, found 1"),
        ('pair = ["a", "b"]', 't.pair[1]: expected a whole number, found the text "b"'),
        ("tags = 3", "t.tags: expected a table, found a number"),
        ('tags = { "中" = 1 }', 't.tags."中": expected text, found the number 1'),
        ("inner = 3", "t.inner: expected a table, found a number"),
        ("inner = { depth = 1 }", "t.inner.label: is missing; it is text"),
        ('inners = [{ label = "a", deep = 1 }]', 't.inners[0].deep: no such setting; did you mean "depth"?'),
        ('short = "12345"', "t.short: is long; write at most 4 letters"),
        ("prot = 1", 't.prot: no such setting; did you mean "port"?'),
        ("port = { env = 3 }", 't.port: a reference is { env = "NAME" } or { file = "path" }, with a name in quotes'),
        (
            'port = { env = "A", file = "b" }',
            't.port: a reference is either { env = "NAME" } or { file = "path" }, and nothing else is in it',
        ),
        (
            'port = { evn = "A" }',
            "t.port: expected a whole number from 0 to 65535, found a table",
        ),
        ("bucket = 1979-05-27", "t.bucket: expected text, found 1979-05-27"),
    ],
)
def test_a_mistake_says_what_would_be_right(line: str, said: str) -> None:
    prefix = "" if line.startswith("bucket") else 'bucket = "b"'
    assert bad(f"[t]\n{prefix}\n{line}\n") == [f"3 {said}"]


def test_an_unknown_name_like_no_other_lists_the_right_ones() -> None:
    _, (mistake,) = read(Inner, '[t]\nlabel = ""\nxyzzy = 1\n')
    assert mistake.message == 'no such setting; there are "depth", "label"'


def test_every_mistake_is_reported() -> None:
    said = bad('[t]\nport = "x"\nprot = 1\nnames = [1, "a", 2]\nkey = "k"\ninner = { depth = 10 }\n')
    places = sorted(each.split(":")[0] for each in said)
    assert places == [
        "1 t.bucket",
        "2 t.port",
        "3 t.prot",
        "4 t.names[0]",
        "4 t.names[2]",
        "5 t.key",
        "6 t.inner.depth",
        "6 t.inner.label",
    ]


def test_mistake_as_a_line() -> None:
    assert str(Mistake("t.port", "is odd", 3, "a/vvos.toml")) == "a/vvos.toml:3: t.port: is odd"
    assert str(Mistake("VVOS_T__PORT", "is odd")) == "VVOS_T__PORT: is odd"
    assert str(Mistake("", "is odd", None, "vvos.toml")) == "vvos.toml: is odd"


def test_long_values_are_cut() -> None:
    (said,) = bad(f'[t]\nbucket = "b"\nport = "{"x" * 5000}"\n')
    assert len(said) < 200
    (said,) = bad(f'[t]\nbucket = "b"\nmode = {"9" * 3000}\n')
    assert len(said) < 200


# Secrets


def test_secrets_by_reference(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(LEAK + "\r\n", encoding="utf-8")
    text = """
        [t]
        bucket = "b"
        key = { file = "key" }
        keys = [{ env = "密钥" }, { file = "key" }]
        address = { env = "密钥" }
        hidden = { A = { env = "密钥" } }
        """
    value = good(text, {"密钥": LEAK + "2"}, tmp_path)
    assert value.key == Secret(LEAK)
    assert value.keys == (Secret(LEAK + "2"), Secret(LEAK))
    assert value.address == Secret(LEAK + "2")
    assert value.hidden == {"A": Secret(LEAK + "2")}
    assert LEAK not in repr(value)


def test_a_list_of_secrets_from_one_variable() -> None:
    value = good('[t]\nbucket = "b"\nkeys = { env = "K" }\n', {"K": "12345678, abcdefgh"})
    assert value.keys == (Secret("12345678"), Secret("abcdefgh"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f'key = "{LEAK}"', 'key: secrets do not belong in this file: write { env = "…" } or { file = "…" }'),
        (f'keys = ["{LEAK}"]', 'keys[0]: secrets do not belong in this file: write { env = "…" } or { file = "…" }'),
        (
            f'hidden = {{ A = "{LEAK}" }}',
            'hidden.A: secrets do not belong in this file: write { env = "…" } or { file = "…" }',
        ),
        (f'keys = "{LEAK}"', None),
        ("key = 123456789", 'key: expected a secret, as { env = "NAME" } or { file = "path" }, found a number'),
        (f'key = {{ evn = "{LEAK}" }}', None),
        (f'key = {{ env = ["{LEAK}"] }}', None),
        ('key = { env = "ABSENT" }', 'key: the environment variable "ABSENT" is not set; set it, or name another'),
        ('key = { env = "EMPTY" }', 'key: the environment variable "EMPTY" is empty'),
        ('key = { env = "" }', None),
        ('key = { file = "空" }', 'key: the file "空" is empty'),
        ('key = { file = "none" }', 'key: the file "none" cannot be read (No such file or directory); its folder is '),
        ('key = { file = "." }', 'key: the file "." cannot be read (Is a directory); its folder is '),
        ('key = { file = "latin" }', 'key: the file "latin" cannot be read, for it is not a path to text in UTF-8'),
        ('key = { file = "a\\u0000b" }', None),
        ('key = { file = "large" }', 'key: the file "large" has more than 1048576 bytes; name another'),
        ('port = { env = "LEAK" }', "port: expected a whole number from 0 to 65535, found text that is not shown"),
        ('port = { file = "leak" }', "port: expected a whole number from 0 to 65535, found text that is not shown"),
        ('mode = { env = "LEAK" }', 'mode: expected one of "fail", "skip", found text that is not shown'),
        ('counts = { env = "LEAK" }', "counts[0]: expected a whole number, found text that is not shown"),
        ('counts = { env = "BROKEN" }', None),
        ('keys = [{ env = "SHORT" }]', None),
        (f'inner = "{LEAK}"', None),
        (f'tags = "{LEAK}"', None),
        (f'key = [{{ a = "{LEAK}" }}]', None),
    ],
)
def test_no_message_shows_a_secret(line: str, said: str | None, tmp_path: Path) -> None:
    (tmp_path / "空").write_text("\n")
    (tmp_path / "latin").write_bytes(b"\xff" + LEAK.encode())
    (tmp_path / "leak").write_text(LEAK, encoding="utf-8")
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    env = {"EMPTY": "", "LEAK": LEAK, "SHORT": "sh0rt!", "BROKEN": f'["{LEAK}'}
    (message,) = bad(f'[t]\nbucket = "b"\n{line}\n', env, tmp_path)
    assert LEAK not in message
    assert "sh0rt!" not in message
    assert message.startswith("3 t.")
    if said is not None:
        assert message.removeprefix("3 t.").startswith(said)


def test_a_class_that_tells_a_secret_is_redacted() -> None:
    class Loud(msgspec.Struct, kw_only=True):
        key: Secret

        def __post_init__(self) -> None:
            raise ValueError(f"{self.key.reveal()} is not good")

    _, (mistake,) = check(Loud, {"key": {"env": "K"}}, ("t",), {"K": LEAK})
    assert mistake == Mistake("t", "*** is not good")


def test_secrets_that_are_made_already() -> None:
    value, mistakes = check(Plain, {"bucket": "b", "key": Secret(LEAK)}, ("t",), {})
    assert mistakes == []
    assert value == Plain("b", Secret(LEAK))


def test_plain_values_by_reference(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("8081\n")
    text = """
        [t]
        bucket = { env = "B" }
        port = { file = "port" }
        on = { env = "ON" }
        level = { env = "L" }
        names = [{ env = "B" }, "c"]
        counts = { env = "N" }
        """
    value = good(text, {"B": "null", "ON": "true", "L": "high", "N": "[3,\n4]"}, tmp_path)
    assert (value.bucket, value.port, value.on, value.level) == ("null", 8081, True, Level.HIGH)
    assert (value.names, value.counts) == (("null", "c"), [3, 4])


# The environment's overrides


def test_overrides_of_every_kind() -> None:
    env = {
        "VVOS_T__BUCKET": "123",
        "VVOS_T__PORT": "9000",
        "VVOS_T__RATIO": "1.5",
        "VVOS_T__ON": "1",
        "VVOS_T__MODE": "skip",
        "VVOS_T__NAMES": "甲, b ,",
        "VVOS_T__COUNTS": "[1, 2]",
        "VVOS_T__PAIR": "x,3",
        "VVOS_T__KEY": LEAK,
        "VVOS_T__KEYS": f'["{LEAK}", {{ env = "OTHER" }}]',
        "VVOS_T__ADDRESS": LEAK,
        "VVOS_T__INNER__LABEL": "i",
        "VVOS_T__TAGS__X_NEW": "new",
        "VVOS_T__TAGS__OLD_ONE": "changed",
        "VVOS_T__HIDDEN__AUTHORIZATION": LEAK,
        "OTHER": "from another",
    }
    value = good('[t]\nbucket = "b"\nport = "wrong, but overridden"\ntags = { Old-One = "1", kept = "2" }\n', env)
    assert value == Full(
        bucket="123",
        port=9000,
        ratio=1.5,
        on=True,
        mode="skip",
        names=("甲", "b"),
        counts=[1, 2],
        pair=("x", 3),
        key=Secret(LEAK),
        keys=(Secret(LEAK), Secret("from another")),
        address=Secret(LEAK),
        inner=Inner(label="i"),
        tags={"Old-One": "changed", "kept": "2", "x-new": "new"},
        hidden={"authorization": Secret(LEAK)},
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("PORT", "x", 'expected a whole number from 0 to 65535, found the text "x"'),
        ("PORT", "", 'expected a whole number from 0 to 65535, found the text ""'),
        ("PROT", "1", "no such setting; did you mean VVOS_T__PORT?"),
        ("inner__label", "1", "no such setting; did you mean VVOS_T__INNER?"),
        ("INNER__LABLE", "1", "no such setting; did you mean VVOS_T__INNER__LABEL?"),
        ("PORT__X", "1", "no such setting: t.port is not a table"),
        ("INNER", "1", "is a table; set VVOS_T__INNER__NAME instead"),
        ("TAGS", "1", "is a table; set VVOS_T__TAGS__NAME instead"),
        ("COUNTS", "1, x", 'expected a whole number, found the text "x"'),
        ("COUNTS", "[1", "expected a list in TOML, or items with commas between: "),
        ("COUNTS", "[1]\nother = 2", "expected one list in TOML, found more than that"),
        ("COUNTS", "['1']", 'expected a whole number, found the text "1"'),
        ("KEY", "", "is empty"),
        ("KEYS", LEAK[:3], "expected a secret"),
        ("BUCKET", "a\udcffb", "is not text in UTF-8"),
        ("MODE", "", 'expected one of "fail", "skip", found the text ""'),
    ],
)
def test_a_wrong_variable_is_named(name: str, text: str, said: str) -> None:
    _, mistakes = read(Full, '[t]\nbucket = "b"\ninner = { label = "" }\n', {f"VVOS_T__{name}": text})
    (mistake,) = mistakes
    assert (mistake.place, mistake.line, mistake.file) == (f"VVOS_T__{name}", None, "")
    assert mistake.message.startswith(said)
    assert LEAK[:3] not in mistake.message


def test_how_variables_are_spelled() -> None:
    assert variable(("profiles", "my-media", "secret_key")) == "VVOS_PROFILES__MY_MEDIA__SECRET_KEY"
    assert [segment(name) for name in ("a--b", "a__b", "_a.b_", "媒体 1")] == ["A_B", "A_B", "A_B", "媒体_1"]


@given(st.lists(st.text(min_size=1).filter(segment), min_size=1, max_size=4))
def test_a_spelled_variable_is_found_again(names: list[str]) -> None:
    node = overrides({variable(names): "text"})
    for name in names:
        node = node.at(name)
    assert node.text == "text"
    assert node.variable == variable(names)


def test_overrides_show_no_text() -> None:
    given_ = overrides({"VVOS_T__KEY": LEAK, "VVOS_CONFIG": "x", "HOME": "y"})
    assert repr(given_) == "Overrides(VVOS_T__KEY)"
    assert not NONE.at("t")


# Classes of other makes


def test_dataclass(tmp_path: Path) -> None:
    value, mistakes = read(Plain, '[t]\nbucket = "b"\nkey = { env = "K" }\n', {"K": LEAK})
    assert mistakes == []
    assert value == Plain("b", Secret(LEAK))
    assert bad("[t]\nsize = 0\nmade = 3\n", type_=Plain) == [
        '3 t.made: no such setting; there are "bucket", "key", "size"',
        "1 t.bucket: is missing; it is text",
        '1 t.key: is missing; it is a secret, as { env = "NAME" } or { file = "path" }',
        "2 t.size: expected a whole number above 0, found the number 0",
    ]


def test_renamed_fields() -> None:
    class Camel(msgspec.Struct, rename="camel"):
        part_size: int

    value, mistakes = read(Camel, "[t]\npartSize = 5\n")
    assert mistakes == []
    assert value == Camel(part_size=5)


def test_what_is_no_settings_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"msgspec\.Struct or a dataclass"):
        check(int, {}, ("t",), {})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.times() | st.datetimes(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    st.sampled_from([field.name for field in msgspec.structs.fields(Full)]),
)
def test_any_value_is_read_or_refused(raw: Any, name: str) -> None:
    value, mistakes = check(Full, {"bucket": "b", name: raw}, ("t",), {})
    assert (value is None) == bool(mistakes)
    if value is not None:
        assert isinstance(value, Full)


def test_nearest() -> None:
    assert nearest("Prot", ["port", "host"]) == "port"
    assert nearest("zzz", ["port", "host"]) == ""
