"""Indices whose values are known: what torch refuses when it looks them up is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from torch import Tensor

from costlab.errors import ShapeError
from costlab.trace.known_values import KnownValues


class _Lookup(NamedTuple):
    """Indices, and how many places they may name; also from the end, if ``both``."""

    indices: Any
    size: int
    both: bool = False


def _rows(ids: Any, weight: Any, *more: Any, **named: Any) -> Iterator[_Lookup]:
    if weight.is_floating_point():  # else the table is first, as `torch.embedding` has it
        yield _Lookup(ids, weight.shape[0])


def _along(input: Any, dim: Any, index: Any, *more: Any, **named: Any) -> Iterator[_Lookup]:
    yield _Lookup(index, input.shape[dim] if input.dim() else 1)


def _anywhere(input: Any, index: Any, *more: Any) -> Iterator[_Lookup]:
    yield _Lookup(index, input.numel(), True)


def _classes(input: Any, num_classes: int = -1) -> Iterator[_Lookup]:
    if num_classes > 0:
        yield _Lookup(input, num_classes)


def _items(input: Any, index: Any) -> Iterator[_Lookup]:
    """Of ``x[index]``, up to where axes are added, left out or chosen by truths."""
    for axis, item in enumerate(index if isinstance(index, tuple) else (index,)):
        looks_up = isinstance(item, Tensor) and not item.is_floating_point() and item.itemsize > 1
        if not (looks_up or type(item) in (int, slice)) or axis >= input.dim():
            return
        if looks_up:
            yield _Lookup(item, input.shape[axis], True)


_LOOKUPS: dict[str, Callable[..., Iterator[_Lookup]]] = {
    "embedding": _rows,
    "embedding_bag": _rows,
    **dict.fromkeys(("index_select", "index_add", "index_copy", "index_fill"), _along),
    **dict.fromkeys(("gather", "scatter", "scatter_add", "scatter_reduce"), _along),
    "take": _anywhere,
    "one_hot": _classes,
    "index": _items,
}


def require_in_range(known: KnownValues, name: str, args: Any, named: dict[str, Any]) -> None:
    """Refuse known indices that are out of range. Raises ``ShapeError``."""
    if name not in _LOOKUPS:
        return
    try:
        lookups = list(_LOOKUPS[name](*args, **named))
    except (TypeError, AttributeError, IndexError):  # it is called in another way
        return
    for indices, size, both in lookups:
        values = known.of(indices) if isinstance(indices, Tensor) else None
        if values is None or not values.copy.numel():
            continue
        least, most = int(values.copy.min()), int(values.copy.max())
        if most >= size or least < (-size if both else 0):
            wrong = most if most >= size else least
            raise ShapeError(f"index {wrong} is out of range: there are {size}")
