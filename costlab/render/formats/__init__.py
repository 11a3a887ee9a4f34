"""The formats: each file in this folder holds a ``FORMAT``, or ``FORMATS`` that are of a kind."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from io import BytesIO
from pkgutil import iter_modules
from typing import BinaryIO

from costlab.errors import UnknownNameError
from costlab.render.document import Showable
from costlab.render.format import Format, Screen


@cache
def formats() -> dict[str, Format]:
    """All formats by name."""
    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    all_formats: list[Format] = []
    for module in modules:
        all_formats += getattr(module, "FORMATS", None) or [module.FORMAT]
    return {known.name: known for known in sorted(all_formats, key=lambda known: known.name)}


def write(result: Showable, name: str, file: BinaryIO, screen: Screen | None = None) -> None:
    """Write the result. Raises ``UnknownNameError``; ``OutputError`` if it cannot be written so."""
    if name not in formats():
        raise UnknownNameError("format", name, formats())
    chosen = formats()[name]
    chosen.require()
    chosen.write(result, file, screen or Screen())


def render(result: Showable, name: str, screen: Screen | None = None) -> str:
    """The result as text that ends with a newline, in a format that is text.

    Only a terminal's format has a width and colours. Raises ``UnknownNameError``.
    """
    file = BytesIO()
    write(result, name, file, screen)
    return file.getvalue().decode("utf-8")
