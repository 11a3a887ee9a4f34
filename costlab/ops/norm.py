"""Normalisation."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Op, Shape, Tensor
from costlab.graph.opcount import OpCount

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class BatchNorm(Op):
    """``x·scale + shift`` per channel of ``[N, C, ..]``, the statistics folded (evaluation mode).

    One multiplication and one addition per element; 2C params if ``affine``. Running mean and
    variance are buffers, not params.
    """

    eps: float = 1e-5
    affine: bool = True

    name: ClassVar[str] = "batch_norm"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not 2 <= len(x) <= 5:
            raise ShapeError(f"batch_norm takes [batch, channels, ..], not {formatting.shape(x)}")
        return x

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return _scale_and_shift((inputs[0][1],), self.affine)

    def buffers(self, *inputs: Shape) -> Iterable[Tensor]:
        channels = (inputs[0][1],)
        return (("running_mean", channels), ("running_var", channels))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount(mul=n, add=n)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        norms = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
        return norms[len(inputs[0])](inputs[0][1], eps=self.eps, affine=self.affine)


@dataclass(frozen=True, slots=True)
class LocalResponseNorm(Op):
    """``x / (k + alpha/size · sum of x² over size channels)^beta`` (Krizhevsky et al. 2012, 3.3).

    Per element: two multiplications (the square, the factor alpha/size), ``size`` additions (the
    sum of ``size`` squares, and k), one power, one division. Windows that overhang the channels
    count in full.
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    name: ClassVar[str] = "lrn"

    @property
    def detail(self) -> str:
        return f"over {self.size}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) < 3:
            raise ShapeError(f"lrn takes [batch, channels, spatial..], not {formatting.shape(x)}")
        return x

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.size >= 1, "size must be at least 1"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount(mul=2 * n, add=n * self.size, div=n, special=n)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.LocalResponseNorm(self.size, self.alpha, self.beta, self.k)


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
        return _scale_and_shift(x[len(x) - self.axes :], self.affine, self.bias)

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
        return _scale_and_shift((inputs[0][1],), self.affine)

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
        return _scale_and_shift((inputs[0][1],), self.affine)

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
        return _scale_and_shift(x[len(x) - self.axes :], self.affine, shifted=False)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n, x = prod(output), inputs[0]
        rows = prod(x[: len(x) - self.axes])
        return OpCount(mul=(2 + int(self.affine)) * n, add=n, special=rows)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        shape = inputs[0][len(inputs[0]) - self.axes :]
        return nn.RMSNorm(shape, elementwise_affine=self.affine)


def _scale_and_shift(shape: Shape, affine: bool, shifted: bool = True) -> tuple[Tensor, ...]:
    """A weight and a bias of that shape, if it is affine; without the bias if not shifted."""
    if not affine:
        return ()
    return (("weight", shape), ("bias", shape)) if shifted else (("weight", shape),)
