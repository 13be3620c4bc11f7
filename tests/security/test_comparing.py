"""MACs and secrets are compared in constant time: no ``==`` touches one, in the core, the plugins or the emulators."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(
    path
    for folder in ("vvos_core", "plugins", "docs/examples")
    for path in (ROOT / folder).rglob("*.py")
    if "tests" not in path.relative_to(ROOT).parts
)
SECRET = re.compile(
    r"(^|_)(sig|sign|signs|signature|signed|mac|hmac|token|secret|password|seal|auth|authorization)s?(_|$)"
)
"""Names of what must not be guessed byte by byte."""
ALLOWED = {
    ("plugins/aliyun/vvos_aliyun/emulator/sts.py", "params['SignatureNonce'] in self._nonces"): "a nonce is no secret",
}
"""Comparisons that look like those of secrets, and why they may stay."""


def names(node: ast.AST) -> Iterator[str]:
    """The names that an operand of a comparison ends in: ``a.signature`` and ``f(token)`` are told by their last."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Call):
        yield from names(node.func)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        yield str(node.slice.value)
    elif isinstance(node, ast.Tuple | ast.List):
        for item in node.elts:
            yield from names(item)


def constant(node: ast.AST) -> bool:
    """What is no secret: a literal, also in a tuple or under a sign; a name in capitals; a length."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return all(constant(item) for item in node.elts)
    if isinstance(node, ast.Name):
        return node.id.isupper()
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("len", "int", "type")


def suspicious(path: Path) -> Iterator[tuple[int, str]]:
    """Each ``==``, ``!=`` and ``in`` that has a secret on one side and no constant on the other."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        compares = any(isinstance(how, ast.Eq | ast.NotEq | ast.In | ast.NotIn) for how in node.ops)
        if not compares or any(constant(side) for side in sides):
            continue
        told = {re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower() for side in sides for name in names(side)}
        if any(SECRET.search(name) for name in told):
            yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_mac_is_compared_byte_by_byte(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = [(line, text) for line, text in suspicious(path) if (name, text) not in ALLOWED]
    assert not found, f"{name}: compare with hmac.compare_digest, or say in ALLOWED why not: {found}"


def test_what_is_allowed_is_still_there() -> None:
    for name, text in ALLOWED:
        assert text in {found for _, found in suspicious(ROOT / name)}, f"{name} has no {text} any more"


def test_whoever_makes_a_mac_to_check_one_compares_in_constant_time() -> None:
    """A file that verifies signatures has ``compare_digest`` in it, or a function ``same`` that is made of it. Those
    that only sign are known by name."""
    signs = {
        "plugins/aliyun/vvos_aliyun/sts.py",
        "vvos_core/builtin/webhooks.py",
        "docs/examples/webdav/vvos_webdav/signing.py",
        "plugins/aliyun/vvos_aliyun/v4.py",
        "plugins/qiniu/vvos_qiniu/emulator/callbacks.py",
        "plugins/qiniu/vvos_qiniu/tokens.py",
        "plugins/s3/vvos_s3/sigv4.py",
    }
    for path in FILES:
        text, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        if re.search(r"\bhmac\.(new|digest|HMAC)\b", text) and name not in signs:
            assert re.search(r"compare_digest|import .*\bsame\b", text), f"{name} makes a MAC; does it compare one?"


def test_the_search_finds_what_it_is_for(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.py"
    for line in (
        "given.signature == expected",
        "mac != right",
        "sign(grant) == grant.data['signature']",
        "token in known_tokens",
        "request.headers['Authorization'] == right",
        "a == expectedSignature",
    ):
        wrong.write_text(line)
        assert list(suspicious(wrong)), line
    for line in ("token == ''", "len(token) > MOST", "token is None", "algorithm == name", "signed == 'x'"):
        wrong.write_text(line)
        assert not list(suspicious(wrong)), line
