"""LaTeX for a paper: paragraphs, long tables with captions, and equations of amsmath."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from costlab.formatting import printable
from costlab.render.document import Equation, Paragraph, Showable, Table
from costlab.render.format import Format, Screen, writing
from costlab.render.latex_tables import long_table
from costlab.render.latex_text import escape
from costlab.render.pages import left_out

_HEAD = "% needs \\usepackage{amsmath, array, booktabs, longtable, hyperref}\n"
_HEADING = {"page": "section*", "title": "subsection*"}


def _text(result: Showable, screen: Screen) -> str:
    """The document as a fragment that a paper can ``\\input``."""
    document = result.document()
    several = sum(isinstance(block, Table) for block in document) > 1
    text, title, number, left = _HEAD, "", 0, list[str]()
    if screen.made:
        text += f"% {printable(str(screen.made))}\n"
    for block in document:
        if isinstance(block, Table):
            number += 1
            caption = f"{title}: {block.columns[0].head}" if several else title
            tables, heads = long_table(block, caption, _label(title, number))
            text += f"\n{tables}\n"
            left += heads
            continue
        if isinstance(block, Paragraph) and block.style in _HEADING:
            title = block.text
        text += f"\n{_SHOW[type(block)](block)}\n"
    return text + (f"\n{escape(left_out(left))}\n" if left else "")


def _label(title: str, number: int) -> str:
    """``tab:googlenet``: a key for ``\\ref``; the tables after the first have their number."""
    words = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
    return f"tab:{words}" + (f"-{number}" if number > 1 else "")


def aligned(equation: Equation, terms: int = 3) -> str:
    """The equation's LaTeX for an aligned block: a line of it has at most that many terms."""
    parts = _terms(equation.latex)
    lines = ["".join(parts[i : i + terms]).strip() for i in range(0, len(parts), terms)]
    name = f"\\mathrm{{{equation.name}}}"
    return f"{name} &= " + " \\\\\n&\\quad ".join(lines)


def _terms(latex: str) -> list[str]:
    """A sum at its signs, those inside of brackets left alone."""
    parts, depth = [""], 0
    for piece in re.split(r"(\\left|\\right|[{}]| [+-] )", latex):
        depth += {"{": 1, "}": -1, "\\left": 1, "\\right": -1}.get(piece, 0)
        if piece in (" + ", " - ") and depth == 0:
            parts.append("")
        parts[-1] += piece
    return parts


def _equation(block: Equation) -> str:
    return f"\\begin{{align*}}\n{aligned(block)}\n\\end{{align*}}"


def _paragraph(block: Paragraph) -> str:
    text = escape(block.text)
    if block.link.startswith("http"):
        text = f"\\href{{{escape(block.link)}}}{{{text}}}"
    if block.style in _HEADING:
        return f"\\{_HEADING[block.style]}{{{text}}}"
    return f"\\textbf{{{text}}}" if block.style in ("strong", "bad", "good") else text


_SHOW: dict[type, Callable[[Any], str]] = {
    Paragraph: _paragraph,
    Equation: _equation,
}

FORMAT = Format("latex", ("tex", "latex"), "a paper", "document", writing(_text))
