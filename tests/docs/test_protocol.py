"""The documentation of the protocol is drawn from the table."""

from __future__ import annotations

from pathlib import Path

from vvos_core.protocol import diagram

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
MEND = "write what `python -m vvos_core.protocol.diagram` prints into docs/protocol.md"


def test_the_state_diagram_is_the_tables() -> None:
    assert f"```mermaid\n{diagram.mermaid()}\n```" in PAGE, MEND


def test_the_table_of_moves_is_the_tables() -> None:
    assert diagram.rows() in PAGE, MEND
