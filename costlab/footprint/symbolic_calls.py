"""Functions of torch that take no sizes with symbols, though the operations that they call do.

Their C++ asks for plain numbers on the way. What it does is said here in Python; whether that is so
is compared with the run at the numbers, as all that is followed.
"""

from __future__ import annotations

from collections.abc import Callable
from math import trunc
from typing import Any

import torch
from torch import Tensor

from costlab.footprint.symbolic_recurrent import RECURRENT
from costlab.footprint.usual import RESAMPLING
from costlab.isolation.replaced import Shared
from costlab.symbols.size import Size
from costlab.torch_private import (
    SymInt,
    convolution_kernel,
    functions_in_c,
    neural_functions,
    recurrent_functions,
)
from costlab.trace.symbolic import has_symbols
from costlab.trace.symbolic_numbers import equal, size_of


def _interpolation(name: str) -> Callable[..., Any]:
    """``upsample_*``, which computes the size from factors and calls the operation."""
    own, operation = getattr(neural_functions, name), getattr(torch.ops.aten, name).default

    def interpolated(x: Tensor, size: Any, *settings: Any) -> Any:
        if not has_symbols((x, size)):
            return own(x, size, *settings)
        *aligned, factors = settings
        if size is None:
            size = [trunc(d * float(f)) for d, f in zip(x.shape[2:], factors, strict=True)]
        scales = [None] * len(size) if factors is None else map(float, factors)
        return operation(x, size, *aligned, *scales)

    return interpolated


_own_item: Any = Tensor.__getitem__


def _item(tensor: Tensor, index: Any) -> Any:
    """``x[:, 1:]``, which is no slice of an axis that is taken as a whole: with symbols it is.

    ``x[:]`` is one either way.
    """
    if type(index) is slice:
        return _own_item(tensor, index)
    parts = index if isinstance(index, tuple) else (index,)
    lists = [part for part in parts if type(part) is list]
    plain = all(type(part) in _PLAIN for part in parts if type(part) is not list)
    if not has_symbols(tensor) or not plain or len(lists) > 1:
        return _own_item(tensor, index)
    taken = sum(part is not None and part is not ... for part in parts)
    result, axis, skipped = tensor, 0, tensor.dim() - taken
    indices: list[Tensor | None] = []
    for part in parts:
        if part is ...:
            axis += skipped
        elif part is None:
            result = result.unsqueeze(axis)
            axis += 1
        elif type(part) is slice:
            if not _is_whole(part, result.shape[axis]):
                result = torch.ops.aten.slice(result, axis, part.start, part.stop, part.step or 1)
            axis += 1
        elif type(part) is list:
            indices = [*[None] * axis, torch.tensor(part)]
            axis += 1
        else:
            result = result.select(axis, part)
    if indices:
        return torch.ops.aten.index(result, indices)
    return torch.ops.aten.alias(result) if result is tensor else result


_PLAIN = (slice, int, SymInt, type(None), type(...))


def _is_whole(part: slice, size: Any) -> bool:
    from_start = part.start is None or (type(part.start) is int and not part.start)
    return from_start and part.step in (None, 1) and (part.stop is None or equal(part.stop, size))


def _convolution_kernel(x: Tensor, weight: Tensor, **how: Any) -> Any:
    """Which kernel a convolution is, which torch asks for how its results lie in memory.

    The quickest: that depends on the batch, and on how many threads there are. All of them lay
    their results out alike, but those of volumes.
    """
    sizes = [size for d in (*x.shape, *weight.shape) if isinstance(size := size_of(d), Size)]
    if not sizes or x.dim() > _OF_IMAGES:
        return convolution_kernel(x, weight, **how)
    with sizes[0].of.unasked():
        return convolution_kernel(x, weight, **how)


_OF_IMAGES = 4

calls_take_symbols = Shared(
    (neural_functions, {name: _interpolation(name) for name in RESAMPLING}),
    (recurrent_functions, RECURRENT),
    (functions_in_c, {convolution_kernel.__name__: _convolution_kernel}),
    (Tensor, {"__getitem__": _item}),
)
"""Let these functions take sizes with symbols until the last of all runs ends."""
