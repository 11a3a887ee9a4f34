"""Cases for what samples images; ``F.grid_sample`` gives values: torchvision need not be here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from oracle import Array, sampling
from torch import Tensor, nn
from torch.nn import functional

from cases.base import Case, Draw, Drawn, small
from cases.elements import Call
from costlab.graph.op import Op, Shape
from costlab.ops.resample import Antialiased
from costlab.ops.sample import DeformConv, GridSample, RoiAlign, RoiPool


@st.composite
def grids(draw: Draw) -> Drawn:
    rank = draw(st.integers(2, 3))
    mode = draw(st.sampled_from(["nearest", "bilinear"] + ["bicubic"] * (rank == 2)))
    batch, size = draw(small), tuple(draw(small) for _ in range(rank))
    out = tuple(draw(small) for _ in range(rank))
    return GridSample(mode), ((batch, draw(small), *size), (batch, *out, rank))


@st.composite
def antialiased(draw: Draw) -> Drawn:
    mode = draw(st.sampled_from(["bilinear", "bicubic"]))
    sizes = st.integers(2, 7)  # of a width of 1 torch 2.13 gives the first output again and again
    return Antialiased(mode, (draw(sizes), draw(sizes))), (
        (draw(small), draw(small), draw(sizes), draw(sizes)),
    )


def at_pixels(x: Tensor, places: Tensor) -> Tensor:
    """Bilinear samples at places ``[N, .., 2]`` in pixels, ``y`` first; outside is 0."""
    height, width = x.shape[2:]
    y, z = places.unbind(-1)
    spread = torch.stack([(2 * z + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    result: Tensor = functional.grid_sample(x, spread, align_corners=False)
    return result


@st.composite
def regions(draw: Draw) -> Drawn:
    size, positional = (draw(small), draw(small)), draw(st.booleans())
    channels = draw(small) * (size[0] * size[1] if positional else 1)
    shapes = ((2, channels, 5, 6), (draw(small), 5))
    grids = [(draw(small), draw(small)) for _ in range(shapes[1][0])]
    if draw(st.booleans()):
        return RoiAlign(size, 0, positional, tuple(grids)), shapes
    return RoiAlign(size, draw(small), positional), shapes


def grids_of(op: RoiAlign, number: int) -> list[tuple[int, int]]:
    return list(op.grids) or [(op.samples, op.samples)] * number


@st.composite
def pooled_regions(draw: Draw) -> Drawn:
    size, positional = (draw(small), draw(small)), draw(st.booleans())
    channels = draw(small) * (size[0] * size[1] if positional else 1)
    shapes = ((2, channels, 5, 6), (draw(small), 5))
    extents = tuple(
        (in_bins(int(height), size[0]), in_bins(int(width), size[1]))
        for *_, height, width in whole_regions(shapes[1][0])
    )
    return RoiPool(size, extents, positional), shapes


def in_bins(side: int, bins: int) -> int:
    """How many elements along a side bins have together."""
    return sum(math.ceil((i + 1) * side / bins) - i * side // bins for i in range(bins))


def whole_regions(number: int) -> Array:
    """An image, a corner, a height and a width."""
    rng = np.random.default_rng(number)
    low, high = [0, 0, 0, 1, 1], [2, 2, 2, 4, 5]
    return rng.integers(low, high, (number, 5)).astype(float)


def pooled(op: RoiPool, x: Tensor, number: int) -> Tensor:
    """Adaptive pooling has these bins."""
    found = []
    size: Any = op.size
    for region_numbers in whole_regions(number):
        image, top, left, height, width = map(int, region_numbers)
        region = x[image, :, top : top + height, left : left + width]
        if op.positional:
            values = functional.adaptive_avg_pool2d(region, size)
            values = values.reshape(-1, *op.size, *op.size)
            found.append(torch.einsum("chwhw->chw", values))
        else:
            found.append(functional.adaptive_max_pool2d(region, size))
    return torch.stack(found)


def made_regions(number: int) -> Array:
    rng = np.random.default_rng(number)
    images = rng.integers(0, 2, (number, 1))
    return np.hstack([images, rng.uniform(0, 2, (number, 2)), rng.uniform(2, 5, (number, 2))])


def aligned(op: RoiAlign, x: Tensor, number: int) -> Tensor:
    height, width = op.size
    found = []
    grids = grids_of(op, number)
    for (image, left, top, right, bottom), (down, across) in zip(
        made_regions(number), grids, strict=True
    ):
        ys = (torch.arange(height * down, dtype=x.dtype) + 0.5) / down
        zs = (torch.arange(width * across, dtype=x.dtype) + 0.5) / across
        ys, zs = top + ys * (bottom - top) / height, left + zs * (right - left) / width
        places = torch.stack(torch.meshgrid(ys, zs, indexing="ij"), -1)[None].to(x.dtype)
        values = functional.avg_pool2d(at_pixels(x[int(image)][None], places), (down, across))[0]
        if op.positional:
            values = values.reshape(-1, height, width, height, width)
            values = torch.einsum("chwhw->chw", values)
        found.append(values)
    return torch.stack(found)


@st.composite
def deformations(draw: Draw) -> Drawn:
    groups, offset_groups = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 2]))
    kernel, size = (draw(small), draw(small)), (draw(small), draw(small))
    masked = draw(st.booleans())
    op = DeformConv(
        groups * draw(small), kernel, groups, offset_groups, draw(st.booleans()), masked
    )
    taps = offset_groups * kernel[0] * kernel[1]
    x = (draw(small), 2, size[0] + kernel[0] - 1, size[1] + kernel[1] - 1)
    shapes = (x, (x[0], 2 * taps, *size)) + ((x[0], taps, *size),) * masked
    return op, shapes


class Deformed(nn.Module):
    """The taps one by one, then a product."""

    def __init__(self, op: DeformConv, channels: int) -> None:
        super().__init__()
        self.op = op
        shape = (op.out_channels, channels // op.groups, *op.kernel_size)
        self.weight = nn.Parameter(torch.ones(shape))
        self.bias = nn.Parameter(torch.ones(op.out_channels)) if op.bias else None

    def forward(self, x: Tensor, offset: Tensor, *masks: Tensor) -> Tensor:
        (kh, kw), groups, size = self.op.kernel_size, self.op.offset_groups, offset.shape[2:]
        by_group = []
        for g, part in enumerate(x.chunk(groups, 1)):
            taps = []
            for tap in range(kh * kw):
                number = g * kh * kw + tap
                ys, zs = (torch.arange(n, dtype=x.dtype) for n in size)
                y = ys[:, None] + tap // kw + offset[:, 2 * number]
                z = zs + tap % kw + offset[:, 2 * number + 1]
                values = at_pixels(part, torch.stack([y, z], -1))
                taps.append(values * masks[0][:, number, None] if masks else values)
            by_group.append(torch.stack(taps, 2))
        columns = torch.cat(by_group, 1).flatten(1, 2)
        kernel = self.weight.flatten(1)[..., None, None]
        result: Tensor = functional.conv2d(columns, kernel, self.bias, groups=self.op.groups)
        return result


def run_deformed(t: Any, op: DeformConv, module: Any, inputs: Any) -> Array:
    return sampling.deformed(
        t,
        inputs[0],
        module.weight.detach().numpy(),
        None if module.bias is None else module.bias.detach().numpy(),
        inputs[1],
        inputs[2] if op.masked else None,
        op.groups,
        op.offset_groups,
    )


def sampling_module(op: RoiAlign, shapes: tuple[Shape, ...]) -> nn.Module:
    return Call(lambda x, regions: aligned(op, x, len(regions)))


SAMPLING: dict[type[Op], Case] = {
    GridSample: Case(
        grids(),
        lambda t, op, module, inputs: sampling.grid_sampled(t, inputs[0], inputs[1], op.mode),
        lambda op, shapes: Call(
            lambda x, places: functional.grid_sample(x, places, op.mode, align_corners=False)
        ),
    ),
    Antialiased: Case(
        antialiased(),
        lambda t, op, module, inputs: sampling.antialiased(t, inputs[0], op.size, op.mode),
        lambda op, shapes: Call(
            lambda x: functional.interpolate(x, op.size, mode=op.mode, antialias=True)
        ),
    ),
    RoiAlign: Case(
        regions(),
        lambda t, op, module, inputs: sampling.roi_aligned(
            *(t, inputs[0], made_regions(len(inputs[1])), op.size),
            *(grids_of(op, len(inputs[1])), op.positional),
        ),
        sampling_module,
    ),
    RoiPool: Case(
        pooled_regions(),
        lambda t, op, module, inputs: sampling.roi_pooled(
            t, inputs[0], whole_regions(len(inputs[1])), op.size, op.positional
        ),
        lambda op, shapes: Call(lambda x, regions: pooled(op, x, len(regions))),
    ),
    DeformConv: Case(deformations(), run_deformed, lambda op, shapes: Deformed(op, shapes[0][1])),
}
