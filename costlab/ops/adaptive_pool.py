"""Pooling to a given output size, whatever the input's."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab.graph.op import Shape, axes
from costlab.graph.opcount import GradientScalars, OpCount, of_input
from costlab.ops.pool import elements
from costlab.ops.spatial import Size, Spatial, spatial

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class AdaptiveAvgPool(Spatial):
    """``[N, C, *output_size] = adaptive_avg_pool([N, C, *in])``.

    Output i of an axis averages the inputs from ``floor(i·in/out)`` to ``ceil((i+1)·in/out)``;
    the windows overlap where ``out`` does not divide ``in``. A window of k elements takes k-1
    additions and a division. (Where it divides, the additions are input - output elements.)
    """

    output_size: Size

    name: ClassVar[str] = "adaptive_avg_pool"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1], *axes(self.output_size, spatial(self.name, x)))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        taps = prod(_taps(i, o) for i, o in zip(inputs[0][2:], output[2:], strict=True))
        return OpCount(add=output[0] * output[1] * taps - n, div=n)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each gradient is divided, and added to those of all its window's elements."""
        taps = prod(_taps(i, o) for i, o in zip(inputs[0][2:], output[2:], strict=True))
        return of_input(add=output[0] * output[1] * taps, div=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        pools: dict[int, Any] = {
            1: nn.AdaptiveAvgPool1d,
            2: nn.AdaptiveAvgPool2d,
            3: nn.AdaptiveAvgPool3d,
        }
        module: nn.Module = pools[len(inputs[0]) - 2](self.output_size)
        return module


@dataclass(frozen=True, slots=True)
class AdaptiveMaxPool(Spatial):
    """``[N, C, *output_size] = adaptive_max_pool([N, C, *in])``, the windows of `AdaptiveAvgPool`.

    A window of k elements takes k-1 comparisons.
    """

    output_size: Size

    name: ClassVar[str] = "adaptive_max_pool"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1], *axes(self.output_size, spatial(self.name, x)))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        taps = prod(_taps(i, o) for i, o in zip(inputs[0][2:], output[2:], strict=True))
        return OpCount(cmp=output[0] * output[1] * taps - prod(output))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each gradient is added to that of its window's largest element, which is remembered."""
        return of_input(add=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        pools: dict[int, Any] = {
            1: nn.AdaptiveMaxPool1d,
            2: nn.AdaptiveMaxPool2d,
            3: nn.AdaptiveMaxPool3d,
        }
        module: nn.Module = pools[len(inputs[0]) - 2](self.output_size)
        return module


@dataclass(frozen=True, slots=True)
class FractionalMaxPool(Spatial):
    """``[N, C, *output_size]``: windows of one size at places that are drawn (Graham 2014).

    A window of k elements takes k-1 comparisons.
    """

    kernel_size: Size
    output_size: Size

    name: ClassVar[str] = "fractional_max_pool"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1], *axes(self.output_size, spatial(self.name, x)))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(cmp=prod(output) * (elements(self.kernel_size, output) - 1))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each gradient is added to that of its window's largest element, which is remembered."""
        return of_input(add=prod(output))


def _taps(size: int, out: int) -> int:
    """The elements of all windows of one axis, added up."""
    return sum(-(-(i + 1) * size // out) - i * size // out for i in range(out))
