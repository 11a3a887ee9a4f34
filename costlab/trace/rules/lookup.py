"""Tables that are looked up, and tensors that are joined."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from costlab.ops.layout import Embedding
from costlab.ops.zero_cost import Concat
from costlab.trace.registry import rule
from costlab.trace.tape import Tape


@rule("embedding")
def embedding(on: Tape, input: Tensor, weight: Tensor, *more: Any, **named: Any) -> Any:
    """``F.embedding(input, weight)``, or with the table first, as ``torch.embedding`` has it."""
    if input.dtype.is_floating_point:
        input, weight = weight, input
    op = Embedding(weight.shape[0], weight.shape[1])
    return on.record(op, (input,), (weight,), dtype=weight.dtype)


@rule("cat")
def cat(on: Tape, tensors: Any, dim: Any = 0, *, axis: Any = None, out: Any = None) -> Any:
    dim = dim if axis is None else axis
    if out is not None or not isinstance(dim, int):
        return NotImplemented
    kept = [each for each in tensors if tuple(each.shape) != (0,)]  # torch leaves these out
    if len({each.dtype for each in kept}) != 1:
        return NotImplemented
    return on.record(Concat(dim), kept)
