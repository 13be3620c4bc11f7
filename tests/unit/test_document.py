"""TOML documents: every value's line, and every syntax error's place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from vvos_core.configuration.document import BadToml, Document, Place, dotted, quoted

TEXT = '''\
# a comment with [brackets] and """
title = "x"

[a.b]            # table
c = 1
d.e."f.g" = """
[not.a.table]
x = 1
"""
h = [
  1,
  { i = 2 },  # ]
]
[['列'.'表']]
k = 1
['列'.'表'.sub]
l = 1
[['列'.'表']]
k = 2
[['列'.'表'.inner]]
m = 1
[['列'.'表'.inner]]
m = 2
['列'.'表'.inner.deep]
n = { o = { p = 1 } }
[a]
'q' = \'\'\'
\'\'\'
r.s = 1
r.t = 2
'''

LINES: dict[Place, int] = {
    ("title",): 2,
    ("a",): 26,
    ("a", "b"): 4,
    ("a", "b", "c"): 5,
    ("a", "b", "d", "e", "f.g"): 6,
    ("a", "b", "h"): 10,
    ("a", "b", "h", 1, "i"): 10,
    ("列", "表", 0): 14,
    ("列", "表", 0, "k"): 15,
    ("列", "表", 0, "sub"): 16,
    ("列", "表", 0, "sub", "l"): 17,
    ("列", "表", 1, "k"): 19,
    ("列", "表", 1, "inner", 0, "m"): 21,
    ("列", "表", 1, "inner", 1, "m"): 23,
    ("列", "表", 1, "inner", 1, "deep"): 24,
    ("列", "表", 1, "inner", 1, "deep", "n", "o", "p"): 25,
    ("a", "q"): 27,
    ("a", "q", "no", "such"): 27,
    ("a", "r", "s"): 29,
    ("a", "r", "t"): 30,
    ("列", "表", 1, "none"): 18,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("place", LINES, ids=dotted)
def test_lines(place: Place, newline: str) -> None:
    assert Document(TEXT.replace("\n", newline)).line(place) == LINES[place]


def test_a_place_that_is_nowhere_has_no_line() -> None:
    assert Document(TEXT).line(("none",)) is None
    assert Document().line(("a",)) is None


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
leaves = st.one_of(
    st.integers(-9, 9).map(str),
    names.map(quoted).map(lambda text: text.replace("\x7f", "\\u007f")),
    st.sampled_from(['"""\n[x]\ny = 1\n"""', "'''\n\n'''", "[\n1,\n\n# ]\n2]", '["""\n]"""]', "true", "{}", "[]"]),
)


def key(name: str) -> str:
    return quoted(name).replace("\x7f", "\\u007f")


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[Place, int]]:
    """A document, and the line of each of its statements. No two tables have the same first name."""
    lines: dict[Place, int] = {}
    text = ""

    def write(statement: str, place: Place) -> None:
        nonlocal text
        text += draw(st.sampled_from(["", "\n", "# [c]\n", "  \t"]))
        lines[place] = text.count("\n") + 1
        text += statement + draw(st.sampled_from(["", " # = ["])) + "\n"

    def body(place: Place) -> None:
        for name in draw(st.lists(names, unique=True, max_size=3)):
            more = draw(st.lists(names, max_size=2))
            dots = ".".join(map(key, [name, *more]))
            value = draw(leaves)
            inline = draw(st.lists(names, max_size=2, unique=True))
            if inline:
                value = "{ " + ", ".join(f"{key(each)} = 1" for each in inline) + " }"
            whole = (*place, name, *more)
            write(f"{dots} = {value}", whole)
            lines.update({(*whole, each): lines[whole] for each in inline})

    tops = iter(draw(st.lists(names, unique=True, max_size=4)))
    for top in tops:
        more = draw(st.lists(names, max_size=2))
        dots = ".".join(map(key, [top, *more]))
        if draw(st.booleans()):
            write(f"[{dots}]", (top, *more))
            body((top, *more))
            continue
        for number in range(draw(st.integers(1, 3))):
            write(f"[[ {dots} ]]", (top, *more, number))
            body((top, *more, number))
    return text, lines


def at(values: Any, place: Place) -> Any:
    for part in place:
        values = values[part]
    return values


@given(documents())
def test_every_statement_of_any_document_has_its_line(made: tuple[str, dict[Place, int]]) -> None:
    text, lines = made
    document = Document(text)
    for place, line in lines.items():
        at(document.values, place)
        assert document.line(place) == line


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = 1\nb = \n", 2, 5),
        ("a = 1\na = 2\n", 2, 6),
        ('a = "中文\n', 1, 8),
        ("a = 1\n[b\n", 2, 3),
        ("a = [1,\n2", 2, 2),
        ("x = 1\n\n[t]\n]", 4, 1),
    ],
)
def test_a_syntax_error_has_line_and_column(text: str, line: int, column: int) -> None:
    with pytest.raises(BadToml) as caught:
        Document(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert "(at" not in caught.value.message


def test_a_bare_chinese_name_is_told_of_quotes() -> None:
    with pytest.raises(BadToml, match="into quotes") as caught:
        Document("a = 1\n[profiles.媒体]\n")
    assert (caught.value.line, caught.value.column) == (2, 11)


def test_other_bad_text() -> None:
    with pytest.raises(BadToml):
        Document("a = " + "9" * 5000)
    with pytest.raises(BadToml, match="too deeply"):
        Document("a = " + "[" * 100_000)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "vvos.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    document = Document.read(path)
    assert document.values == {"a": 1}
    assert (document.name, document.folder) == (str(path), tmp_path)

    path.write_bytes("a = 1\nb = '中".encode() + b"\xff")
    with pytest.raises(BadToml, match="UTF-8") as caught:
        Document.read(path)
    assert (caught.value.line, caught.value.column) == (2, 7)


def test_places_are_written_as_in_toml() -> None:
    assert dotted(("profiles", "媒体", "a.b", "keys", 1, "c-d")) == 'profiles."媒体"."a.b".keys[1].c-d'
