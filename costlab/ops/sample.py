"""Values of a grid at places between its elements, and what samples it so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Condition, Op, Shape, Tensor
from costlab.graph.opcount import Contraction, Gradient, OpCount

TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
"""Elements that are read along each axis."""

_WEIGHTS = {
    "nearest": OpCount(),
    "bilinear": OpCount(add=2),
    "bicubic": OpCount(mul=12, add=14),
}
"""What the weights along an axis take: x - ⌊x⌋ and what is left of 1; four cubic polynomials."""


def weighing(mode: str, axes: int) -> OpCount:
    """What the weights of one place take: along each axis, and their products."""
    products = OpCount(mul=(axes - 1) * TAPS[mode] ** axes if mode != "nearest" else 0)
    return _WEIGHTS[mode] * axes + products


def weighted(mode: str, axes: int) -> OpCount:
    """A weighted sum of the elements around a place; the nearest one is copied."""
    taps = TAPS[mode] ** axes
    return OpCount() if taps == 1 else OpCount(mul=taps, add=taps - 1)


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


@dataclass(frozen=True, slots=True)
class RoiAlign(Op):
    """Regions ``[R, 5]`` of ``[N, C, H, W]`` as ``[R, C, *size]`` (He et al. 2017).

    Each bin is the mean of ``samples``² bilinear samples. For each sample and axis a multiplication
    and an addition give its place. ``positional`` takes another channel for each bin, so that there
    are C/(h·w) of them (Dai et al. 2016).
    """

    size: Shape
    samples: int
    positional: bool = False

    name: ClassVar[str] = "roi_align"
    arity: ClassVar[int | None] = 2

    def label(self, *inputs: Shape) -> str:
        return "ps_roi_align" if self.positional else "roi_align"

    def output(self, *inputs: Shape) -> Shape:
        x, regions = inputs
        channels = x[1] // prod(self.size) if self.positional else x[1]
        return (regions[0], channels, *self.size)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        samples, n = self.samples**2, prod(output)
        places = inputs[1][0] * prod(self.size) * samples
        per_place = OpCount(mul=2, add=2) + weighing("bilinear", 2)
        per_bin = weighted("bilinear", 2) * samples + OpCount(add=samples - 1, div=1)
        return per_place * places + per_bin * n


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
