"""Values of a grid at places between its elements, and what samples it so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Condition, Op, Shape, Tensor
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount, of_shift

TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
"""Elements that are read along each axis."""

_WEIGHTS = {
    "nearest": OpCount(),
    "bilinear": OpCount(add=2),
    "bicubic": OpCount(mul=12, add=14),
}
"""What the weights along an axis take: x - ⌊x⌋ and what is left of 1; four cubic polynomials."""

_SLOPES = OpCount(mul=10, add=6)
"""What the derivatives of the four cubic polynomials take, of which two are of 1 - x."""


def products(mode: str, axes: int) -> OpCount:
    """The products of the weights along all axes, for each element around a place."""
    return OpCount(mul=(axes - 1) * TAPS[mode] ** axes if mode != "nearest" else 0)


def weighing(mode: str, axes: int) -> OpCount:
    """What the weights of one place take: along each axis, and their products."""
    return _WEIGHTS[mode] * axes + products(mode, axes)


def weighted(mode: str, axes: int) -> OpCount:
    """A weighted sum of the elements around a place; the nearest one is copied."""
    taps = TAPS[mode] ** axes
    return OpCount() if taps == 1 else OpCount(mul=taps, add=taps - 1)


def returned(mode: str, axes: int) -> OpCount:
    """A gradient that is added to those of the elements around a place, times their weights."""
    taps = TAPS[mode] ** axes
    return OpCount(add=1) if taps == 1 else OpCount(mul=taps, add=taps)


def moving(mode: str, axes: int, places: int, samples: int) -> OpCount:
    """The gradients of so many places of that many axes, of samples of several channels each.

    Along each axis the slope of a sample, times its gradient, is summed over the channels. Linear
    slopes are of differences of neighbours along the axis, weighted along the other axes; cubic
    ones have weights of their own. The nearest element has none.
    """
    if mode == "nearest":
        return OpCount()
    if mode == "bilinear":
        pairs = 2 ** (axes - 1)
        slope, weights = OpCount(mul=pairs, add=2 * pairs - 1), OpCount(mul=(axes - 2) * pairs)
    else:
        slope, weights = weighted(mode, axes), _SLOPES + products(mode, axes)
    summed = OpCount(mul=samples, add=samples - places)
    return (slope * samples + weights * places + summed) * axes


@dataclass(frozen=True, slots=True)
class GridSample(Op):
    """``[N, C, *size]`` at the places ``[N, *out, axes]`` of another, which are from -1 to 1.

    For each place and axis a multiplication and an addition make it a place in pixels, from which
    weights are made; then each channel is a weighted sum.
    """

    mode: str

    name: ClassVar[str] = "grid_sample"
    arity: ClassVar[int | None] = 2

    @property
    def detail(self) -> str:
        return self.mode

    def output(self, *inputs: Shape) -> Shape:
        x, places = inputs
        return (*x[:2], *places[1:-1])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        x, places = inputs
        axes = len(x) - 2
        yield self.mode in TAPS, f"there is no rule for {self.mode}"
        yield axes in (2, 3), "it samples [N, C, H, W] or [N, C, D, H, W]"
        yield self.mode != "bicubic" or axes == 2, "bicubic takes [N, C, H, W]"
        yield len(places) == len(x), "the grid has not as many axes as the input"
        yield places[:1] == x[:1], "the grid is of another batch than the input"
        yield places[-1:] == (axes,), f"the grid's last axis is a place: {axes} numbers"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        axes, places = len(output) - 2, prod(inputs[1][:-1])
        per_place = OpCount(mul=axes, add=axes) + weighing(self.mode, axes)
        return per_place * places + weighted(self.mode, axes) * prod(output)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """The weights are made again; each gradient goes to the elements around, and to its place.

        The place of the nearest element gets zeros.
        """
        axes, places = len(output) - 2, prod(inputs[1][:-1])
        in_pixels = (OpCount(mul=axes, add=axes) + _WEIGHTS[self.mode] * axes) * places
        of_x = products(self.mode, axes) * places + returned(self.mode, axes) * prod(output)
        if self.mode == "nearest":
            return (GradientScalars(in_pixels + of_x, operands=(0,)),)
        from_pixels = OpCount(mul=axes * places)
        return (
            GradientScalars(in_pixels, operands=(0, 1)),
            GradientScalars(of_x, operands=(0,)),
            GradientScalars(
                moving(self.mode, axes, places, prod(output)) + from_pixels, operands=(1,)
            ),
        )


@dataclass(frozen=True, slots=True)
class RoiAlign(Op):
    """Regions ``[R, 5]`` of ``[N, C, H, W]`` as ``[R, C, *size]`` (He et al. 2017).

    Each bin is the mean of ``samples``² bilinear samples, or of as many as the size of each region
    asks for: then ``grids`` has their numbers along both axes. For each sample and axis a
    multiplication and an addition give its place. ``positional`` takes another channel for each
    bin, so that there are C/(h·w) of them (Dai et al. 2016).
    """

    size: Shape
    samples: int
    positional: bool = False
    grids: tuple[tuple[int, int], ...] = ()

    name: ClassVar[str] = "roi_align"
    arity: ClassVar[int | None] = 2

    def label(self, *inputs: Shape) -> str:
        return "ps_roi_align" if self.positional else "roi_align"

    def output(self, *inputs: Shape) -> Shape:
        x, regions = inputs
        channels = x[1] // prod(self.size) if self.positional else x[1]
        return (regions[0], channels, *self.size)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        added = inputs[1][0] * (self.samples**2 - 1)
        if self.grids:
            added = sum(max(prod(grid) - 1, 0) for grid in self.grids)
        means = OpCount(add=prod(self.size) * output[1] * added, div=prod(output))
        return self._of_samples(weighted("bilinear", 2), output, inputs[1]) + means

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each sample gets its share of a bin's gradient; regions get none."""
        shared = OpCount(div=prod(output))
        of_x = self._of_samples(returned("bilinear", 2), output, inputs[1])
        return (GradientScalars(of_x + shared, operands=(0,)),)

    def _of_samples(self, per_element: OpCount, output: Shape, regions: Shape) -> OpCount:
        """The weights of all samples, and what each sample of a channel takes."""
        samples = sum(map(prod, self.grids)) if self.grids else regions[0] * self.samples**2
        per_place = OpCount(mul=2, add=2) + weighing("bilinear", 2)
        return (per_place + per_element * output[1]) * (prod(self.size) * samples)


@dataclass(frozen=True, slots=True)
class RoiPool(Op):
    """Regions ``[R, 5]`` of ``[N, C, H, W]`` as ``[R, C, *size]``: the largest of each bin.

    (Girshick 2015.) ``extents`` are the numbers of rows of all bins of a region together, and of
    columns; bins overlap where they do not divide the region, and count in full where they overhang
    the image. ``positional`` takes the mean, and another channel for each bin, so that there are
    C/(h·w) of them (Dai et al. 2016).
    """

    size: Shape
    extents: tuple[tuple[int, int], ...]
    positional: bool = False

    name: ClassVar[str] = "roi_pool"
    arity: ClassVar[int | None] = 2

    def label(self, *inputs: Shape) -> str:
        return "ps_roi_pool" if self.positional else "roi_pool"

    def output(self, *inputs: Shape) -> Shape:
        x, regions = inputs
        channels = x[1] // prod(self.size) if self.positional else x[1]
        return (regions[0], channels, *self.size)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        elements = output[1] * sum(map(prod, self.extents))
        joined = elements - prod(output)
        return OpCount(add=joined, div=prod(output)) if self.positional else OpCount(cmp=joined)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """To the largest of a bin; of a mean to all of it. Regions get none."""
        n = prod(output)
        elements = output[1] * sum(map(prod, self.extents))
        back = OpCount(add=elements, div=n) if self.positional else OpCount(add=n)
        return (GradientScalars(back, operands=(0,)),)


@dataclass(frozen=True, slots=True)
class DeformConv(Op):
    """A convolution whose taps are moved by given offsets (Dai et al. 2017), of images.

    ``[N, Cin, H, W]`` and offsets ``[N, 2·offset_groups·Kh·Kw, Ho, Wo]``, which may be followed by
    a mask for each tap (Zhu et al. 2019). Each tap of each input channel is a bilinear sample; the
    MACs are those of a convolution.
    """

    out_channels: int
    kernel_size: tuple[int, int]
    groups: int = 1
    offset_groups: int = 1
    bias: bool = True
    masked: bool = False

    name: ClassVar[str] = "deform_conv2d"
    arity: ClassVar[int | None] = None

    @property
    def detail(self) -> str:
        return "×".join(map(str, self.kernel_size))

    def output(self, *inputs: Shape) -> Shape:
        return (inputs[0][0], self.out_channels, *inputs[1][2:])

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        yield "weight", (self.out_channels, inputs[0][1] // self.groups, *self.kernel_size)
        if self.bias:
            yield "bias", (self.out_channels,)

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        names = ("batch", "output channels", "output height", "output width")
        inner = (inputs[0][1] // self.groups, *self.kernel_size)
        return Contraction(
            output, inner, (names, ("input channels of a group", "kernel height", "kernel width"))
        )

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """Of the samples, from which those of input, offsets and mask come; and of the weight."""
        forward = self.contraction(output, *inputs)
        batch, channels, *places = forward.outer
        batch_name, channels_name, *place_names = forward.names[0]
        weight = Contraction(
            (channels, *forward.inner),
            (batch, *places),
            ((channels_name, *forward.names[1]), (batch_name, *place_names)),
        )
        return Gradient(forward, operands=(0, 1, 2)), Gradient(weight, weights=(0,))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        taps = output[0] * prod(output[2:]) * prod(self.kernel_size)
        per_place = OpCount(add=2) + weighing("bilinear", 2)
        per_tap = weighted("bilinear", 2) + OpCount(mul=int(self.masked))
        bias = OpCount(add=prod(output) * int(self.bias))
        return per_place * (taps * self.offset_groups) + per_tap * (taps * inputs[0][1]) + bias

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """The samples are kept, and the weights that they were made by are made again."""
        places = output[0] * prod(output[2:]) * prod(self.kernel_size) * self.offset_groups
        samples = places // self.offset_groups * inputs[0][1]
        again = (OpCount(add=2) + _WEIGHTS["bilinear"] * 2) * places
        masked = OpCount(mul=samples * int(self.masked))
        of_x = products("bilinear", 2) * places + returned("bilinear", 2) * samples
        of_mask = OpCount(mul=samples, add=samples - places)
        return (
            GradientScalars(again + masked, operands=(0, 1)),
            GradientScalars(of_x, operands=(0,)),
            GradientScalars(moving("bilinear", 2, places, samples), operands=(1,)),
            GradientScalars(of_mask, operands=(2,)),
            *(of_shift(output, self.out_channels, 1) if self.bias else ()),
        )
