"""The operators of ONNX as functions of values, which the files beside this one register.

Of the default domain, opset 11 and up. Each is written in the words of torch, so that it becomes
the layers that it is there. What is not registered, or is used otherwise, is uncounted.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, TypeAlias

import torch
from torch.nn import functional

from costlab.errors import ValuesError, in_words
from costlab.programs.onnx_attributes import unfollowed
from costlab.programs.onnx_sizes import KnownSizes, of_sizes, settled
from costlab.programs.onnx_values import Known, numbers
from costlab.programs.program import NotFollowedError
from costlab.torch_private import unseen_by_modes

Attributes: TypeAlias = "dict[str, Any]"
Operator: TypeAlias = "Callable[..., Any]"
"""``operator(attributes, *inputs)`` gives a value, or a tuple of several; None is no input."""

OPERATORS: dict[str, Operator] = {}


def operator(*names: str) -> Callable[[Operator], Operator]:
    """The decorated function computes the operators of these names."""

    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def padded(
    x: Any, before: list[int], behind: list[int], mode: str = "constant", value: float | None = None
) -> Any:
    """An input with elements before and behind each of its last axes, in a ``mode`` of torch."""
    flat = [n for pair in zip(reversed(before), reversed(behind), strict=True) for n in pair]
    return functional.pad(x, flat, mode, value)


def of_space(name: str, axes: int) -> Any:
    """The function of torch for so many axes, ``conv{}d``. Raises ``NotFollowedError``."""
    function = getattr(functional, name.format(axes), None)
    if function is None:
        raise NotFollowedError(f"torch has it not on {axes} axes")
    return function


LARGE = {"ConstantOfShape", "Range", "Expand", "Tile", "Pad"}
"""Operators whose inputs say how much they give: it may be much of little."""
MOST_COMPUTED = 2**20
"""How many elements a value may have that is computed of values that are known."""

TAKE_SIZES = {
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "ConstantOfShape": (0,),
    "Resize": (3,),
}
"""Operators that make sizes of an input, by its place: these may be symbols."""


class OnnxCall:
    """An operator of ONNX with its attributes, as a function of values.

    Raises ``NotFollowedError`` where it is called in a way that is not known here.
    """

    def __init__(self, operator: str, results: int, attributes: Attributes) -> None:
        self.__name__ = operator
        self._results = results
        self._attributes = {**attributes, "operator": operator, "results": results}

    def __call__(self, *inputs: Any) -> Any:
        """What it gives; of values that are known, a value that is known."""
        if changed := unfollowed(self.__name__, self._attributes):
            raise NotFollowedError(f"with {changed}")
        given = [value for value in inputs if value is not None]
        if any(isinstance(value, KnownSizes) for value in given):
            if all(isinstance(value, Known | KnownSizes) for value in given):
                sizes = of_sizes(self.__name__, self._attributes, inputs)
                if sizes is not None:
                    return sizes
            takes = TAKE_SIZES.get(self.__name__, ())
            inputs = tuple(
                value if place in takes else settled(value) for place, value in enumerate(inputs)
            )
            given = [value for value in inputs if value is not None]
        is_known = all(isinstance(value, Known) for value in given)
        try:
            if given and is_known and self._is_small(given):
                with unseen_by_modes():
                    return _as_known(self._result(inputs))
            return self._result(inputs)
        except (TypeError, KeyError, ValuesError) as error:
            raise NotFollowedError(in_words(error)) from None

    def _result(self, inputs: tuple[Any, ...]) -> Any:
        """The result, or as many as are wanted."""
        result = OPERATORS[self.__name__](self._attributes, *inputs)
        several = isinstance(result, tuple) and not isinstance(result, Known)
        if self._results == 1:
            return result[0] if several else result
        if not several or len(result) < self._results:
            raise NotFollowedError(f"{self._results} results")
        return result

    def _is_small(self, inputs: list[Known]) -> bool:
        sizes = [max(value.tensor.numel(), 1) for value in inputs]
        if self.__name__ in LARGE:
            sizes = [int(min(abs(n), 2**31)) or 1 for value in inputs for n in numbers(value)]
        return prod(sizes) <= MOST_COMPUTED


def _as_known(result: Any) -> Any:
    if isinstance(result, tuple) and not isinstance(result, Known):
        return tuple(map(_as_known, result))
    if isinstance(result, list):
        return list(map(_as_known, result))
    return Known(result) if isinstance(result, torch.Tensor) else result
