"""The table of moves as Markdown for docs/runs.md.

To print it: manage.py shell -c 'from tests.runs.state_diagram import markdown; print(markdown())'
"""

from scheduler_api.runs.transitions import INITIAL_STATES, TRANSITIONS, State

BEGIN, END = "<!-- states: begin -->", "<!-- states: end -->"


def diagram() -> str:
    """Return the states as a Mermaid diagram: one arrow per pair, with the names of its moves."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for move in TRANSITIONS:
        for state in move.from_states:
            arrows.setdefault((state.value, move.to_state.value), []).append(move.name)
    begun = {state for state, _ in arrows}
    ended = [state.value for state in State if state not in begun]
    lines = ["stateDiagram-v2"]
    lines += [f"    [*] --> {state.value}" for state in INITIAL_STATES]
    lines += [f"    {a} --> {b}: {', '.join(names)}" for (a, b), names in arrows.items()]
    lines += [f"    {state} --> [*]" for state in ended]
    return "\n".join(lines)


def table() -> str:
    """Return the moves as a table."""
    rows = ["| Move | From | To | When |", "|---|---|---|---|"]
    for move in TRANSITIONS:
        states = ", ".join(f"`{state.value}`" for state in move.from_states)
        rows.append(f"| {move.name} | {states} | `{move.to_state.value}` | {move.when} |")
    return "\n".join(rows)


def markdown() -> str:
    return f"{BEGIN}\n\n```mermaid\n{diagram()}\n```\n\n{table()}\n\n{END}"
