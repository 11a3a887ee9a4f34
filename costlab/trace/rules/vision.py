"""What samples images at places of any kind, and torchvision's operators, by their full names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.sample import DeformConv, GridSample, RoiAlign
from costlab.trace.registry import rule
from costlab.trace.tape import META, Tape

_MODES = ("bilinear", "nearest", "bicubic")


@rule("grid_sample")
def grid_sample(
    on: Tape,
    input: Tensor,
    grid: Tensor,
    mode: str | int = "bilinear",
    padding_mode: str | int = "zeros",
    align_corners: bool | None = None,
    *,
    interpolation_mode: int | None = None,
) -> Any:
    """``F.grid_sample``; ``torch.grid_sampler`` has numbers for the modes."""
    mode = mode if interpolation_mode is None else interpolation_mode
    name = _MODES[mode] if isinstance(mode, int) else mode
    return on.record(GridSample(name), (input, grid))


@rule("torchvision::roi_align")
def roi_align(
    on: Tape,
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool = False,
) -> Any:
    """With a ``sampling_ratio`` of 0 the sizes of the regions decide: that is uncounted."""
    if sampling_ratio < 1:
        return NotImplemented
    return on.record(RoiAlign((pooled_height, pooled_width), sampling_ratio), (input, rois))


@rule("torchvision::ps_roi_align")
def ps_roi_align(
    on: Tape,
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
) -> Any:
    if sampling_ratio < 1:
        return NotImplemented
    op = RoiAlign((pooled_height, pooled_width), sampling_ratio, positional=True)
    values = on.record(op, (input, rois))
    channels = torch.empty(values.shape, dtype=torch.int32, device=META)
    return values, on.further(values, channels)


@rule("torchvision::deform_conv2d")
def deform_conv2d(
    on: Tape,
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    mask: Tensor,
    bias: Tensor,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    groups: int,
    offset_groups: int,
    use_mask: bool,
) -> Any:
    height, width = weight.shape[2:]
    has_bias = on.knows(bias)  # where there is none, torchvision makes one of zeros
    op = DeformConv(weight.shape[0], (height, width), groups, offset_groups, has_bias, use_mask)
    operands = (input, offset, mask) if use_mask else (input, offset)
    return on.record(op, operands, (weight, bias) if has_bias else (weight,))
