"""Equations and inverses of matrices, by their factors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import Contraction, Gradient, GradientScalars, OpCount, collected
from costlab.ops.factorize import Factorize
from costlab.ops.triangular import SolveTriangular

_LOWER, _UPPER = SolveTriangular(divides=False), SolveTriangular()


@dataclass(frozen=True, slots=True)
class Solve(Op):
    """The X of ``A·X = B``, or of ``X·A = B`` (``left=False``): LU of A, then both triangles."""

    left: bool = True

    name: ClassVar[str] = "solve"
    arity: ClassVar[int | None] = 2

    def output(self, *inputs: Shape) -> Shape:
        return SolveTriangular(self.left).output(*inputs)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        return SolveTriangular(self.left).conditions(*inputs)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        a, _ = inputs
        return Factorize("lu").scalars(a, a) + _by_triangles(a, output)

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """``dA = -dB·Xᵀ``, where ``dB`` solves the transposed equations."""
        (*batch, rows, columns), n = output, inputs[0][-1]
        inner = columns if self.left else rows
        return (Gradient(_product(batch, n, inner), operands=(0,)),)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``dB`` by the factors that there are; the sign of ``dA``."""
        a, b = inputs
        n = a[-1]
        spread = (*output[:-2], n, n)
        return (
            GradientScalars(_by_triangles(a, output), operands=(0, 1)),
            GradientScalars(OpCount(mul=prod(spread)) + collected(spread, a), operands=(0,)),
            GradientScalars(collected(output, b), operands=(1,)),
        )


@dataclass(frozen=True, slots=True)
class Inverse(Op):
    """``Y = A⁻¹``, the solution for the columns of the identity."""

    name: ClassVar[str] = "inverse"

    def output(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        return Solve().conditions(inputs[0], inputs[0])

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return Solve().scalars(output, output, output)

    def gradients(self, output: Shape, *inputs: Shape) -> tuple[Gradient, ...]:
        """``dA = -Yᵀ·dY·Yᵀ``: two products."""
        *batch, n, _ = output
        return (Gradient(_product(batch, n, n), operands=(0,)),) * 2

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """The sign."""
        return (GradientScalars(OpCount(mul=prod(output)), operands=(0,)),)


def _by_triangles(a: Shape, output: Shape) -> OpCount:
    """Both triangular equations, of all columns or rows of a result."""
    return _LOWER.scalars(output, a, output) + _UPPER.scalars(output, a, output)


def _product(batch: Iterable[int], n: int, inner: int) -> Contraction:
    batch = tuple(batch)
    names = (*["batch"] * len(batch), "rows", "columns")
    return Contraction((*batch, n, n), (inner,), (names, ("inner",)))
