"""The architectures, one file per family. No torch in here: an architecture is a graph.

A file registers its architectures with ``@architecture``; every file in this folder is found.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from costlab.catalog.registry import ARCHITECTURES, Architecture
from costlab.errors import UnknownNameError


@cache
def architectures() -> dict[str, Architecture]:
    """All architectures by name."""
    for module in iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(sorted(ARCHITECTURES.items()))


def architecture(name: str) -> Architecture:
    """The architecture of that name. Raises ``UnknownNameError``, with what was perhaps meant."""
    try:
        return architectures()[name]
    except KeyError:
        hint = "costlab list shows them all; Python code is written file.py:NAME or module:NAME"
        raise UnknownNameError("model", name, architectures(), hint) from None
