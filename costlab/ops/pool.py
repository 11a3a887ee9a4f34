"""Pooling in one, two or three dimensions.

A window counts with all its elements, also where it overhangs the input (padding, ``ceil_mode``):
the dense convention of the contractions. So ``count_include_pad`` changes a result, not its cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab.graph.arithmetic import smaller
from costlab.graph.op import Condition, Shape, axes
from costlab.graph.opcount import GradientScalars, OpCount, of_input
from costlab.ops.spatial import Size, Spatial, at_least, spatial, window

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class MaxPool(Spatial):
    """``[N, C, *out] = max_pool([N, C, *in])``: k-1 comparisons for each output.

    ``stride=None`` is the kernel size, as in torch.
    """

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0
    dilation: Size = 1
    ceil_mode: bool = False

    name: ClassVar[str] = "max_pool"

    @property
    def detail(self) -> str:
        return window(self.kernel_size, _stride(self), self.dilation)

    def output(self, *inputs: Shape) -> Shape:
        return _pooled(self, inputs[0], self.dilation)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        return _pool_conditions(self, inputs[0], self.dilation)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(cmp=prod(output) * (elements(self.kernel_size, output) - 1))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each gradient is added to that of its window's largest element, which is remembered."""
        return of_input(add=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        pools: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}
        module: nn.Module = pools[len(inputs[0]) - 2](
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
        )
        return module


@dataclass(frozen=True, slots=True)
class AvgPool(Spatial):
    """``[N, C, *out] = avg_pool([N, C, *in])``: k-1 additions and a division for each output.

    ``divisor_override`` divides by that number; by 1 is a sum, without division. As in torch, it
    needs two or three dimensions.
    """

    kernel_size: Size
    stride: Size | None = None
    padding: Size = 0
    ceil_mode: bool = False
    count_include_pad: bool = True
    divisor_override: int | None = None

    name: ClassVar[str] = "avg_pool"

    @property
    def detail(self) -> str:
        by = self.divisor_override
        return window(self.kernel_size, _stride(self)) + (f" divisor {by}" if by else "")

    def output(self, *inputs: Shape) -> Shape:
        return _pooled(self, inputs[0], 1)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield from _pool_conditions(self, inputs[0], 1)
        if len(inputs[0]) > 4:  # as in torch, whatever the padding
            for size, k in zip(inputs[0][2:], axes(self.kernel_size, 3), strict=True):
                yield size >= k, "the window is larger than the input"
        if self.divisor_override is not None:
            yield len(inputs[0]) > 3, "divisor_override needs two or three dimensions"
            yield abs(self.divisor_override) >= 1, "divisor_override must not be 0"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        additions = n * (elements(self.kernel_size, output) - 1)
        return OpCount(add=additions, div=0 if self.divisor_override == 1 else n)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each gradient is divided, and added to those of all its window's elements."""
        n = prod(output)
        divided = 0 if self.divisor_override == 1 else n
        return of_input(add=n * elements(self.kernel_size, output), div=divided)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        pools: dict[int, Any] = {1: nn.AvgPool1d, 2: nn.AvgPool2d, 3: nn.AvgPool3d}
        module: nn.Module = pools[len(inputs[0]) - 2](
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            *([] if self.divisor_override is None else [self.divisor_override]),
        )
        return module


def _stride(pool: MaxPool | AvgPool) -> Size:
    return pool.kernel_size if pool.stride is None else pool.stride


def elements(kernel: Size, output: Shape) -> int:
    """The elements of a window."""
    return prod(axes(kernel, len(output) - 2))


def _pooled(pool: MaxPool | AvgPool, x: Shape, dilation: Size) -> Shape:
    rank = spatial(pool.name, x)
    k, s = axes(pool.kernel_size, rank), axes(_stride(pool), rank)
    p, d = axes(pool.padding, rank), axes(dilation, rank)
    length = _ceil_length if pool.ceil_mode else _floor_length
    return (
        x[0],
        x[1],
        *[length(x[i + 2], d[i] * (k[i] - 1) + 1, s[i], p[i]) for i in range(rank)],
    )


def _floor_length(size: int, reach: int, stride: int, padding: int) -> int:
    return (size + 2 * padding - reach) // stride + 1


def _ceil_length(size: int, reach: int, stride: int, padding: int) -> int:
    """Windows that start inside the input or its left padding; the last one may overhang."""
    length = -(-(size + 2 * padding - reach) // stride) + 1
    if reach >= padding + stride:
        return length  # the last window starts inside, whatever the size
    return smaller(length, -(-(size + padding) // stride))


def _pool_conditions(pool: MaxPool | AvgPool, x: Shape, dilation: Size) -> Iterable[Condition]:
    rank, kernel, padding = spatial(pool.name, x), pool.kernel_size, pool.padding
    least = at_least(
        ("kernel", kernel, 1),
        ("stride", _stride(pool), 1),
        ("padding", padding, 0),
        ("dilation", dilation, 1),
    )
    least.append((x[1] >= 1, "it has no channels"))
    if type(padding) is not int or padding != 0:  # torch compares with the undilated window
        least += [
            (2 * p <= k, "padding must be at most half of the window")
            for k, p in zip(axes(kernel, rank), axes(padding, rank), strict=True)
        ]
    return least
