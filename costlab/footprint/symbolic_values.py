"""Values that follow from sizes alone, such as those of a causal mask, where sizes are symbols.

How they were made is kept, not what they are. Code that asks for one gets it at the hints, and the
sizes that it was made of are fixed there. Only whether two that were made in the same way are equal
is known at all sizes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from costlab.footprint.answers import SMALL, Operation
from costlab.symbols.assumptions import Assumptions
from costlab.torch_private import SymFloat, SymInt, without_modes
from costlab.trace.symbolic_numbers import equal
from costlab.trace.tensors import nested


class UnknownValueError(Exception):
    """A value does not follow from sizes, or from too many of them."""


class _Recipe(NamedTuple):
    """A call that made values, what it took (recipes and numbers), and the type that it gave."""

    func: Any
    args: Any
    kwargs: dict[str, Any]
    dtype: torch.dtype

    @property
    def name(self) -> str:
        return str(self.func.overloadpacket.__name__)


class Recipes:
    """How tensors were made whose values follow from sizes."""

    def __init__(self, of: Assumptions) -> None:
        self._of = of
        self._of_tensors: Any = WeakTensorKeyDictionary()

    def note(
        self,
        operation: Operation,
        args: Any,
        kwargs: dict[str, Any],
        taken: list[Tensor],
        made: Any,
    ) -> None:
        """Note an operation and what it has made, if that is a tensor whose values follow."""
        if operation.written:
            self._forget(taken)
            return
        func, of_tensors = operation.func, self._of_tensors
        if not isinstance(made, Tensor) or not _follows(operation):
            return
        if operation.fills or (taken and all(tensor in of_tensors for tensor in taken)):
            args, kwargs = nested(self._recipe, (args, kwargs))
            of_tensors[made] = _Recipe(func, args, kwargs, made.dtype)

    def _recipe(self, tensor: Tensor) -> Any:
        """How a tensor was made; anyhow, if only its shape matters, as to `zeros_like`."""
        known = self._of_tensors.get(tensor)
        if known is not None:
            return known
        empty, shape = torch.ops.aten.empty.memory_format, list(tensor.shape)
        return _Recipe(empty, (shape,), {"dtype": tensor.dtype}, tensor.dtype)

    def _forget(self, written: list[Tensor]) -> None:
        """Values in the memory of these are others now."""
        places = {tensor.untyped_storage()._cdata for tensor in written}
        for known in list(self._of_tensors):
            if known.untyped_storage()._cdata in places:
                del self._of_tensors[known]

    def value(self, tensor: Tensor) -> Any:
        """The one element of a tensor. Raises ``UnknownValueError``."""
        recipe = self._of_tensors.get(tensor)
        if recipe is None:
            raise UnknownValueError
        with without_modes():
            with self._of.unasked():
                value = _done(recipe, {}).item()
            if not (value is True and _compares_the_same(recipe)):
                _done(recipe, {})  # this time sizes are asked for
        return value


def _follows(operation: Operation) -> bool:
    """Whether what an operation gives follows from what it takes."""
    is_random = torch.Tag.nondeterministic_seeded in operation.func.tags
    return not (is_random or operation.makes_only_room)


def _compares_the_same(recipe: _Recipe) -> bool:
    """Whether all elements of two tensors are compared that were made in the same way."""
    (compared,) = recipe.args if recipe.name == "all" and len(recipe.args) == 1 else (None,)
    return isinstance(compared, _Recipe) and compared.name == "eq" and _same(*compared.args)


def _same(one: Any, other: Any) -> bool:
    """Whether two recipes, or what these take, are the same, whatever the sizes are."""
    if isinstance(one, _Recipe) and isinstance(other, _Recipe):
        is_same = one.func is other.func and one.dtype == other.dtype
        return is_same and _same(_settings(one), _settings(other))
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if type(one) in (int, SymInt) and type(other) in (int, SymInt):
        return equal(one, other)
    return type(one) is type(other) and bool(one == other)


def _settings(recipe: _Recipe) -> Any:
    """What decides values beside the type of the result, which may be said or not."""
    named = {name: value for name, value in recipe.kwargs.items() if name not in _OF_THE_RESULT}
    return recipe.args, sorted(named.items())


_OF_THE_RESULT = ("dtype", "device", "layout", "pin_memory", "memory_format")


def _done(recipe: _Recipe, known: dict[int, Tensor]) -> Tensor:
    """The values, at the hints. Raises ``UnknownValueError`` where there are too many."""
    if id(recipe) not in known:
        args, kwargs = _numbers((recipe.args, recipe.kwargs), known)
        result: Tensor = recipe.func(*args, **kwargs)
        if result.numel() > SMALL:
            raise UnknownValueError
        known[id(recipe)] = result
    return known[id(recipe)]


def _numbers(value: Any, known: dict[int, Tensor]) -> Any:
    if isinstance(value, _Recipe):
        return _done(value, known)
    if isinstance(value, (list, tuple)):
        return type(value)([_numbers(item, known) for item in value])
    if isinstance(value, dict):
        return {name: _numbers(item, known) for name, item in value.items()}
    if type(value) is SymFloat:
        return float(value)
    return int(value) if type(value) is SymInt else value
