"""Arguments of torch's functions as attributes of operations, and the shapes that these give."""

from __future__ import annotations

from functools import lru_cache
from operator import index
from typing import Any, TypeAlias

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Op, Shape
from costlab.graph.opcount import keep
from costlab.ops.broadcast import Together
from costlab.ops.spatial import Spatial
from costlab.torch_private import SymInt
from costlab.trace.symbolic_numbers import signature


def fitted(op: Op, shapes: tuple[Shape, ...]) -> Shape:
    """The shape that an operation gives. Raises ``ShapeError``."""
    if len(shapes) == 2 and isinstance(op, Together) and alike(*shapes):
        return shapes[0]  # most of them are: nothing is spread
    for holds, problem in op.conditions(*shapes):
        if not holds:
            raise ShapeError(f"{op.label(*shapes)} on {formatting.shapes(shapes)}: {problem}")
    return op.output(*shapes)


def alike(one: Shape, two: Shape) -> bool:
    """Whether two shapes are the same numbers; of symbols that is not asked."""
    return SymInt not in map(type, (*one, *two)) and one == two


Made: TypeAlias = tuple[Op, tuple[Shape], Shape]
"""An operation, the shape that it takes, and the shape that it gives."""


def made(kind: type[Op], attributes: tuple[Any, ...], shape: Shape) -> Made:
    """An operation with these attributes on a tensor of that shape. Raises ``ShapeError``."""
    try:
        return _made_once(kind, attributes, shape)
    except TypeError:  # sizes that depend on symbols have no hash
        return _made_of_symbols(kind, attributes, shape)


def _made_of_symbols(kind: type[Op], attributes: tuple[Any, ...], shape: Shape) -> Made:
    """The same where sizes depend on symbols: of equal expressions it is the same object."""
    sizes: tuple[Any, ...] = shape
    of = next((size.node.value.of for size in sizes if type(size) is SymInt), None)
    if of is None or not of.leaves_guards:
        return _made(kind, attributes, shape)
    try:
        key = kind, signature(attributes), signature(shape)
        known: Made | None = of.remembered.get(key)
    except TypeError:  # something else has no hash
        return _made(kind, attributes, shape)
    if known is None:
        known = of.remembered[key] = _made(kind, attributes, shape)
    return known


@lru_cache(maxsize=4096)  # networks repeat their layers
def _made_once(kind: type[Op], attributes: tuple[Any, ...], shape: Shape) -> Made:
    made = _made(kind, attributes, shape)
    keep(*made)
    return made


def _made(kind: type[Op], attributes: tuple[Any, ...], shape: Shape) -> Made:
    op = kind(*attributes)
    output = fitted(op, (shape,))
    if isinstance(op, Spatial) and any(d < 1 for d in output):
        _require_elements(op, shape, output)
    return op, (shape,), output


def _require_elements(op: Op, shape: Shape, output: Shape) -> None:
    """Nothing comes out of an operation on windows only where nothing goes in, or none is wanted.

    Raises ``ShapeError``.
    """
    if any(d < 1 for d in output[2:]) and getattr(op, "output_size", None) is None:
        raise ShapeError(
            f"{op.label(shape)} {op.detail} on {formatting.shape(shape)}: "
            f"its output would be {formatting.shape(output)}: the window is larger than the input"
        )


def sizes(value: Any) -> Any:
    """A number, or one for each axis; torch also takes a list, or a tuple of one."""
    if type(value) is int or type(value) is SymInt:
        return value
    if type(value) is not tuple:
        value = tuple(value)
    for number in value:
        if type(number) is not int:
            value = tuple(map(whole, value))
            break
    return value[0] if len(value) == 1 else value


def whole(value: Any) -> int:
    """A whole number of any type as an ``int``: to `made`, what is equal is the same.

    Raises ``TypeError`` for others, as torch does.
    """
    if type(value) is int or type(value) is SymInt:
        return value  # type: ignore[no-any-return]
    if isinstance(value, bool):
        raise TypeError("a bool is not a number")
    return index(value)
