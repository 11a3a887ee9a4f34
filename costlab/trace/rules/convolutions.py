"""Convolutions."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from costlab import formatting
from costlab.errors import ShapeError
from costlab.ops.conv import Conv
from costlab.ops.conv_transpose import ConvTranspose
from costlab.trace.arguments import sizes, whole
from costlab.trace.refusals import require_alike, require_length
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META


def conv(
    on: Tape,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    rank: int | None = None,
) -> Any:
    shape = weight.shape
    out_channels = shape[0]
    _require_weight(input, weight, bias, shape[1] * groups, out_channels, rank)
    attributes = (
        out_channels,
        tuple(shape[2:]),
        sizes(stride),
        padding if isinstance(padding, str) else sizes(padding),
        sizes(dilation),
        whole(groups),
        bias is not None,
    )
    return on.apply(Conv, attributes, input, weight.dim(), (weight, bias))


def conv_transpose(
    on: Tape,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    rank: int | None = None,
) -> Any:
    out_channels = weight.shape[1] * groups
    _require_weight(input, weight, bias, weight.shape[0], out_channels, rank)
    attributes = (
        out_channels,
        tuple(weight.shape[2:]),
        sizes(stride),
        sizes(padding),
        sizes(output_padding),
        whole(groups),
        bias is not None,
        sizes(dilation),
    )
    return on.apply(ConvTranspose, attributes, input, weight.dim(), (weight, bias))


def _require_weight(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    wanted: int,
    out_channels: int,
    rank: int | None,
) -> None:
    """The input is of the weight's rank, or without the batch, and has the channels it wants.

    ``rank`` is the number of spatial axes that the function is for; None is any.
    """
    shape, axes = input.shape, weight.dim()
    if rank is not None and axes != rank + 2:
        raise ShapeError(f"its weight has {axes} axes, expected {rank + 2}")
    missing = axes - len(shape)  # 1 where there is no batch
    if missing not in (0, 1):
        raise ShapeError(
            f"its input {formatting.shape(shape)} has {len(shape)} axes, expected "
            f"{axes}, or {axes - 1} without the batch"
        )
    if shape[1 - missing] != wanted:
        raise ShapeError(
            f"its input {formatting.shape(shape)} has {shape[1 - missing]} channels, "
            f"its weight is for {wanted}"
        )
    dtype = weight.dtype
    if bias is not None:
        if bias.shape != (out_channels,):
            require_length("bias", bias, out_channels)
        if bias.dtype is not dtype:
            require_alike(input, weight, bias)
    if input.dtype is not dtype:
        require_alike(input, weight)


for _rank in (1, 2, 3):
    rule(f"conv{_rank}d", checked=True)(partial(conv, rank=_rank))
    rule(f"conv_transpose{_rank}d", checked=True)(partial(conv_transpose, rank=_rank))


@rule("convolution", "_convolution")
def convolution(
    on: Tape,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    transposed: bool,
    output_padding: Any,
    groups: int,
    *flags: bool,
) -> Any:
    for numbers in (stride, padding, dilation, output_padding):
        if len(numbers) not in (1, weight.dim() - 2):
            raise ShapeError(f"{tuple(numbers)} is not a number for each of its spatial axes")
    if min(output_padding) < 0:
        raise ShapeError("output_padding must be at least 0")
    if transposed:
        return conv_transpose(
            on, input, weight, bias, stride, padding, output_padding, groups, dilation
        )
    return conv(on, input, weight, bias, stride, padding, dilation, groups)


@rule("conv_tbc")
def conv_tbc(on: Tape, input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Any:
    """A convolution of ``[time, batch, channels]`` by ``[taps, in, out]``."""
    if pad < 0:
        return NotImplemented
    require_alike(input, weight)
    if input.dtype is torch.bool:
        raise ShapeError("its input is bool, expected numbers")
    steps, batch, channels = input.shape
    op = Conv(weight.shape[2], (weight.shape[0],), 1, pad)
    shape = (batch, channels, steps)
    batch, channels, steps = op.output(shape)
    result = torch.empty((steps, batch, channels), dtype=input.dtype, device=META)
    return on.record(op, (input,), (weight, bias), shapes=(shape,), result=result)
