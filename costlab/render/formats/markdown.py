"""Markdown that renders on GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from costlab.formatting import printable
from costlab.render.cells import text_of
from costlab.render.document import Equation, Line, Paragraph, Showable, Table
from costlab.render.format import Format, Screen, writing
from costlab.render.latex_equations import aligned
from costlab.render.pages import in_turns, left_out, on_a_page

_HEADING = {"page": "#", "title": "##", "section": "###"}


PAGE = 1012
"""Pixels of the text of a page on GitHub."""
_CHARACTER, _SMALL, _PADDING = 8, 7, 26
"""Pixels of a character, of one of small print, and of a cell around its text."""
_PROSE = 300
"""Pixels of a column that prose can be read in."""
_DETAIL = 80
"""Characters of a detail that stands below the name of its row, such as a derivation."""
_FOLDED = 12
"""So many notes below a table are folded."""


def _text(result: Showable, screen: Screen) -> str:
    """Headings, paragraphs and pipe tables that fit the page."""
    blocks, left = [], []
    for block in result.document():
        if isinstance(block, Table):
            table, heads = on_a_page(block)
            blocks.append(_table(table))
            left += heads
        elif not isinstance(block, Paragraph) or block.text:
            blocks.append(_SHOW[type(block)](block))
    if left:
        blocks.append(escape(left_out(left)))
    if screen.made:
        blocks.append(f"Made by {escape(str(screen.made))}.")
    return "\n\n".join(blocks) + "\n"


def escape(text: str) -> str:
    """The text with everything that Markdown would read as markup made literal."""
    text = re.sub(r"([\\`*|<>\[\]~&#])", r"\\\1", printable(text))
    text = re.sub(r"([$@])", r"<span>\1</span>", text)  # GitHub has formulas and people
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", text)


def _linked(text: str, link: str) -> str:
    return f"[{text}]({link})" if link else text


def _paragraph(block: Paragraph) -> str:
    text = _linked(escape(block.text), block.link)
    if block.style in _HEADING:
        return f"{_HEADING[block.style]} {text}"
    return f"**{text}**" if block.style in ("strong", "bad", "good") else text


def _equation(block: Equation) -> str:
    return f"```math\n\\begin{{aligned}}\n{aligned(block)}\n\\end{{aligned}}\n```"


def _table(table: Table) -> str:
    """The table; its details stand where there is room.

    Derivations stand below the name of their row, prose in a last column, or, beside many columns,
    in notes below the table.
    """
    rows = [_cells(line) for line in table.lines]
    details = [[escape(detail) for detail in line.details] for line in table.lines]
    heads = [escape(column.head) for column in table.columns]
    sides = ["right" if column.right else "left" for column in table.columns]
    turns = list(in_turns(_least(table), PAGE))
    if not any(details):
        return _pipes_in_turns(turns, heads, rows, sides)
    taken = [
        _CHARACTER * max(len(text_of(line.cells[i])) for line in table.lines) + _PADDING
        for i in range(len(heads))
    ]
    longest = max(len(detail) for line in table.lines for detail in line.details)
    if longest <= _DETAIL and PAGE - sum(taken[1:]) >= min(_SMALL * longest + _PADDING, _PROSE):
        for row, lines in zip(rows, details, strict=True):
            row[0] = "<br>".join(
                [*filter(None, row[:1]), *(f"<sub>{text}</sub>" for text in lines)]
            )
        return _pipes(heads, rows, sides)
    if PAGE - sum(taken) >= _PROSE:
        rows = [[*row, "<br>".join(lines)] for row, lines in zip(rows, details, strict=True)]
        return _pipes([*heads, escape(table.details)], rows, [*sides, "left"])
    notes = [
        f"- {row[0]}: {'; '.join(lines)}" for row, lines in zip(rows, details, strict=True) if lines
    ]
    title = escape(table.details[:1].upper() + table.details[1:])
    below = "\n".join([f"{title}:", "", *notes])
    if len(notes) > _FOLDED:
        below = "\n".join(
            ["<details>", f"<summary>{title}</summary>", "", *notes, "", "</details>"]
        )
    return f"{_pipes_in_turns(turns, heads, rows, sides)}\n\n{below}"


def _cells(line: Line) -> list[str]:
    first, *others = map(text_of, line.cells)
    cells = [_linked(escape(line.path or first), line.link), *map(escape, others)]
    return [f"**{cell}**" if cell else "" for cell in cells] if line.style == "strong" else cells


def _least(table: Table) -> list[float]:
    """Pixels that the columns need at least: spaces are broken, words are not."""
    texts = [[column.head for column in table.columns]]
    texts += [
        [line.path or text_of(line.cells[0]), *map(text_of, line.cells[1:])] for line in table.lines
    ]
    return [
        _CHARACTER * max(len(word) for text in column for word in [*text.split(), ""]) + _PADDING
        for column in zip(*texts, strict=True)
    ]


def _pipes_in_turns(
    turns: Iterable[list[int]], heads: list[str], rows: list[list[str]], sides: list[str]
) -> str:
    """One table, or several of which each has the first column, and those of a turn."""
    tables = []
    for turn in turns:
        head, *lines = ([line[i] for i in turn] for line in (heads, *rows))
        tables.append(_pipes(head, lines, [sides[i] for i in turn]))
    return "\n\n".join(tables)


def _pipes(heads: list[str], rows: list[list[str]], sides: list[str]) -> str:
    from tabulate import tabulate  # where it is needed: a first answer does not wait for it

    return tabulate(
        rows,
        headers=heads,
        tablefmt="pipe",
        colalign=sides if rows else None,
        disable_numparse=True,
    )


_SHOW: dict[type, Callable[[Any], str]] = {
    Paragraph: _paragraph,
    Equation: _equation,
}

FORMAT = Format("markdown", ("md", "markdown"), "GitHub", "document", writing(_text))
