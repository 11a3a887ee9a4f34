"""The formats, one file each: pure functions from a result to text.

A file ``NAME.py`` in this folder with a function ``render(result, **style)`` is the format NAME.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from costlab.errors import UnknownNameError
from costlab.render.document import Showable

OF_FORMULAS = {"sympy"}
"""Formats of results that have equations; the others are of all results."""


def formats() -> list[str]:
    """The names of all formats."""
    return sorted(module.name for module in iter_modules(__path__))


def render(result: Showable, format: str, **style: Any) -> str:
    """The result as text that ends with a newline.

    ``style`` is what the format ``table`` takes, ``width`` and ``color``; others ignore it.
    Raises ``UnknownNameError``.
    """
    if format not in formats():
        raise UnknownNameError("format", format, formats())
    text: str = import_module(f"{__name__}.{format}").render(result, **style)
    return text
