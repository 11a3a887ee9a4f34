"""Arguments of torch's functions as attributes of operations, and the shapes that these give."""

from __future__ import annotations

from functools import lru_cache
from operator import index
from typing import Any

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Op, Shape


def fitted(op: Op, shapes: tuple[Shape, ...]) -> Shape:
    """The shape that an operation gives. Raises ``ShapeError``."""
    for holds, problem in op.conditions(*shapes):
        if not holds:
            raise ShapeError(f"{op.label(*shapes)} on {formatting.shapes(shapes)}: {problem}")
    return op.output(*shapes)


@lru_cache(maxsize=4096)  # networks repeat their layers
def made(kind: type[Op], attributes: tuple[Any, ...], shape: Shape) -> tuple[Op, Shape]:
    """An operation with these attributes, and the shape that it gives. Raises ``ShapeError``."""
    op = kind(*attributes)
    return op, fitted(op, (shape,))


def sizes(value: Any) -> Any:
    """A number, or one for each axis; torch also takes a list, or a tuple of one."""
    if type(value) is int:
        return value
    value = tuple(map(whole, value))
    return value[0] if len(value) == 1 else value


def whole(value: Any) -> int:
    """A whole number of any type as an ``int``: to `made`, what is equal is the same.

    Raises ``TypeError`` for others, as torch does.
    """
    if type(value) is int:
        return value
    if isinstance(value, bool):
        raise TypeError("a bool is not a number")
    return index(value)
