"""Tables of LaTeX that fit a page: text columns are broken, and too many columns continue below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from costlab.render.cells import text_of
from costlab.render.document import Line, Table
from costlab.render.latex_text import LINE, breakable, escape, points
from costlab.render.pages import in_turns

_GAP = 6.0
"""Points between columns."""
_INDENT = 8.0
"""Points that a row stands to the right of the scope around it."""
_NARROWEST = 60.0
"""Points that a column of text needs at least."""
_CAPTION = 289.0
"""Points of a line of a caption: longtable's ``\\LTcapwidth``."""


def long_table(table: Table, caption: str, label: str) -> tuple[str, list[str]]:
    """The table, or several if its columns do not fit one line; and what is left out of it."""
    parts = []
    shown_columns = _fitting(table)
    least = _least(table)
    turns = in_turns([least[i] + _GAP for i in shown_columns], LINE)
    for number, turn in enumerate(turns):
        shown = [shown_columns[i] for i in turn]
        key = label if number == 0 else f"{label}-part-{number + 1}"
        heading = caption if number == 0 else f"{caption} (continued)"
        parts.append(_one(table, shown, heading, key, detailed=number == 0))
    left = [column.head for i, column in enumerate(table.columns) if i not in shown_columns]
    return "\n\n".join(parts), left


def _fitting(table: Table) -> list[int]:
    """The numbers of the columns that are shown: what is worth least goes, as on a terminal."""
    least = _least(table)
    shown = [i for i, column in enumerate(table.columns) if not column.priority]
    by_worth = sorted(range(len(table.columns)), key=lambda i: table.columns[i].priority)
    for i in by_worth:
        if not table.columns[i].priority:
            continue
        if sum(least[j] + _GAP for j in [*shown, i]) > LINE:
            break
        shown = sorted([*shown, i])
    return shown


def _least(table: Table) -> list[float]:
    """The least widths of columns: text can be broken, numbers cannot."""
    natural = [_natural(table, i) for i in range(len(table.columns))]
    return [
        width if column.right else min(width, _NARROWEST)
        for width, column in zip(natural, table.columns, strict=True)
    ]


def _natural(table: Table, i: int) -> float:
    """The width of a column whose text is not broken."""
    indented = [_INDENT * line.level if i == 0 else 0 for line in table.lines]
    return max(
        points(table.columns[i].head),
        *(
            points(text_of(line.cells[i]), bold=line.style == "strong") + indent
            for line, indent in zip(table.lines, indented, strict=True)
        ),
        0,
    )


def _widths(table: Table, shown: Sequence[int]) -> list[float]:
    """The widths of columns: those of text are narrower where the line is too short."""
    widths = [_natural(table, i) for i in shown]
    texts = [k for k, i in enumerate(shown) if not table.columns[i].right]
    over = sum(widths) + _GAP * len(widths) - LINE
    while over > 0.01 and any(widths[k] > _NARROWEST for k in texts):
        widest = max(texts, key=lambda k: widths[k])
        less = min(over, max(widths[widest] / 8, 1.0), widths[widest] - _NARROWEST)
        if less <= 0:
            break
        widths[widest] -= less
        over -= less
    return widths


def _one(table: Table, shown: list[int], caption: str, label: str, detailed: bool) -> str:
    widths = _widths(table, shown)
    broken = [
        widths[k] < _natural(table, i) - 0.01 and not table.columns[i].right
        for k, i in enumerate(shown)
    ]
    spec = "".join(
        rf">{{\raggedright\arraybackslash}}p{{{widths[k]:.0f}pt}}"
        if broken[k]
        else ("r" if table.columns[i].right else "l")
        for k, i in enumerate(shown)
    )
    head = _row([escape(table.columns[i].head) for i in shown])
    rows: list[str] = []
    for line in table.lines:
        rows += _lines(line, shown, widths, broken, detailed)
    return "\n".join(
        [
            rf"{{\footnotesize\setlength{{\tabcolsep}}{{{_GAP / 2:.0f}pt}}",
            rf"\begin{{longtable}}{{{spec}}}",
            rf"\caption{{{breakable(caption, _CAPTION)}}}\label{{{label}}}\\",
            *("\\toprule", head, "\\midrule", "\\endfirsthead"),
            *("\\toprule", head, "\\midrule", "\\endhead"),
            *("\\bottomrule", "\\endfoot"),
            *rows,
            r"\end{longtable}}",
        ]
    )


def _lines(
    line: Line, shown: list[int], widths: list[float], broken: list[bool], detailed: bool
) -> Iterator[str]:
    """A row, and a row of small print for each of its details."""
    cells = []
    for k, i in enumerate(shown):
        text = text_of(line.cells[i])
        room = widths[k] - (_INDENT * line.level if i == 0 else 0)
        cell = breakable(text, room, bold=True) if broken[k] else escape(text)
        cells.append(rf"\textbf{{{cell}}}" if cell and line.style == "strong" else cell)
    if line.level:
        cells[0] = rf"\hspace*{{{_INDENT * line.level:.0f}pt}}{cells[0]}"
    details = line.details if detailed else ()
    yield _row(cells, together=bool(details))
    whole = sum(widths) + _GAP * (len(widths) - 1)
    for number, detail in enumerate(details, 1):
        short = points(detail) <= whole - 12
        column = "l" if short else rf"p{{{min(max(whole, 200), LINE - _GAP) - 12:.0f}pt}}"
        text = escape(detail) if short else rf"\raggedright {breakable(detail, 200)}"
        yield _row(
            [rf"\multicolumn{{{len(shown)}}}{{l}}{{\quad {text}}}"]
            if short
            else [rf"\multicolumn{{{len(shown)}}}{{@{{\hspace{{12pt}}}}{column}}}{{{text}}}"],
            together=number < len(details),
        )


def _row(cells: list[str], together: bool = False) -> str:
    """A row; ``together``: no page ends after it."""
    text = " & ".join(cells)
    apart = "{}" if text.startswith(("[", "*")) else ""  # else it is an option of the line before
    return apart + text + (r" \\*" if together else r" \\")
