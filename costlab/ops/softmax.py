"""Softmax and its logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount, of_input

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Softmax(Op):
    """``exp(x - max) / sum(exp(x - max))`` over an axis, for each of r rows of n elements in all.

    n - r comparisons (the maximum), n + (n - r) additions (the subtraction and the sum), n exp,
    n divisions.
    """

    dim: int = -1

    name: ClassVar[str] = "softmax"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        _require_axis(self, x)
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        rows = prod(d for i, d in enumerate(output) if i != self.dim % len(output))
        return OpCount(add=2 * n - rows, cmp=n - rows, div=n, special=n)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``y·(dy - Σ dy·y)``."""
        n = prod(output)
        rows = prod(d for i, d in enumerate(output) if i != self.dim % len(output))
        return of_input(mul=2 * n, add=2 * n - rows)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Softmax(self.dim)


@dataclass(frozen=True, slots=True)
class LogSoftmax(Op):
    """``x - max - log(sum(exp(x - max)))`` over an axis, for each of r rows of n elements in all.

    n - r comparisons, 3n - r additions, n exp and r log.
    """

    dim: int = -1

    name: ClassVar[str] = "log_softmax"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        _require_axis(self, x)
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        rows = prod(d for i, d in enumerate(output) if i != self.dim % len(output))
        return OpCount(add=3 * n - rows, cmp=n - rows, special=n + rows)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``dy - exp(y)·Σ dy``."""
        n = prod(output)
        rows = prod(d for i, d in enumerate(output) if i != self.dim % len(output))
        return of_input(mul=n, add=2 * n - rows, special=n)


def _require_axis(op: Softmax | LogSoftmax, x: Shape) -> None:
    """Raises ``ShapeError`` for an axis that there is not."""
    if not -len(x) <= op.dim < len(x):
        raise ShapeError(f"{op.name} over axis {op.dim} of {formatting.shape(x)}, which has none")
