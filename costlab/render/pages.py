"""What of a table fits on a page that cannot be made wider: on GitHub, or of paper."""

from __future__ import annotations

from costlab.render.document import Line, Table

WORTH = 3
"""Columns of a lower worth (a higher priority) are left to the terminal and to files of data."""


def on_a_page(table: Table) -> tuple[Table, list[str]]:
    """The table without the columns that a page leaves out, and their heads."""
    kept = [i for i, column in enumerate(table.columns) if column.priority <= WORTH]
    left = [column.head for column in table.columns if column.priority > WORTH]
    if not left:
        return table, []
    lines = tuple(
        Line(
            tuple(line.cells[i] for i in kept),
            line.level,
            line.path,
            line.details,
            line.style,
            line.link,
        )
        for line in table.lines
    )
    return Table(tuple(table.columns[i] for i in kept), lines, table.details), left


def left_out(heads: list[str]) -> str:
    """Where the columns are that a page leaves out."""
    names = ", ".join(dict.fromkeys(heads))
    return f"Not on this page: {names} (--columns or --format csv has them)."
