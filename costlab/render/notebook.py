"""A document as a fragment of HTML, as notebooks show the results of cells."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from costlab.formatting import printable
from costlab.render.cells import text_of
from costlab.render.document import Document, Equation, Paragraph, Table
from costlab.render.latex_equations import aligned

_HEADING = {"page": "h2", "title": "h3", "section": "h4"}
_NUMBER = ' style="text-align: right"'
_TEXT = ' style="text-align: left"'


def fragment(document: Document) -> str:
    """The document as HTML without a page around it."""
    return "\n".join(_SHOW[type(block)](block) for block in document) + "\n"


def escape(text: str) -> str:
    """The text with everything that HTML would read as markup made literal."""
    return html.escape(printable(text))


def _paragraph(block: Paragraph) -> str:
    text = escape(block.text)
    if block.link.startswith("http"):
        text = f'<a href="{escape(block.link)}">{text}</a>'
    if block.style in ("strong", "bad", "good"):
        text = f"<strong>{text}</strong>"
    tag = _HEADING.get(block.style, "p")
    return f"<{tag}>{text}</{tag}>"


def _equation(block: Equation) -> str:
    return f"$$\\begin{{aligned}}{escape(aligned(block))}\\end{{aligned}}$$"


def _table(table: Table) -> str:
    sides = [_NUMBER if column.right else _TEXT for column in table.columns]
    heads = [
        f"<th{side}>{escape(column.head)}</th>"
        for side, column in zip(sides, table.columns, strict=True)
    ]
    rows = [f"<thead><tr>{''.join(heads)}</tr></thead>", "<tbody>"]
    for line in table.lines:
        cells = [escape(text_of(cell)) for cell in line.cells]
        cells[0] = "&emsp;" * line.level + cells[0]
        if line.style == "strong":
            cells = [f"<strong>{cell}</strong>" for cell in cells]
        pairs = zip(sides, cells, strict=True)
        rows.append(f"<tr>{''.join(f'<td{side}>{cell}</td>' for side, cell in pairs)}</tr>")
        if line.details:
            text = "<br>".join(map(escape, line.details))
            rows.append(
                f'<tr><td></td><td colspan="{len(sides) - 1}"{_TEXT}><small>{text}</small></td>'
                "</tr>"
            )
    return "\n".join(["<table>", *rows, "</tbody>", "</table>"])


_SHOW: dict[type, Callable[[Any], str]] = {
    Paragraph: _paragraph,
    Table: _table,
    Equation: _equation,
}
