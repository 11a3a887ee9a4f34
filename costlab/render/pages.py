"""What of a table fits on a page that cannot be made wider: on GitHub, or of paper."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def in_turns(widths: Sequence[float], room: float) -> Iterator[list[int]]:
    """The numbers of the columns that stand together, if not all have room; the first each time."""
    together, taken = [0], widths[0]
    for i, width in enumerate(widths[1:], 1):
        if len(together) > 1 and taken + width > room:
            yield together
            together, taken = [0], widths[0]
        together.append(i)
        taken += width
    yield together


def left_out(heads: list[str]) -> str:
    """Where the columns are that a page leaves out."""
    names = ", ".join(dict.fromkeys(heads))
    return f"Not on this page: {names} (--columns or --format csv has them)."
