"""Values that are known: indices that torch refuses to look up, and others, are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from math import inf, prod
from typing import Any, NamedTuple, TypeAlias

import torch
from torch import Tensor

from costlab.errors import PlaceError, ShapeError
from costlab.torch_private import SymInt
from costlab.trace.known_values import KnownValues
from costlab.trace.symbolic_numbers import at_hint


class _Lookup(NamedTuple):
    """Indices (a tensor, a list, or a number), and how many places they may name.

    ``least`` is the first place: negative where they may count from the end. One index is
    ``ignored``; it may be that ``only_first`` is meant, as of bags, which begin at 0.
    """

    indices: Any
    size: int
    least: int = 0
    ignored: int | None = None
    only_first: bool = False

    def ends(self, known: KnownValues) -> tuple[int, ...]:
        """The least and the largest index; none where they are not known."""
        indices: Any = self.indices
        if isinstance(indices, Tensor):
            if ends := known.ends_of(indices):
                # They may be too far apart: at the hints the run on numbers knows each.
                return (
                    ends
                    if all(self.least <= at_hint(end) < at_hint(self.size) for end in ends)
                    else ()
                )
            values = known.of(indices)
            indices = None if values is None else values.copy
        elif type(indices) is SymInt:
            return (indices,)
        elif type(indices) is int or (type(indices) in (list, tuple) and _begins_whole(indices)):
            indices = torch.tensor(indices)
        else:
            indices = None
        if indices is None:
            return ()
        indices = indices.flatten()[:1] if self.only_first else indices
        if self.ignored is not None:
            indices = indices[indices != self.ignored]
        if not indices.numel() or indices.is_floating_point():
            return ()
        return int(indices.min()), int(indices.max())


def _begins_whole(indices: Any) -> bool:
    return bool(indices) and type(indices[0]) is int


_Lookups: TypeAlias = Iterator[_Lookup]


def _rows(ids: Any, weight: Any, padding_idx: Any = None, *more: Any, **named: Any) -> _Lookups:
    if weight.is_floating_point():  # else the table is first, as `torch.embedding` has it
        yield _Lookup(ids, weight.shape[0])


def _bags(
    ids: Any,
    weight: Any,
    offsets: Any = None,
    *more: Any,
    include_last_offset: bool = False,
    **named: Any,
) -> _Lookups:
    yield _Lookup(ids, weight.shape[0])
    if offsets is not None:
        yield _Lookup(offsets, ids.shape[0] + 1)
        yield _Lookup(offsets, 1, only_first=True)


def _along(input: Any, dim: Any, index: Any, *more: Any, **named: Any) -> _Lookups:
    yield _Lookup(index, input.shape[dim] if input.dim() else 1)


def _filled(input: Any, dim: Any, index: Any, *more: Any, **named: Any) -> _Lookups:
    size = input.shape[dim] if input.dim() else 1
    yield _Lookup(index, size, -size)


def _anywhere(input: Any, index: Any, *more: Any, **named: Any) -> _Lookups:
    yield _Lookup(index, input.numel(), -input.numel())


def _one_hot(input: Any, num_classes: int = -1) -> _Lookups:
    if num_classes != -1:
        yield _Lookup(input, num_classes)


def _classes(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    *more: Any,
    **named: Any,
) -> _Lookups:
    """Of a loss: the class of each element, unless ``target`` has the share of each class."""
    if not target.is_floating_point():
        yield _Lookup(target, input.shape[min(input.dim() - 1, 1)], 0, ignore_index)


def _margins(input: Any, target: Any, *more: Any, **named: Any) -> _Lookups:
    yield _Lookup(target, input.shape[-1])


def _several_margins(input: Any, target: Any, *more: Any, **named: Any) -> _Lookups:
    yield _Lookup(target, input.shape[-1], -1)  # which ends a row


def _scatter_of_one(input: Any, src: Any, dim: int, index: int) -> _Lookups:
    yield _Lookup(index, input.shape[dim], -input.shape[dim])


def _unpooled(rank: int) -> Callable[..., _Lookups]:
    """Of ``max_unpool2d`` and its kin: places in an image of the unpooled size."""

    def lookups(
        input: Any,
        indices: Any,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        output_size: Any = None,
    ) -> _Lookups:
        windows = kernel_size, stride or kernel_size, padding
        kernel, steps, padded = (
            (size,) * rank if isinstance(size, int) else size for size in windows
        )
        sides = [
            (side - 1) * step - 2 * pad + window
            for side, step, pad, window in zip(
                input.shape[-rank:], steps, padded, kernel, strict=True
            )
        ]
        yield _Lookup(indices, prod(output_size[-rank:] if output_size else sides))

    return lookups


def _items(input: Any, index: Any, *more: Any) -> _Lookups:
    """Of ``x[index]``: of each axis the numbers and lists of these."""
    items = index if isinstance(index, tuple) else (index,)
    axis, left = 0, sum(map(_axes_of, items))
    for item in items:
        taken = _axes_of(item)
        left -= taken
        if item is Ellipsis:
            axis = input.dim() - left
        elif taken == 1 and type(item) is not slice and axis < input.dim():
            yield _Lookup(item, input.shape[axis], -input.shape[axis])
        axis += taken


def _axes_of(item: Any) -> int:
    """How many axes an item of an index is about."""
    if item is None or item is Ellipsis or type(item) is bool:
        return 0
    if isinstance(item, Tensor) and item.dtype in (torch.bool, torch.uint8):
        return item.dim()
    return 1


PLACES = frozenset(("index", "select_scatter"))
"""Calls that have numbers and lists of these for places too, which are known in any case."""

_LOOKUPS: dict[str, Callable[..., _Lookups]] = {
    "embedding": _rows,
    "embedding_bag": _bags,
    **dict.fromkeys(("index_select", "index_add", "index_copy", "index_reduce"), _along),
    **dict.fromkeys(("gather", "scatter", "scatter_add", "scatter_reduce"), _along),
    "index_fill": _filled,
    **dict.fromkeys(("take", "put"), _anywhere),
    "one_hot": _one_hot,
    **dict.fromkeys(("cross_entropy", "nll_loss"), _classes),
    "multi_margin_loss": _margins,
    "multilabel_margin_loss": _several_margins,
    "select_scatter": _scatter_of_one,
    **{f"max_unpool{rank}d": _unpooled(rank) for rank in (1, 2, 3)},
    **dict.fromkeys(("index", "index_put"), _items),
}


class _Bounds(NamedTuple):
    """A tensor, and between which numbers its elements have to be."""

    tensor: Any
    least: float
    most: float
    what: str


def _shares(input: Any, target: Any, *more: Any, **named: Any) -> Iterator[_Bounds]:
    yield _Bounds(input, 0, 1, "element of its input")
    yield _Bounds(target, 0, 1, "element of its target")


def _probabilities(input: Any, *more: Any, **named: Any) -> Iterator[_Bounds]:
    yield _Bounds(input, 0, 1, "probability")


def _weights(input: Any, *more: Any, **named: Any) -> Iterator[_Bounds]:
    yield _Bounds(input, 0, inf, "weight")


def _deviations(mean: Any, std: Any = 1.0, *more: Any, **named: Any) -> Iterator[_Bounds]:
    yield _Bounds(std, 0, inf, "standard deviation")


_BOUNDS: dict[str, Callable[..., Iterator[_Bounds]]] = {
    "binary_cross_entropy": _shares,
    "bernoulli": _probabilities,
    "multinomial": _weights,
    "normal": _deviations,
}


def require_in_range(known: KnownValues, name: str, args: Any, named: dict[str, Any]) -> None:
    """Refuse known indices and elements that are out of range. Raises ``ShapeError``."""
    if name in _BOUNDS:
        _require_between(known, name, args, named)
    if name not in _LOOKUPS:
        return
    try:
        lookups = list(_LOOKUPS[name](*args, **named))
    except (TypeError, AttributeError, IndexError):  # it is called in another way
        return
    for lookup in lookups:
        for index in lookup.ends(known):
            if not lookup.least <= index < lookup.size:
                raise PlaceError(f"index {index} is out of range: there are {lookup.size}")


def _require_between(known: KnownValues, name: str, args: Any, named: dict[str, Any]) -> None:
    bounds: list[_Bounds] = []
    with suppress(TypeError):  # it is called in another way
        bounds += _BOUNDS[name](*args, **named)
    for tensor, least, most, what in bounds:
        values = known.of(tensor) if isinstance(tensor, Tensor) else None
        if values is None or not values.copy.numel() or values.copy.is_complex():
            continue
        for value in (values.copy.min().item(), values.copy.max().item()):
            if not least <= value <= most:
                expected = f"{least} to {most}" if most < inf else f"at least {least}"
                raise ShapeError(f"a {what} is {value:g}, expected {expected}")
