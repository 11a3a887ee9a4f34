"""Functions of torch that other ones stand in for, and that are put back by what replaced them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_INHERITED = object()


@contextmanager
def replaced(home: Any, functions: Mapping[str, Any]) -> Iterator[None]:
    """Give a module or class these functions under their names, and its own back afterwards."""
    before = {name: vars(home).get(name, _INHERITED) for name in functions}
    try:
        for name, function in functions.items():
            setattr(home, name, function)
        yield
    finally:
        for name, function in before.items():
            if function is not _INHERITED:
                setattr(home, name, function)
            elif name in vars(home):
                delattr(home, name)
