"""Draws the table of moves, for the documentation: ``python -m vvos_core.protocol.diagram`` prints it as Mermaid."""

from __future__ import annotations

from .states import FINAL, State
from .table import TABLE, Move


def mermaid() -> str:
    """The state diagram. Moves between the same two states share an arrow; those that stay are left out."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for move in TABLE:
        if move.to is not move.state:
            arrows.setdefault((move.state, move.to), []).append(_label(move))
    lines = ["stateDiagram-v2", f"    [*] --> {State.PENDING.value}"]
    for (state, to), labels in arrows.items():
        lines.append(f"    {state.value} --> {to.value}: {'<br>'.join(labels)}")
    lines += [f"    {state.value} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines)


def rows() -> str:
    """The whole table, moves that stay included, as Markdown."""
    lines = ["| in state | on event | if | go to | and |", "|---|---|---|---|---|"]
    for move in TABLE:
        guard = _words(move.when.__name__) if move.when else ""
        action = _words(move.do.__name__) if move.do else ""
        lines.append(f"| {move.state.value} | {move.event.__name__} | {guard} | {move.to.value} | {action} |")
    return "\n".join(lines)


def _label(move: Move) -> str:
    return f"{move.event.__name__} [{_words(move.when.__name__)}]" if move.when else move.event.__name__


def _words(name: str) -> str:
    return name.replace("_", " ")


if __name__ == "__main__":
    print(f"```mermaid\n{mermaid()}\n```\n\n{rows()}")  # noqa: T201  # it is a command
