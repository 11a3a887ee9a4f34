"""Sizes that are symbols, in an ONNX graph: what is computed of shapes, as `costlab.formula` needs.

An operator computes them as arrays of Python's numbers, so that a symbol stays one. Operators that
are not here take the numbers of the symbols, which is noted as a condition of the formula.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import SymInt

from costlab.programs.onnx_values import Known, known, numbers

Array: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"


@dataclass(frozen=True, eq=False)
class KnownSizes:
    """Sizes of which some are symbols."""

    array: Array


def known_sizes(sizes: Any) -> Known | KnownSizes:
    """A value of these sizes."""
    array = np.array(sizes, dtype=object)
    if any(isinstance(size, SymInt) for size in array.ravel()):
        return KnownSizes(array)
    return known(array.tolist())


def sizes(value: Any) -> list[Any]:
    """Whole numbers and symbols, such as those of a shape."""
    if isinstance(value, KnownSizes):
        return list(value.array.ravel())
    return list(map(int, numbers(value)))


def settled(value: Any) -> Any:
    """A value with numbers in place of symbols, which is noted."""
    if not isinstance(value, KnownSizes):
        return value
    whole = np.array([int(size) for size in value.array.ravel()]).reshape(value.array.shape)
    return known(whole.tolist())


def _axes(attributes: dict[str, Any], inputs: tuple[Array, ...]) -> tuple[int, ...] | None:
    given = attributes.get("axes") if len(inputs) == 1 else inputs[1].ravel().tolist()
    return None if given is None else tuple(map(int, given))


def _sliced(attributes: dict[str, Any], *inputs: Array) -> Array:
    x, (start, end, *others) = inputs[0], (bound.ravel().tolist() for bound in inputs[1:])
    step = others[1] if len(others) > 1 else [1]
    if x.ndim != 1 or isinstance(end[0], SymInt) or isinstance(start[0], SymInt):
        raise TypeError("of sizes that stand in a row, by bounds that are numbers")
    return x[int(start[0]) : int(end[0]) : int(step[0])]


def _divided(attributes: dict[str, Any], a: Array, b: Array) -> Array:
    """ONNX rounds to zero, Python down: the same of sizes, which are not negative."""
    if any(type(size) is int and size < 0 for size in (*a.ravel(), *b.ravel())):
        raise ValueError("of what is negative it is not the same")
    result: Array = a // b
    return result


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Shape": lambda attributes, x: np.array(x.shape, dtype=object),
    "Size": lambda attributes, x: np.array(x.size, dtype=object),
    "Identity": lambda attributes, x: x,
    "Cast": lambda attributes, x: x,
    "Gather": lambda attributes, x, places: np.take(
        x, places.astype(int), axis=attributes.get("axis", 0)
    ),
    "Concat": lambda attributes, *inputs: np.concatenate(inputs, axis=attributes["axis"]),
    "Unsqueeze": lambda attributes, *inputs: np.expand_dims(
        inputs[0], _axes(attributes, inputs) or ()
    ),
    "Squeeze": lambda attributes, *inputs: np.squeeze(inputs[0], _axes(attributes, inputs)),
    "Reshape": lambda attributes, x, shape: x.reshape(shape.astype(int).tolist()),
    "Slice": _sliced,
    "Add": lambda attributes, a, b: a + b,
    "Sub": lambda attributes, a, b: a - b,
    "Mul": lambda attributes, a, b: a * b,
    "Div": _divided,
    "Equal": lambda attributes, a, b: np.array(a == b, dtype=bool),
    "Where": lambda attributes, condition, a, b: np.where(condition.astype(bool), a, b),
    "ReduceProd": lambda attributes, x, *_: np.prod(
        x, keepdims=bool(attributes.get("keepdims", 1))
    ),
}


def of_sizes(name: str, attributes: dict[str, Any], inputs: tuple[Any, ...]) -> Any:
    """What an operator gives of sizes and known values; None where that is not known here."""
    function = _OPERATORS.get(name)
    whole = not any(
        isinstance(given, Known) and given.tensor.is_floating_point() for given in inputs
    )
    if name == "Cast" and attributes.get("to") not in (6, 7):  # whole numbers of 32 and 64 bits
        return None
    if function is None or not whole or any(given is None for given in inputs):
        return None
    try:
        result = np.asarray(function(attributes, *map(_array, inputs)))
    except (TypeError, ValueError, IndexError):
        return None
    return known(result.tolist(), torch.bool) if result.dtype == bool else known_sizes(result)


def _array(value: Any) -> Array:
    if isinstance(value, KnownSizes):
        return value.array
    elements = np.array(numbers(value), dtype=object)
    return elements.reshape(tuple(value.tensor.shape))
