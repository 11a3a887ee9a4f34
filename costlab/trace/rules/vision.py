"""What samples images at places of any kind, and torchvision's operators, by their full names."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from costlab.ops.sample import DeformConv, GridSample, RoiAlign, RoiPool
from costlab.trace.registry import rule
from costlab.trace.tape import Tape
from costlab.trace.tensors import META

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
    """With a ``sampling_ratio`` of 0 the sizes of the regions decide: uncounted if not known."""
    size = (pooled_height, pooled_width)
    if sampling_ratio > 0:
        return on.record(RoiAlign(size, sampling_ratio), (input, rois))
    known = on.value_of(rois, _SIZES)
    if known is None:
        return NotImplemented
    sides = (known[:, 3:5] - known[:, 1:3]) * spatial_scale
    sides = sides if aligned else sides.clamp(min=1)
    return on.record(RoiAlign(size, 0, grids=_grids(sides, size)), (input, rois))


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
    size = (pooled_height, pooled_width)
    op = RoiAlign(size, sampling_ratio, True)
    if sampling_ratio < 1:
        known = on.value_of(rois, _SIZES)
        if known is None:
            return NotImplemented
        sides = (known[:, 3:5] - known[:, 1:3]) * spatial_scale
        op = RoiAlign(size, 0, True, _grids(sides, size))
    return _with_places(on, op, input, rois)


_SIZES = "sizes of regions"


def _grids(sides: Tensor, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """How many samples a bin has, down and across, of regions that wide and high."""
    across, down = ((sides[:, axis] / size[1 - axis]).ceil().clamp(min=0) for axis in (0, 1))
    return tuple(zip(map(int, down.tolist()), map(int, across.tolist()), strict=True))


def _with_places(on: Tape, op: Any, input: Tensor, rois: Tensor) -> Any:
    """The values, and which elements or channels they are of."""
    values = on.record(op, (input, rois))
    places = torch.empty(values.shape, dtype=torch.int32, device=META)
    return values, on.further(values, places)


def _pool(more: int, positional: bool) -> Any:
    """Regions of whole elements, of which both corners are a part, or the first one only."""

    def pool(
        on: Tape,
        input: Tensor,
        rois: Tensor,
        spatial_scale: float,
        pooled_height: int,
        pooled_width: int,
    ) -> Any:
        known = on.value_of(rois, _SIZES)
        if known is None:
            return NotImplemented
        size = (pooled_height, pooled_width)
        corners = known[:, 1:] * spatial_scale
        corners = corners.sign() * (corners.abs() + 0.5).floor()
        sides = (corners[:, 2:] - corners[:, :2] + more).clamp(min=1)
        extents = [_extent(sides[:, 1 - axis], bins) for axis, bins in enumerate(size)]
        op = RoiPool(size, tuple(zip(*extents, strict=True)), positional)
        return _with_places(on, op, input, rois)

    return pool


def _extent(sides: Tensor, bins: int) -> list[int]:
    """How many elements the bins along a side of each region have together."""
    numbers = torch.arange(bins)
    ends = ((numbers + 1) * (sides[:, None] / bins)).ceil()
    starts = (numbers * (sides[:, None] / bins)).floor()
    return list(map(int, (ends - starts).sum(1).tolist()))


rule("torchvision::roi_pool")(_pool(1, False))
rule("torchvision::ps_roi_pool")(_pool(0, True))


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
