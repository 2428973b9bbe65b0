"""docs/runs.md shows the table of moves."""

from pathlib import Path

from tests.runs.state_diagram import BEGIN, END, markdown

PAGE = Path(__file__).parents[2] / "docs" / "runs.md"


def test_docs_show_the_table_of_moves():
    text = PAGE.read_text()
    shown = text[text.index(BEGIN) : text.index(END) + len(END)]

    assert shown == markdown(), "Replace it by markdown() of tests/runs/state_diagram.py."
