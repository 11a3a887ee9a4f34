"""LaTeX for a paper: paragraphs, long tables with captions, and equations of amsmath."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from costlab.formatting import printable
from costlab.render.document import Equation, Paragraph, Showable, Table
from costlab.render.format import Format, Screen, writing
from costlab.render.latex_equations import aligned
from costlab.render.latex_tables import long_table
from costlab.render.latex_text import LINE, beyond_pdflatex, breakable, escape
from costlab.render.pages import left_out

_HEAD = "% needs \\usepackage{amsmath, array, booktabs, longtable, hyperref}\n"
_HEADING = {"page": "section*", "title": "subsection*"}


def _text(result: Showable, screen: Screen) -> str:
    """The document as a fragment that a paper can ``\\input``."""
    document = result.document()
    several = sum(isinstance(block, Table) for block in document) > 1
    text, title, number, left = "", "", 0, list[str]()
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
    if left:
        text += f"\n{escape(left_out(left))}\n"
    return f"{_head(text, screen)}\\begin{{sloppypar}}\n{text}\\end{{sloppypar}}\n"


def _head(text: str, screen: Screen) -> str:
    """What it needs, and how it was made, as comments."""
    signs = beyond_pdflatex(text)
    return "".join(
        [
            _HEAD,
            f"% needs XeLaTeX or LuaLaTeX, and a font with {signs}\n" if signs else "",
            f"% {printable(str(screen.made))}\n" if screen.made else "",
        ]
    )


def _label(title: str, number: int) -> str:
    """``tab:googlenet``: a key for ``\\ref``; the tables after the first have their number."""
    words = re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
    return f"tab:{words}" + (f"-{number}" if number > 1 else "")


def _equation(block: Equation) -> str:
    return f"\\begin{{align*}}\n{aligned(block)}\n\\end{{align*}}"


def _paragraph(block: Paragraph) -> str:
    if block.style in _HEADING:
        return f"\\{_HEADING[block.style]}{{{breakable(block.text, LINE / 1.5, bold=True)}}}"
    text = breakable(block.text, LINE / 1.25)  # of 10 points, where tables have 8
    if block.link.startswith("http"):
        text = f"\\href{{{escape(block.link)}}}{{{text}}}"
    return f"\\textbf{{{text}}}" if block.style in ("strong", "bad", "good") else text


_SHOW: dict[type, Callable[[Any], str]] = {
    Paragraph: _paragraph,
    Equation: _equation,
}

FORMAT = Format("latex", ("tex", "latex"), "a paper", "document", writing(_text))
