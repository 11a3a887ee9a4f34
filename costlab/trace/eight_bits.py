"""Tensors of quantised numbers, for which torch has few kernels on ``meta``."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.trace.tape import Tape
from costlab.trace.tensors import META, nested, tensors

QUANTIZED = {torch.quint8: torch.uint8, torch.qint8: torch.int8, torch.qint32: torch.int32}
"""Types of quantised numbers, and the whole numbers that they are stored as."""


def has_quantized(arguments: Any) -> bool:
    """Whether there are quantised tensors among nested arguments."""
    return any(tensor.dtype in QUANTIZED for tensor in tensors(arguments))


def on_whole_numbers(tape: Tape, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """What a function gives for tensors on ``meta``, as if quantised ones were of whole numbers."""
    back = {QUANTIZED[t.dtype]: t.dtype for t in tensors((args, kwargs)) if t.dtype in QUANTIZED}

    def made(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
        if dtype is None:
            return tensor
        other = torch.empty(tensor.shape, dtype=dtype, device=META)
        tape.alike(other, tensor)
        return other

    stored, named = nested(lambda tensor: made(tensor, QUANTIZED.get(tensor.dtype)), (args, kwargs))
    result = function(*stored, **named)
    return nested(lambda tensor: made(tensor, back.get(tensor.dtype)), result)
