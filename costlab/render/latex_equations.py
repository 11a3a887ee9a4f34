"""Equations of LaTeX, in lines that fit one of a paper."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from costlab.render.document import Equation
from costlab.render.latex_text import LINE, escape


def aligned(equation: Equation) -> str:
    """The equation's LaTeX for an aligned block, in lines that fit one of a paper.

    A sum is broken at its signs; one in brackets only where it does not fit a line of its own.
    """
    plain = equation.name.isidentifier()
    name = f"\\mathrm{{{equation.name}}}" if plain else f"\\text{{{escape(equation.name)}}}"
    room = LINE - _width(name) - _BESIDE
    terms = _terms(equation.latex)
    if any(_width(term) > room for term in terms):
        wide = equation.latex.replace(r"\left(", r"\bigl(").replace(r"\right)", r"\bigr)")
        terms = [
            piece
            for term in _terms(wide)
            for piece in ([term] if _width(term) <= room else _terms(term, within=1))
        ]
    return f"{name} &= " + " \\\\\n&\\quad ".join(_filled(terms, room))


_BESIDE = 30.0
"""Points of the equals sign, and of the space before lines that go on."""


def _terms(latex: str, within: int = 0) -> list[str]:
    """A sum at its signs, those inside of more brackets left alone."""
    parts, depth = [""], 0
    for piece in re.split(r"(\\left|\\right|\\bigl|\\bigr|[{}]| [+-] )", latex):
        depth += _DEEPER.get(piece, 0)
        if piece in (" + ", " - ") and depth <= within:
            parts.append("")
        parts[-1] += piece
    return parts


_DEEPER = {
    **dict.fromkeys(("{", "\\left", "\\bigl"), 1),
    **dict.fromkeys(("}", "\\right", "\\bigr"), -1),
}


def _filled(terms: Iterable[str], room: float) -> Iterator[str]:
    """As many terms on a line as fit."""
    line = ""
    for term in terms:
        if line and _width(line + term) > room:
            yield line.strip()
            line = ""
        line += term
    yield line.strip()


def _width(latex: str) -> float:
    """How many points a formula takes, roughly: rather more than fewer."""
    text = re.sub(r"\\math(?:it|rm)\{([^{}]*)\}", r"\1", latex)
    text = re.sub(
        r"\\frac\{([^{}]*)\}\{([^{}]*)\}", lambda both: max(both.groups(), key=_width), text
    )
    tokens = re.findall(r"\\[a-zA-Z]+| [+-] |\S", text)
    return sum(_WIDTHS.get(token, 9.0 if token.isupper() else 5.5) for token in tokens)


_WIDTHS = {
    **dict.fromkeys((r"\left", r"\right", r"\bigl", r"\bigr", "{", "}"), 0.0),
    **dict.fromkeys((r"\lfloor", r"\rfloor", r"\cdot"), 7.5),
    **dict.fromkeys((" + ", " - "), 12.5),
}
"""Points of what is printed in Computer Modern of 10 points."""
