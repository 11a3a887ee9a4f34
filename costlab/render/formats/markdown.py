"""Markdown that renders on GitHub."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from costlab.formatting import printable
from costlab.render.cells import text_of
from costlab.render.document import Equation, Paragraph, Showable, Table
from costlab.render.format import Format, Screen, writing
from costlab.render.formats.latex import aligned

_HEADING = {"page": "#", "title": "##", "section": "###"}


def _text(result: Showable, screen: Screen) -> str:
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
    from tabulate import tabulate  # where it is needed: a first answer does not wait for it

    detailed = any(line.details for line in table.lines)
    rows = []
    for line in table.lines:
        first, *others = map(text_of, line.cells)
        cells = [_linked(escape(line.path or first), line.link), *map(escape, others)]
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

FORMAT = Format("markdown", ("md", "markdown"), "GitHub", "document", writing(_text))
