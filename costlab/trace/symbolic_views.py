"""Calls of which torch would ask how elements lie in memory: these ask only what is counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from costlab.torch_private import SymInt, enable_python_dispatcher
from costlab.trace.symbolic_numbers import size_of, sym_int
from costlab.trace.tensors import META


def _numbers(sizes: tuple[Any, ...]) -> list[Any] | None:
    """The sizes that a call of ``view`` or ``reshape`` has; None for a type."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = tuple(sizes[0])
    return None if any(isinstance(size, torch.dtype) for size in sizes) else list(sizes)


def _view(x: Tensor, *sizes: Any, size: Any = None, shape: Any = None) -> Tensor | None:
    """A tensor of as many elements; where they lie in memory decides nothing that is counted."""
    named = size if size is not None else shape
    wanted = _numbers((named,) if named is not None else sizes)
    if wanted is None:
        return None
    wanted = [size_of(number) for number in wanted]
    elements: Any = 1
    for dimension in x.shape:
        elements = size_of(dimension) * elements
    known: Any = 1
    unknown = None
    for place, number in enumerate(wanted):
        if type(number) is int and number == -1:
            if unknown is not None:
                return None  # torch says what is wrong
            unknown = place
        else:
            known = number * known
    if unknown is not None:
        wanted[unknown] = elements // known
        known = known * wanted[unknown]
    if known != elements:
        return None
    strides: list[Any] = []
    step: Any = 1
    for number in reversed(wanted):
        strides.insert(0, step)
        step = number * step
    return _strided(x, wanted, strides)


def _strided(x: Tensor, shape: Any, strides: Any) -> Tensor:
    with enable_python_dispatcher():
        return x.as_strided([sym_int(n) for n in shape], [sym_int(n) for n in strides])


def _flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor | None:
    rank = x.dim()
    if rank == 0 or not isinstance(start_dim, int) or not isinstance(end_dim, int):
        return None
    start, end = start_dim % rank, end_dim % rank
    if start > end:
        return None
    if start == end:
        return x
    joined: Any = 1
    for dimension in x.shape[start : end + 1]:
        joined = size_of(dimension) * joined
    return _view(x, (*x.shape[:start], sym_int(joined), *x.shape[end + 1 :]))


def _unflatten(x: Tensor, dim: Any, sizes: Any) -> Tensor | None:
    if not isinstance(dim, int) or not isinstance(sizes, (tuple, list)):
        return None
    place = dim % x.dim()
    wanted = [size_of(size) for size in sizes]
    if -1 in [n for n in wanted if type(n) is int]:
        known: Any = 1
        for number in wanted:
            if not (type(number) is int and number == -1):
                known = number * known
        unknown = next(i for i, n in enumerate(wanted) if type(n) is int and n == -1)
        wanted[unknown] = size_of(x.shape[place]) // known
    return _view(x, (*x.shape[:place], *map(sym_int, wanted), *x.shape[place + 1 :]))


def _copied(x: Tensor, **how: Any) -> Tensor:
    return torch.empty(x.shape, dtype=x.dtype, device=META)


def _contiguous(x: Tensor, **how: Any) -> Tensor:
    sizes: Any = x.shape
    of = next(size.node.value.of for size in sizes if type(size) is SymInt)
    with of.unasked():  # whether it is a copy decides nothing that is counted
        return x if x.is_contiguous() else _copied(x)


def _like(x: Tensor, *more: Any, dtype: torch.dtype | None = None, **how: Any) -> Tensor:
    return torch.empty(x.shape, dtype=dtype or x.dtype, device=META)


def _shuffled(x: Tensor, factor: int) -> Tensor | None:
    if x.dim() != 4 or type(factor) is not int:
        return None
    n, c, h, w = map(size_of, x.shape)
    if c % factor**2 != 0:
        return None
    return _made(x, (n, c // factor**2, h * factor, w * factor))


def _unshuffled(x: Tensor, factor: int) -> Tensor | None:
    if x.dim() != 4 or type(factor) is not int:
        return None
    n, c, h, w = map(size_of, x.shape)
    if h % factor != 0 or w % factor != 0:
        return None
    return _made(x, (n, c * factor**2, h // factor, w // factor))


def _made(x: Tensor, shape: Any) -> Tensor:
    return torch.empty([sym_int(size) for size in shape], dtype=x.dtype, device=META)


def _indexed(x: Tensor, index: Any) -> Tensor | None:
    """``x[:, T - 1]``, of which torch would take the number."""
    parts = index if isinstance(index, tuple) else (index,)
    if SymInt not in map(type, parts) or not _PLAIN.issuperset(map(type, parts)):
        return None
    taken = sum(part is not None and part is not ... for part in parts)
    result, axis, skipped = x, 0, x.dim() - taken
    with enable_python_dispatcher():
        for part in parts:
            if part is ...:
                axis += skipped
            elif part is None:
                result = result.unsqueeze(axis)
                axis += 1
            elif type(part) is slice:
                result = result[(slice(None),) * axis + (part,)]
                axis += 1
            else:
                result = result.select(axis, part)
    return result


_PLAIN = {slice, int, SymInt, type(None), type(...)}

VIEWED: Mapping[str, Any] = {
    "clone": _copied,
    "roll": lambda x, *how, **named: _copied(x),
    "contiguous": _contiguous,
    "empty_like": _like,
    "zeros_like": _like,
    "ones_like": _like,
    "full_like": _like,
    "rand_like": _like,
    "randn_like": _like,
    "pixel_shuffle": _shuffled,
    "pixel_unshuffle": _unshuffled,
    "index": _indexed,
    "view": _view,
    "reshape": _view,
    "flatten": _flatten,
    "unflatten": _unflatten,
}
"""Calls of which torch would ask how elements lie in memory: these ask only what is counted."""
