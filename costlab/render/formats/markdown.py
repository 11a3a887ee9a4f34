"""Markdown that renders on GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tabulate import tabulate

from costlab.formatting import printable
from costlab.render.document import Equation, Paragraph, Showable, Table
from costlab.render.formats.latex import aligned

_HEADING = {"page": "#", "title": "##", "section": "###"}


def render(result: Showable, **style: Any) -> str:
    """Headings, paragraphs and pipe tables; details are a last column."""
    return (
        "\n\n".join(
            _SHOW[type(block)](block)
            for block in result.document()
            if not (isinstance(block, Paragraph) and not block.text)
        )
        + "\n"
    )


def escape(text: str) -> str:
    """The text with everything that Markdown would read as markup made literal."""
    text = re.sub(r"([\\`*|<>\[\]~&#])", r"\\\1", printable(text))
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
    detailed = any(line.details for line in table.lines)
    rows = []
    for line in table.lines:
        first = _linked(escape(line.path or line.cells[0]), line.link)
        cells = [first, *(escape(cell) for cell in line.cells[1:])]
        if line.style == "strong":
            cells = [f"**{cell}**" if cell else "" for cell in cells]
        rows.append(cells + ["<br>".join(map(escape, line.details))] * detailed)
    return tabulate(
        rows,
        headers=[escape(column.head) for column in table.columns] + [table.details] * detailed,
        tablefmt="pipe",
        colalign=[
            *("right" if column.right else "left" for column in table.columns),
            *["left"] * detailed,
        ]
        if rows
        else None,
        disable_numparse=True,
    )


_SHOW: dict[type, Callable[[Any], str]] = {
    Paragraph: _paragraph,
    Table: _table,
    Equation: _equation,
}
