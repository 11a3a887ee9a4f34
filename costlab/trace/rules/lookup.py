"""Tables that are looked up, windows that are put together, tensors that are joined."""

from __future__ import annotations

from math import prod
from typing import Any

import torch
from torch import Tensor

from costlab.errors import ShapeError
from costlab.ops.broadcast import Multiply
from costlab.ops.lookup import Embedding
from costlab.ops.pointwise import Pair
from costlab.ops.reduce import Reduce, Scatter
from costlab.ops.resample import Fold
from costlab.ops.uncounted import Uncounted
from costlab.ops.zero_cost import Concat
from costlab.trace.promotion import promoted
from costlab.trace.refusals import require_alike
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META

_INDICES = (torch.int64, torch.int32)


@rule("embedding", checked=True)  # our words say what to do
def embedding(
    on: Tape,
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: Any = None,
    *more: Any,
    **named: Any,
) -> Any:
    """``F.embedding(input, weight)``, or with the table first, as ``torch.embedding`` has it."""
    if weight.dtype in _INDICES:
        input, weight, max_norm = weight, input, None
    if weight.dim() != 2:
        raise ShapeError(f"its table has 2 axes, not {weight.dim()}")
    if input.dtype not in _INDICES:
        raise ShapeError(
            f"it looks up whole numbers, its input is {str(input.dtype).removeprefix('torch.')}: "
            "give inputs=, or input_type='int64' (--input-type int64)"
        )
    if padding_idx is not None and not -weight.shape[0] <= padding_idx < weight.shape[0]:
        raise ShapeError(f"its padding_idx is {padding_idx}, its table has {weight.shape[0]} rows")
    if max_norm is not None:  # which rows are scaled, and how often each is there, are values
        rows = (input.numel(), weight.shape[1])
        on.record(Uncounted("embedding_renorm", rows), (input,), (weight,), dtype=weight.dtype)
    op = Embedding(weight.shape[0], weight.shape[1])
    return on.record(op, (input,), (weight,), dtype=weight.dtype)


@rule("cat", checked=True)
def cat(on: Tape, tensors: Any, dim: Any = 0) -> Any:
    kept = [tensor for tensor in tensors if tuple(tensor.shape) != (0,)]  # torch leaves these out
    if not isinstance(dim, int):
        return NotImplemented
    if not kept:
        nothing = torch.empty((0,), dtype=promoted(*tensors), device=META)
        return on.moved("cat", list(tensors), nothing)
    return on.record(Concat(dim), kept, dtype=promoted(*tensors))


@rule("embedding_bag")
def embedding_bag(
    on: Tape,
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    """``F.embedding_bag``: rows are looked up, and those of a bag become one."""
    if max_norm is not None or weight.dtype not in _FLOATS:
        return NotImplemented
    require_alike(weight, per_sample_weights)
    rows = embedding(on, input, weight)
    if per_sample_weights is not None:
        shapes = (tuple(rows.shape), (*per_sample_weights.shape, 1))
        rows = on.record(Multiply(), (rows, per_sample_weights), shapes=shapes)
    return together(on, rows, input, offsets, mode, include_last_offset)


def together(
    on: Tape, rows: Tensor, input: Tensor, offsets: Tensor | None, mode: str, last: bool
) -> Any:
    """What the rows that an input has looked up become."""
    if input.dim() == 2:
        return on.record(Reduce(mode, (1,)), (rows,))
    return NotImplemented if offsets is None else in_bags(on, rows, offsets, mode, last)


def in_bags(on: Tape, rows: Tensor, offsets: Tensor, mode: str, last: bool) -> Tensor:
    """What the rows of bags that begin there become; ``last`` is whether offsets have the end."""
    bags = offsets.shape[0] - int(last)
    bag = torch.empty((bags, *rows.shape[1:]), dtype=rows.dtype, device=META)
    start = on.moved("zeros", (rows,), bag)
    sums = on.record(Scatter("amax" if mode == "max" else "sum"), (start, rows))
    return sums if mode != "mean" else on.record(Pair("div"), (sums,))


_FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


@rule("fold")
def fold(
    on: Tape,
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Any:
    size, kernel = (
        (size_given, size_given) if isinstance(size_given, int) else tuple(size_given)
        for size_given in (output_size, kernel_size)
    )
    op, shape = Fold(size, prod(kernel)), tuple(input.shape)
    if input.dim() == 3:
        return on.record(op, (input,))
    result = torch.empty(op.output((1, *shape))[1:], dtype=input.dtype, device=META)
    return on.record(op, (input,), shapes=((1, *shape),), result=result)


@rule("unfold_backward")
def unfold_backward(
    on: Tape, grad_in: Tensor, input_sizes: Any, dim: int, size: int, step: int
) -> Any:
    """What ``istft`` puts its frames together by."""
    windows = (grad_in.numel() // (size * grad_in.shape[dim]), size, grad_in.shape[dim])
    result = torch.empty(tuple(input_sizes), dtype=grad_in.dtype, device=META)
    op = Fold((input_sizes[dim],), size)
    return on.record(op, (grad_in,), shapes=(windows,), result=result)
