"""Who may import whom, checked from the code's own imports: the floors of the house hold."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "vvos_core"
PLUGINS = sorted(path for path in (ROOT / "plugins").iterdir() if (path / "pyproject.toml").exists())

FLOORS: list[tuple[str, ...]] = [
    ("errors", "model", "keys", "plan", "grants", "listing", "mac", "request_token", "fingerprint"),
    (
        "protocol",
        "hooks",
        "source",
        "hashing",
        "http",
        "tls",
        "connection",
        "route",
        "egress",
        "preflight",
        "pace",
        "retry",
        "interrupt",
        "configuration",
        "profile",
        "messages",
        "journal",
    ),
    ("calls", "loader", "builtin"),
    (
        "entries",
        "job",
        "work",
        "progress",
        "results",
        "control",
        "keeper",
        "hands",
        "engine",
        "destination",
        "submission",
        "broker",
        "client",
        "unfinished",
        "doctor",
    ),
    ("cli", "testing"),
]
"""From the ground up. A module imports its own floor and those below; the face of the package, none of them."""
MAY_SEE_ALL = ("__init__",)
SDKS = {"boto3", "botocore", "oss2", "qiniu", "moto", "awscrt"}


def modules(folder: Path, package: str) -> dict[str, Path]:
    """Every module below ``folder``, by its dotted name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = [package, *path.relative_to(folder).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path, at_import_time: bool = False) -> Iterator[str]:
    """The modules that ``path`` imports, as dotted names; ``from x import y`` gives both ``x`` and ``x.y``."""
    tree = ast.parse(path.read_text())
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    nodes: Iterator[ast.AST] | list[ast.AST] = ast.walk(tree)
    if at_import_time:
        nodes = list(_run_at_import(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                above = parents[: len(parents) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _run_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """The statements that run when the module is imported: not those of functions, nor of ``if TYPE_CHECKING``."""
    todo: list[ast.AST] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        yield node
        todo += ast.iter_child_nodes(node)


def floor_of(name: str) -> int | None:
    top = name.split(".")[1] if "." in name else "__init__"
    return next((number for number, tops in enumerate(FLOORS) if top in tops), None)


CORE_MODULES = modules(CORE, "vvos_core")


@pytest.mark.parametrize("name", CORE_MODULES)
def test_a_module_imports_only_its_floor_and_below(name: str) -> None:
    if name == "vvos_core":
        return
    mine = floor_of(name)
    assert mine is not None, f"{name} stands on no floor; give it one in FLOORS and in the package's docstring"
    for target in imports(name, CORE_MODULES[name]):
        if target in CORE_MODULES and target != "vvos_core":
            theirs = floor_of(target)
            assert theirs is not None
            assert theirs <= mine, f"{name} (floor {mine}) imports {target} (floor {theirs})"


def test_the_engine_and_the_broker_never_import_each_other() -> None:
    for name, path in CORE_MODULES.items():
        top = [*name.split("."), ""][1]
        for target in imports(name, path):
            if top in (
                "engine",
                "client",
                "entries",
                "results",
                "work",
                "job",
                "progress",
                "builtin",
                "calls",
                "loader",
            ):
                assert not target.startswith("vvos_core.broker"), f"{name} imports {target}"
            if top == "broker":
                assert target not in ("vvos_core.engine", "vvos_core.client", "vvos_core.work"), (
                    f"{name} imports {target}"
                )


def test_the_protocol_does_no_io() -> None:
    """No sockets, files, clocks, threads or pluggy: of the standard library only what computes."""
    allowed = {"__future__", "collections", "collections.abc", "enum", "typing", "msgspec"}
    for name, path in CORE_MODULES.items():
        if name.startswith("vvos_core.protocol"):
            for target in imports(name, path):
                top = target.split(".")[0]
                assert top in {"vvos_core", *(item.split(".")[0] for item in allowed)}, f"{name} imports {target}"
                if top == "vvos_core" and not target.startswith("vvos_core.protocol"):
                    assert target.split(".")[1:2] in ([], ["errors"], ["model"]), f"{name} imports {target}"


def test_there_are_no_circles() -> None:
    graph = {
        name: {
            target
            for target in imports(name, path, at_import_time=True)
            if target in CORE_MODULES
            and target not in (name, "vvos_core")
            # A package's face hands on names of its own modules; those do not import the face.
            and not name.startswith(target + ".")
        }
        for name, path in CORE_MODULES.items()
        if name != "vvos_core"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def test_the_core_names_no_sdk_and_no_provider() -> None:
    ours = {path.name for path in PLUGINS} | {f"vvos_{path.name}" for path in PLUGINS}
    for name, path in CORE_MODULES.items():
        for target in imports(name, path):
            assert target.split(".")[0] not in SDKS | ours, f"{name} imports {target}"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare):
                for side in (node.left, *node.comparators):
                    value = side.value if isinstance(side, ast.Constant) else None
                    assert value not in ours, f"{name}:{node.lineno} compares with a provider's name"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_only_the_face_of_the_core_and_no_other_plugin(plugin: Path) -> None:
    own = f"vvos_{plugin.name}"
    others = {f"vvos_{path.name}" for path in PLUGINS} - {own}
    for name, path in modules(plugin / own, own).items():
        for target in imports(name, path):
            assert target.split(".")[0] not in others, f"{name} imports {target}"
            public = target == "vvos_core" or target.startswith("vvos_core.testing")
            assert target not in CORE_MODULES or public, f"{name} imports {target}, not the face of the core"


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_is_called_by_one_word_everywhere(plugin: Path) -> None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    project = tomllib.loads((plugin / "pyproject.toml").read_text())["project"]
    word = plugin.name
    assert project["name"] == f"vvos-{word}"
    assert (plugin / f"vvos_{word}" / "__init__.py").exists()
    assert list(project["entry-points"]["vvos.providers"]) == [word]


def test_every_file_says_its_purpose_in_its_first_line() -> None:
    files = [*CORE_MODULES.values()]
    for plugin in PLUGINS:
        files += modules(plugin / f"vvos_{plugin.name}", "x").values()
    for path in files:
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path.relative_to(ROOT)} has no docstring"
