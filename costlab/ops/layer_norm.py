"""Normalisation over the elements of each sample, or of groups of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab.graph.op import Condition, Op, Shape, Tensor
from costlab.graph.opcount import GradientScalars, OpCount, of_scale, of_shift
from costlab.ops.norm import scale_and_shift

if TYPE_CHECKING:
    from torch import nn


class PerGroup(Op):
    """A normalisation by statistics of the input itself, r groups of n elements in all.

    Mean and variance: 2n multiplications (the squares, the scale), 3n additions (a sum for the
    mean, the differences, a sum of squares) and r roots; 1 more multiplication and addition per
    element if ``affine``. Other work done once for a group (eps, two divisions) is left out.
    """

    __slots__ = ()

    affine: bool

    @abstractmethod
    def groups(self, x: Shape) -> int:
        """How many groups are normalised."""

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n, more = prod(output), int(self.affine)
        return OpCount(mul=(2 + more) * n, add=(3 + more) * n, special=self.groups(inputs[0]))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """With mean and deviation kept: ``(g - Σg/m - x̂·Σ(g·x̂)/m) / deviation``, g = dy·weight.

        ``x̂`` is computed again, of groups of m elements.
        """
        n, groups, scaled = prod(output), self.groups(inputs[0]), int(self.affine)
        sizes = [prod(shape) for _, shape in self.parameters(*inputs)]
        again = OpCount(mul=n, add=n)
        of_input = OpCount(mul=(3 + scaled) * n, add=4 * n - 2 * groups, div=2 * groups)
        return (
            GradientScalars(again, operands=(0,), weights=(0,) * scaled),
            GradientScalars(of_input, operands=(0,)),
            *(of_scale(output, sizes[0]) if sizes else ()),
            *(of_shift(output, sizes[1], 1) if len(sizes) > 1 else ()),
        )


@dataclass(frozen=True, slots=True)
class LayerNorm(PerGroup):
    """Over the last ``axes`` axes (Ba et al. 2016); scale and shift for each element of them."""

    axes: int = 1
    affine: bool = True
    bias: bool = True

    name: ClassVar[str] = "layer_norm"

    def groups(self, x: Shape) -> int:
        return prod(x[: len(x) - self.axes])

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        x = inputs[0]
        return scale_and_shift(x[len(x) - self.axes :], self.affine, self.bias)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n, unshifted = prod(output), int(self.affine and not self.bias)
        return PerGroup.scalars(self, output, *inputs) + OpCount(add=-unshifted * n)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        shape = inputs[0][len(inputs[0]) - self.axes :]
        return nn.LayerNorm(shape, elementwise_affine=self.affine, bias=self.bias)


@dataclass(frozen=True, slots=True)
class GroupNorm(PerGroup):
    """Over groups of channels of ``[N, C, ..]`` and all places (Wu and He 2018)."""

    channel_groups: int
    affine: bool = True

    name: ClassVar[str] = "group_norm"

    @property
    def detail(self) -> str:
        return f"groups {self.channel_groups}"

    def groups(self, x: Shape) -> int:
        return x[0] * self.channel_groups

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.channel_groups >= 1, "groups must be at least 1"
        yield inputs[0][1] % self.channel_groups <= 0, "groups must divide the channels"

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return scale_and_shift((inputs[0][1],), self.affine)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.GroupNorm(self.channel_groups, inputs[0][1], affine=self.affine)


@dataclass(frozen=True, slots=True)
class InstanceNorm(PerGroup):
    """Over the places of each channel of ``[N, C, ..]`` (Ulyanov et al. 2016)."""

    affine: bool = False

    name: ClassVar[str] = "instance_norm"

    def groups(self, x: Shape) -> int:
        return x[0] * x[1]

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return scale_and_shift((inputs[0][1],), self.affine)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        norms = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d, 5: nn.InstanceNorm3d}
        return norms[len(inputs[0])](inputs[0][1], affine=self.affine)


@dataclass(frozen=True, slots=True)
class RMSNorm(Op):
    """``x / sqrt(mean(x²))`` over the last ``axes`` axes (Zhang and Sennrich 2019), r groups.

    2n multiplications (the squares, the scale), n additions, r roots; 1 more multiplication per
    element if ``affine``, with a scale for each element of the axes.
    """

    axes: int = 1
    affine: bool = True

    name: ClassVar[str] = "rms_norm"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        x = inputs[0]
        return scale_and_shift(x[len(x) - self.axes :], self.affine, shifted=False)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n, x = prod(output), inputs[0]
        rows = prod(x[: len(x) - self.axes])
        return OpCount(mul=(2 + int(self.affine)) * n, add=n, special=rows)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """With the root kept: ``(g - x̂·Σ(g·x̂)/m) / root``, g = dy·weight, x̂ computed again."""
        n, x, scaled = prod(output), inputs[0], int(self.affine)
        rows = prod(x[: len(x) - self.axes])
        of_input = OpCount(mul=(3 + scaled) * n, add=2 * n - rows, div=rows)
        return (
            GradientScalars(OpCount(mul=n), operands=(0,), weights=(0,) * scaled),
            GradientScalars(of_input, operands=(0,)),
            *(of_scale(output, prod(x[len(x) - self.axes :])) if self.affine else ()),
        )

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        shape = inputs[0][len(inputs[0]) - self.axes :]
        return nn.RMSNorm(shape, elementwise_affine=self.affine)
