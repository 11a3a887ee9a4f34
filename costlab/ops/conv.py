"""Convolution and transposed convolution in one, two or three dimensions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab.graph.op import Condition, Keeps, Shape, Tensor, axes
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount, of_shift
from costlab.ops.spatial import Size, Spatial, at_least, spatial, window

if TYPE_CHECKING:
    from torch import nn


def factor_names(
    what: str, channels: str, inner: str
) -> dict[int, tuple[tuple[str, ...], tuple[str, ...]]]:
    """The names of a contraction's factors by the number of spatial axes."""
    spatial = {1: ("width",), 2: ("height", "width"), 3: ("depth", "height", "width")}
    return {
        rank: (
            ("batch", *(f"{what} {axis}" for axis in names), channels),
            (*(f"kernel {axis}" for axis in names), inner),
        )
        for rank, names in spatial.items()
    }


_CONV_NAMES = factor_names("output", "output channels", "input channels per group")


@dataclass(frozen=True, slots=True)
class Conv(Spatial):
    """``[N, Cout, *out] = conv([N, Cin, *in], [Cout, Cin/g, *kernel])``.

    MACs: N·out·Cout·(Cin/g)·kernel. Taps that fall on padding count, the dense convention of
    papers and counters. A bias is one addition per output element.

    ``padding`` is numbers, ``"same"`` (stride 1 only, as in torch) or ``"valid"``.
    """

    out_channels: int
    kernel_size: Size
    stride: Size = 1
    padding: Size | str = 0
    dilation: Size = 1
    groups: int = 1
    bias: bool = True

    name: ClassVar[str] = "conv"

    @property
    def detail(self) -> str:
        return window(self.kernel_size, self.stride, self.dilation, self.groups)

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        rank = spatial(self.name, x)
        k, s, d = axes(self.kernel_size, rank), axes(self.stride, rank), axes(self.dilation, rank)
        padding = self.padding
        if isinstance(padding, str):
            if padding == "same":
                return (x[0], self.out_channels, *x[2:])
            padding = 0
        p = axes(padding, rank)
        return (
            x[0],
            self.out_channels,
            *[(x[i + 2] + 2 * p[i] - d[i] * (k[i] - 1) - 1) // s[i] + 1 for i in range(rank)],
        )

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        rank, padding = spatial(self.name, inputs[0]), self.padding
        least = at_least(
            ("output channels", self.out_channels, 1),
            ("groups", self.groups, 1),
            ("kernel", self.kernel_size, 1),
            ("stride", self.stride, 1),
            ("dilation", self.dilation, 1),
            ("padding", 0 if isinstance(padding, str) else padding, 0),
        )
        if type(self.groups) is not int or self.groups > 1:
            least += grouped(inputs[0][1], self.out_channels, self.groups)
        if isinstance(padding, str):
            unstrided = all(s == 1 for s in axes(self.stride, rank))
            least += [
                (padding in ("same", "valid"), "padding is numbers, 'same' or 'valid'"),
                (padding == "valid" or unstrided, "padding 'same' needs stride 1"),
            ]
        return least

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        kernel = axes(self.kernel_size, len(inputs[0]) - 2)
        weight = ("weight", (self.out_channels, inputs[0][1] // self.groups, *kernel))
        return (weight, ("bias", (self.out_channels,))) if self.bias else (weight,)

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        return Contraction(
            (output[0], *output[2:], self.out_channels),
            (*axes(self.kernel_size, len(output) - 2), inputs[0][1] // self.groups),
            _CONV_NAMES[len(output) - 2],
        )

    @property
    def keeps(self) -> Keeps:
        return "inputs"

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """Each output's gradient through every tap, and every weight's products over the outputs.

        The input's is the transposed convolution of the output's, so taps that fall on padding
        count as in the forward pass.
        """
        return gradients_of(self.contraction(output, *inputs))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(add=prod(output)) if self.bias else OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of a bias, the sum of the output's gradients for each channel."""
        return of_shift(output, self.out_channels, 1) if self.bias else ()

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        convs: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
        module: nn.Module = convs[len(inputs[0]) - 2](
            inputs[0][1],
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            self.bias,
        )
        return module


def gradients_of(forward: Contraction) -> tuple[Gradient, ...]:
    """Of the input, with the factors of the forward pass; of the weight, with these regrouped."""
    (batch, *places, channels), inner = forward.outer, forward.inner
    (batch_name, *place_names, channels_name), inner_names = forward.names
    weight = Contraction(
        (channels, *inner),
        (batch, *places),
        ((channels_name, *inner_names), (batch_name, *place_names)),
    )
    return Gradient(forward, operands=(0,)), Gradient(weight, weights=(0,))


def grouped(in_channels: int, out_channels: int, groups: int) -> list[Condition]:
    """That a convolution in groups can be."""
    return [
        (in_channels % groups <= 0, "groups must divide the input channels"),
        (out_channels % groups <= 0, "groups must divide the output channels"),
    ]
