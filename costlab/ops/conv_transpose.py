"""Transposed convolution in one, two or three dimensions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab.graph.op import Condition, Keeps, Shape, Tensor, axes
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount, of_shift
from costlab.ops.conv import factor_names, gradients_of, grouped
from costlab.ops.spatial import Size, Spatial, at_least, spatial, window

if TYPE_CHECKING:
    from torch import nn


_TRANSPOSE_NAMES = factor_names("input", "input channels", "output channels per group")


@dataclass(frozen=True, slots=True)
class ConvTranspose(Spatial):
    """``[N, Cout, *out] = conv_transpose([N, Cin, *in], [Cin, Cout/g, *kernel])``.

    MACs: N·in·Cin·(Cout/g)·kernel: every input element is multiplied by every tap once. Products
    that ``padding`` crops count, as in the dense convention of `Conv`.
    """

    out_channels: int
    kernel_size: Size
    stride: Size = 1
    padding: Size = 0
    output_padding: Size = 0
    groups: int = 1
    bias: bool = True
    dilation: Size = 1

    name: ClassVar[str] = "conv_transpose"

    @property
    def detail(self) -> str:
        return window(self.kernel_size, self.stride, self.dilation, self.groups)

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        rank = spatial(self.name, x)
        k, s, d = axes(self.kernel_size, rank), axes(self.stride, rank), axes(self.dilation, rank)
        p, extra = axes(self.padding, rank), axes(self.output_padding, rank)
        return (
            x[0],
            self.out_channels,
            *(
                (x[i + 2] - 1) * s[i] - 2 * p[i] + d[i] * (k[i] - 1) + extra[i] + 1
                for i in range(rank)
            ),
        )

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        rank = spatial(self.name, inputs[0])
        yield from at_least(
            ("output channels", self.out_channels, 1),
            ("groups", self.groups, 1),
            ("kernel", self.kernel_size, 1),
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("output_padding", self.output_padding, 0),
            ("dilation", self.dilation, 1),
        )
        yield from grouped(inputs[0][1], self.out_channels, self.groups)
        strides, dilations = axes(self.stride, rank), axes(self.dilation, rank)
        for extra, s, d in zip(axes(self.output_padding, rank), strides, dilations, strict=True):
            yield extra < max(s, d), "output_padding must be less than stride or dilation"

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        kernel = axes(self.kernel_size, len(inputs[0]) - 2)
        weight = ("weight", (inputs[0][1], self.out_channels // self.groups, *kernel))
        return (weight, ("bias", (self.out_channels,))) if self.bias else (weight,)

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        x = inputs[0]
        return Contraction(
            (x[0], *x[2:], x[1]),
            (*axes(self.kernel_size, len(x) - 2), self.out_channels // self.groups),
            _TRANSPOSE_NAMES[len(x) - 2],
        )

    @property
    def keeps(self) -> Keeps:
        return "inputs"

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """The input's is a convolution of the output's; every weight's products over the inputs."""
        return gradients_of(self.contraction(output, *inputs))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(add=prod(output)) if self.bias else OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of a bias, the sum of the output's gradients for each channel."""
        return of_shift(output, self.out_channels, 1) if self.bias else ()

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        convs: dict[int, Any] = {
            1: nn.ConvTranspose1d,
            2: nn.ConvTranspose2d,
            3: nn.ConvTranspose3d,
        }
        module: nn.Module = convs[len(inputs[0]) - 2](
            inputs[0][1],
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.output_padding,
            self.groups,
            self.bias,
            self.dilation,
        )
        return module
