"""Python code that defines a result's equations as sympy expressions."""

from __future__ import annotations

import re
from textwrap import wrap

from costlab.errors import OutputError
from costlab.render.document import Equation, Paragraph, Showable
from costlab.render.format import Format, Screen, writing

_WIDTH = 98
"""Of a line of a comment, behind ``# ``."""
_FUNCTIONS = ("Abs", "Max", "Min", "Mod", "floor")


def _text(result: Showable, screen: Screen) -> str:
    """A line an equation, after the symbols; what is said of them, such as where they hold, above.

    Raises ``OutputError`` if there are none.
    """
    document = result.document()
    equations = [block for block in document if isinstance(block, Equation)]
    if not equations:
        raise OutputError("sympy is a format of formulas: see costlab formula --help")
    code = "\n".join(f"{_variable(equation.name)} = {equation.code}" for equation in equations)
    used = [name for name in _FUNCTIONS if re.search(rf"\b{name}\(", code)]
    symbols = [
        f'{name} = Symbol("{name}", {"integer=True, " if is_integer else ""}positive=True)'
        for name, is_integer in dict.fromkeys(symbol for e in equations for symbol in e.symbols)
    ]
    comments = [
        f"# {line}"
        for block in document
        if isinstance(block, Paragraph) and block.style != "dim"
        for line in wrap(block.text, _WIDTH)
    ]
    imports = f"from sympy import {', '.join(['Symbol', *used])}"
    return "\n".join([*comments, imports, "", *symbols, code, ""])


def _variable(name: str) -> str:
    """``macs_of_naive`` for ``macs of naive``."""
    return re.sub(r"\W+", "_", name)


FORMAT = Format("sympy", ("py", "sympy"), "Python", "equations", writing(_text))
