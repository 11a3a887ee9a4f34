"""Distances between the points of two sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount, collected
from costlab.ops.broadcast import broadcast, broadcast_conditions
from costlab.ops.reduce import BACKWARD


@dataclass(frozen=True, slots=True)
class PairDistances(Op):
    """Of ``[.., p, w]`` and ``[.., r, w]`` the distances of each to each, ``[.., p, r]``.

    ``order`` is that of the norm: 0 (numbers that differ), 1, 2, ``inf`` or any other.
    By the definition, not by a matrix product.
    """

    order: float = 2

    name: ClassVar[str] = "cdist"
    arity: ClassVar[int | None] = 2

    def output(self, *inputs: Shape) -> Shape:
        a, b = inputs
        return (*broadcast(a[:-2], b[:-2]), a[-2], b[-2])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        a, b = inputs
        yield min(len(a), len(b)) >= 2, "it takes two sets of points, [.., points, width]"
        yield a[-1:] == b[-1:], "points of both sets must have the same width"
        yield from broadcast_conditions(a[:-2], b[:-2])

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n, width = prod(output), inputs[0][-1]
        combined = max(width - 1, 0)
        by_order = {
            0.0: OpCount(cmp=width, add=combined),
            1.0: OpCount(add=width + combined, cmp=width),
            2.0: OpCount(add=width + combined, mul=width, special=1),
            float("inf"): OpCount(add=width, cmp=width + combined),
        }
        others = OpCount(add=width + combined, cmp=width, special=width + 1)
        return by_order.get(float(self.order), others) * n

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """That of the norm of ``a - b``, which are found again, to a, and with its sign to b.

        How many numbers differ has none.
        """
        if self.order == 0:
            return ()
        a, b = inputs
        gaps = (*output, a[-1])
        names = {1.0: "norm_1", 2.0: "norm", float("inf"): "norm_inf"}
        per_element, result = BACKWARD[names.get(float(self.order), "norm_p")]
        shared = (per_element + OpCount(add=1)) * prod(gaps) + result * prod(output)
        return (
            GradientScalars(shared, operands=(0, 1)),
            GradientScalars(collected(gaps, a), operands=(0,)),
            GradientScalars(collected(gaps, b) + OpCount(mul=prod(b)), operands=(1,)),
        )
