"""Equations whose matrix is a triangle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount, collected
from costlab.ops.broadcast import broadcast, broadcast_conditions


@dataclass(frozen=True, slots=True)
class SolveTriangular(Op):
    """The X of ``A·X = B``, or of ``X·A = B`` (``left=False``), by substitution.

    ``A`` is ``[.., n, n]``, of which one triangle is read, ``B`` is ``[.., n, k]`` or
    ``[.., k, n]``. Of each of its k columns or rows, the i-th number takes i - 1 multiplications
    and subtractions, and a division, without which the diagonal is taken for ones
    (``divides=False``).
    """

    left: bool = True
    divides: bool = True

    name: ClassVar[str] = "solve_triangular"
    arity: ClassVar[int | None] = 2

    def output(self, *inputs: Shape) -> Shape:
        a, b = inputs
        return (*broadcast(a[:-2], b[:-2]), *b[-2:])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        a, b = inputs
        yield min(len(a), len(b)) >= 2, "it takes two matrices"
        yield a[-2:-1] == a[-1:], "its first matrix must be square"
        yield a[-1:] == (b[-2:-1] if self.left else b[-1:]), "its matrices do not fit"
        yield from broadcast_conditions(a[:-2], b[:-2])

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n, elements = inputs[0][-1], prod(output)
        products = elements * (n - 1) // 2  # of n(n - 1)/2 for each of elements / n
        return OpCount(mul=products, add=products, div=elements if self.divides else 0)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of B the solution of the transposed equations; of A's triangle ``-dB·Xᵀ``.

        A diagonal that is taken for ones gets none.
        """
        a, b = inputs
        n = a[-1]
        pairs = n * (n + 1) // 2 if self.divides else n * (n - 1) // 2
        matrices = prod(output[:-2])
        rows = matrices * (output[-1] if self.left else output[-2])
        of_pairs = OpCount(mul=pairs * (rows + matrices), add=pairs * (rows - prod(a[:-2])))
        return (
            GradientScalars(self.scalars(output, *inputs), operands=(0, 1)),
            GradientScalars(of_pairs, operands=(0,)),
            GradientScalars(collected(output, b), operands=(1,)),
        )
