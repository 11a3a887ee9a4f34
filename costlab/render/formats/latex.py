"""LaTeX for a paper: paragraphs, tables of booktabs, and equations of amsmath."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from costlab.formatting import printable
from costlab.render.cells import text_of
from costlab.render.document import Equation, Paragraph, Showable, Table
from costlab.render.format import Format, Screen, writing

_HEAD = "% needs \\usepackage{amsmath, booktabs, hyperref}\n"
_HEADING = {"page": "section*", "title": "subsection*"}
_ESCAPES = str.maketrans(
    {
        **{sign: f"\\{sign}" for sign in "{}$&#_%"},
        "\\": r"\textbackslash{}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "×": r"$\times$",
        "÷": r"$\div$",
        "−": r"$-$",
        "·": r"$\cdot$",
        "→": r"$\to$",
        "≥": r"$\ge$",
        "≤": r"$\le$",
        "≈": r"$\approx$",
        "⌊": r"$\lfloor$",
        "⌋": r"$\rfloor$",
        "<": "$<$",
        ">": "$>$",
        **{power: f"$^{n}$" for n, power in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    }
)


def _text(result: Showable, screen: Screen) -> str:
    """The document as a fragment that a paper can ``\\input``."""
    return _HEAD + "".join(f"\n{_SHOW[type(block)](block)}\n" for block in result.document())


def escape(text: str) -> str:
    """The text with everything that LaTeX would run made literal."""
    return printable(text).translate(_ESCAPES)


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
        text = f"\\href{{{block.link.translate(_ESCAPES)}}}{{{text}}}"
    if block.style in _HEADING:
        return f"\\{_HEADING[block.style]}{{{text}}}"
    return f"\\textbf{{{text}}}" if block.style in ("strong", "bad", "good") else text


def _table(table: Table) -> str:
    detailed = any(line.details for line in table.lines)
    heads = [escape(column.head) for column in table.columns] + [escape(table.details)] * detailed
    rows = [_row(heads), "\\midrule"]
    for line in table.lines:
        first, *others = map(text_of, line.cells)
        cells = [escape(cell) for cell in (line.path or first, *others)]
        if line.style == "strong":
            cells = [f"\\textbf{{{cell}}}" if cell else "" for cell in cells]
        rows.append(_row(cells + [escape("; ".join(line.details))] * detailed))
    spec = "".join("r" if column.right else "l" for column in table.columns) + "l" * detailed
    body = "\n".join(["\\toprule", *rows, "\\bottomrule"])
    return f"\\begin{{tabular}}{{{spec}}}\n{body}\n\\end{{tabular}}"


def _row(cells: list[str]) -> str:
    text = " & ".join(cells)
    return ("{}" if text.startswith(("[", "*")) else "") + text + r" \\"  # of the line before


_SHOW: dict[type, Callable[[Any], str]] = {
    Paragraph: _paragraph,
    Table: _table,
    Equation: _equation,
}

FORMAT = Format("latex", ("tex", "latex"), "a paper", "document", writing(_text))
