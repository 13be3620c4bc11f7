"""Writes the package of a new provider, from the templates beside this module."""

from __future__ import annotations

import importlib.util
import re
from importlib.resources import files
from pathlib import Path
from string import Template

from ..errors import BadInput
from ..loader import installed

NAME = re.compile(r"[a-z][a-z0-9]{0,39}")
FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "__init__.py": "vvos_{name}/__init__.py",
    "provider.py": "vvos_{name}/provider.py",
    "settings.py": "vvos_{name}/settings.py",
    "tests/test_contract.py": "tests/test_{name}_contract.py",
}
"""Each template, and the file that it becomes."""


def check_name(name: str) -> None:
    """Raises ``BadInput`` for what cannot be the name of a new provider."""
    if not NAME.fullmatch(name):
        raise BadInput(
            f"{name!r} cannot be a provider's name; use one word of lower-case letters and digits, 40 at most, that "
            "begins with a letter."
        )
    taken = [item for item in installed() if item.name == name]
    if taken:
        raise BadInput(f"{taken[0].distribution} offers a provider {name} already; choose another name.")
    if importlib.util.find_spec(f"vvos_{name}") is not None:
        raise BadInput(f"there is a module vvos_{name} already, which the provider's would hide; choose another name.")


def write(name: str, folder: Path) -> Path:
    """Write the package ``vvos-NAME`` into ``folder``, and answer where. Raises ``BadInput``; overwrites nothing."""
    check_name(name)
    target = folder / f"vvos-{name}"
    templates = files(__package__) / "templates" / "provider"
    words = {"name": name, "Name": name.capitalize()}
    try:
        target.mkdir()
        for template, place in FILES.items():
            path = target / place.format(name=name)
            path.parent.mkdir(exist_ok=True)
            text = (templates / f"{template}.template").read_text(encoding="utf-8")
            path.write_text(Template(text).substitute(words), encoding="utf-8")
    except FileExistsError:
        raise BadInput(f"{target} is there already; move it away, or choose another name or folder.") from None
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}; choose another folder with --in.") from None
    return target
