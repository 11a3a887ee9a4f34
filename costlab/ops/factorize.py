"""Matrices as products of triangles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab import formatting
from costlab.graph.arithmetic import smaller
from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount


@dataclass(frozen=True, slots=True)
class Factorize(Op):
    """Both triangles of each matrix, by elimination: what LAPACK's ``getrf`` and ``potrf`` count.

    ``lu`` of ``[.., m, n]``: in each of min(m, n) steps the largest by size of the rest of a column
    is found, the others are divided by it, and their products with its row are subtracted from the
    rest. ``cholesky`` of ``[.., n, n]``: each place of a triangle less the products of what is
    before it in two rows, divided by the diagonal, which takes a root.
    """

    function: str

    name: ClassVar[str] = "factorize"

    def label(self, *inputs: Shape) -> str:
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        (a,) = inputs
        yield self.function in ("lu", "cholesky"), f"there is no rule for {self.function}"
        yield len(a) >= 2, f"{formatting.shape(a)} is no matrix"
        if self.function == "cholesky":
            yield a[-2:-1] == a[-1:], "its matrix must be square"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        *batch, m, n = output
        if self.function == "cholesky":
            products, pairs = n * (n - 1) * (n + 1) // 6, n * (n - 1) // 2
            return OpCount(mul=products, add=products, div=pairs, special=n) * prod(batch)
        steps = smaller(m, n)
        pairs = steps * (steps - 1) // 2
        squares = pairs * (2 * steps - 1) // 3  # of 0 to steps - 1
        products = steps * (m - 1) * (n - 1) - (m + n - 2) * pairs + squares
        return OpCount(
            mul=products,
            add=products,
            div=steps * (m - 1) - pairs,
            cmp=2 * steps * m - steps * steps,
        ) * prod(batch)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of Cholesky's L: ``(S + Sᵀ) / 2`` of ``S = L⁻ᵀ·P·L⁻¹``, by two triangular equations.

        P is the lower triangle of ``Lᵀ·dL``, with half of its diagonal. Of LU there is no rule.
        """
        if self.function == "lu":
            return (GradientScalars(None, operands=None),)
        *batch, n, _ = output
        products, places = n * (n + 1) * (n + 2) // 6, n * (n + 1) // 2
        elements = n * n
        solved = elements * (n - 1)  # of both equations: n(n - 1)/2 for each of n columns
        count = OpCount(
            mul=products + n + solved + elements,
            add=products - places + solved + elements,
            div=2 * elements,
        )
        return (GradientScalars(count * prod(batch), operands=(0,)),)
