"""Linear layers and matrix products."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial, reduce
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Keeps, Op, Shape, Tensor
from costlab.graph.opcount import (
    Contraction,
    Gradient,
    GradientScalars,
    OpCount,
    collected,
    of_input,
    of_shift,
)
from costlab.ops.broadcast import broadcast, broadcast_conditions

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class Linear(Op):
    """``[.., out] = linear([.., in], [out, in])``: rows·in·out MACs, and an addition per bias."""

    out_features: int
    bias: bool = True

    name: ClassVar[str] = "linear"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) < 2:
            raise ShapeError(f"linear takes [batch, .., features], not {formatting.shape(x)}")
        return (*x[:-1], self.out_features)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.out_features >= 1, "it needs at least 1 output feature"

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        weight = ("weight", (self.out_features, inputs[0][-1]))
        return (weight, ("bias", (self.out_features,))) if self.bias else (weight,)

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        return Contraction(
            (*output[:-1], self.out_features),
            (inputs[0][-1],),
            (("batch", *["row"] * (len(output) - 2), "output features"), ("input features",)),
        )

    @property
    def keeps(self) -> Keeps:
        return "inputs"

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """``dx = dy·W`` and ``dW = dyᵀ·x``."""
        rows, row_names = output[:-1], ("batch", *["row"] * (len(output) - 2))
        features, given = self.out_features, inputs[0][-1]
        input_gradient = Contraction(
            (*rows, given), (features,), ((*row_names, "input features"), ("output features",))
        )
        weight_gradient = Contraction(
            (features, given), rows, (("output features", "input features"), row_names)
        )
        return Gradient(input_gradient, operands=(0,)), Gradient(weight_gradient, weights=(0,))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(add=prod(output)) if self.bias else OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of a bias, the sum of the output's gradients for each feature."""
        return of_shift(output, self.out_features, 1) if self.bias else ()

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Linear(inputs[0][-1], self.out_features, self.bias)


@dataclass(frozen=True, slots=True)
class RadialBasis(Op):
    """``[.., out]``: squared Euclidean distances of ``[.., in]`` to fixed centres, no params.

    Per output: ``in`` subtractions, ``in`` squares, ``in - 1`` additions (LeCun et al. 1998, II-B).
    No contraction: a difference is squared, where a contraction multiplies by a weight.
    """

    out_features: int

    name: ClassVar[str] = "radial_basis"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) < 2:
            raise ShapeError(f"radial_basis takes [batch, .., features], not {formatting.shape(x)}")
        return (*x[:-1], self.out_features)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.out_features >= 1, "it needs at least 1 output feature"

    def buffers(self, *inputs: Shape) -> Iterable[Tensor]:
        return (("centres", (self.out_features, inputs[0][-1])),)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n, width = prod(output), inputs[0][-1]
        return OpCount(mul=n * width, add=n * (2 * width - 1))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``2·Σ dy·(x - c)``: a difference and a product for each pair, summed over the centres."""
        pairs, given = prod(output) * inputs[0][-1], prod(inputs[0])
        return of_input(mul=pairs + given, add=2 * pairs - given)

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Distances

        return Distances(inputs[0][-1], self.out_features)


@dataclass(frozen=True, slots=True)
class Matmul(Op):
    """``[.., m, n] = [.., m, k] @ [.., k, n]``: batch·m·n·k MACs, the batch broadcast."""

    name: ClassVar[str] = "matmul"
    arity: ClassVar[int | None] = 2

    def output(self, *inputs: Shape) -> Shape:
        a, b = _matrices(*inputs)
        return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        a, b = _matrices(*inputs)
        yield abs(a[-1] - b[-2]) <= 0, "the first's columns must be the second's rows"
        yield from broadcast_conditions(a[:-2], b[:-2])

    def contraction(self, output: Shape, *inputs: Shape) -> Contraction:
        return Contraction(
            output,
            (inputs[0][-1],),
            ((*["batch"] * (len(output) - 2), "rows", "columns"), ("inner",)),
        )

    @property
    def keeps(self) -> Keeps:
        return "inputs"

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """``dA = dC·Bᵀ`` and ``dB = Aᵀ·dC``, over the broadcast batch."""
        (*batch, rows, columns), inner = output, inputs[0][-1]
        batch_names = ["batch"] * len(batch)
        first = Contraction(
            (*batch, rows, inner), (columns,), ((*batch_names, "rows", "inner"), ("columns",))
        )
        second = Contraction(
            (*batch, inner, columns), (rows,), ((*batch_names, "inner", "columns"), ("rows",))
        )
        return Gradient(first, operands=(0,)), Gradient(second, operands=(1,))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Products of a batch that was broadcast are summed."""
        a, b = inputs
        (*batch, rows, columns), inner = output, a[-1]
        return (
            GradientScalars(collected((*batch, rows, inner), a), operands=(0,)),
            GradientScalars(collected((*batch, inner, columns), b), operands=(1,)),
        )

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(reduce, operator.matmul))


def _matrices(a: Shape, b: Shape) -> tuple[Shape, Shape]:
    if len(a) < 2 or len(b) < 2:
        raise ShapeError(f"matmul takes two matrices or stacks, not {formatting.shapes((a, b))}")
    return a, b
