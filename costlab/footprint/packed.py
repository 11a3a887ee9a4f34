"""Calls whose results are as large as known values say: of packed sequences, and of masks."""

from __future__ import annotations

import sys
from math import prod
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_packed_sequence

from costlab.torch_private import without_modes
from costlab.trace.classification import code_at_work

Sized: TypeAlias = "tuple[tuple[int, ...], Tensor | None]"
"""The shape of a result, and what is given beside it, with its values."""


def packed(func: Any, data: Tensor, lengths: Tensor, *more: Any) -> Sized:
    """Of sequences of these lengths, and how many of them have each step."""
    with without_modes():
        one, counts = func(torch.zeros(*data.shape[:2], 1), lengths, *more)
    return (len(one), *data.shape[2:]), counts


def selected(_: Any, data: Tensor, mask: Tensor) -> Sized:
    """The elements where a mask is true, as often as it is repeated for them."""
    with without_modes():
        number = int(mask.count_nonzero())
    shape: Any = torch.broadcast_shapes(data.shape, mask.shape)  # type: ignore[no-untyped-call]
    return (number * prod(shape) // max(mask.numel(), 1),), None


def is_for_lengths() -> bool:
    """Whether room is for the lengths of sequences, which torch's C++ writes without a call."""
    frame = code_at_work(sys._getframe(1))
    return frame is not None and frame.f_code is pad_packed_sequence.__code__
