"""Functions of each element, and of two elements together, by their names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Condition, Keeps, Op, Shape, Tensor
from costlab.graph.opcount import GradientScalars, OpCount, collected, of_scale
from costlab.ops.broadcast import Together
from costlab.ops.derivatives import OF_EACH, OF_NUMBER_FIRST, OF_ONE, OF_PAIR, OF_THREE
from costlab.ops.element_functions import EACH, PAIR, QUANTIZING

_ALL = {**EACH, **QUANTIZING}


@dataclass(frozen=True, slots=True)
class Pointwise(Op):
    """A function of each element, one of ``EACH`` or ``QUANTIZING``."""

    function: str

    name: ClassVar[str] = "pointwise"

    def label(self, *inputs: Shape) -> str:
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.function in _ALL, f"there is no rule for {self.function}"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return _ALL[self.function] * prod(output)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        """One of ``OF_EACH``; None for another."""
        if self.function not in OF_EACH:
            return None
        return (GradientScalars(OF_EACH[self.function] * prod(output), operands=(0,)),)


@dataclass(frozen=True, slots=True)
class Pair(Together):
    """A function of two tensors, or of a tensor and a number, one of ``PAIR``, broadcast.

    What ``where`` chooses by takes part in the shape only; ``lerp`` may have a tensor of weights,
    and ``addcmul`` and ``addcdiv`` are of three.
    ``number_first`` is whether it is of a number and a tensor in this order.
    """

    function: str
    number_first: bool = False

    name: ClassVar[str] = "pair"

    def label(self, *inputs: Shape) -> str:
        return self.function

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.function in PAIR, f"there is no rule for {self.function}"
        yield len(inputs) >= 1, "it takes an input"
        if len(inputs) > 1:
            yield from Together.conditions(self, *inputs)

    @property
    def keeps(self) -> Keeps:
        return "nothing" if self.function in ("add", "sub") else "result"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return PAIR[self.function] * prod(output)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        """One of ``OF_PAIR``; with a number one of ``OF_ONE`` or ``OF_NUMBER_FIRST``.

        What ``where`` and ``masked_fill`` choose by, true or false, gets no gradient.
        """
        with_number = OF_NUMBER_FIRST if self.number_first else OF_ONE
        if len(inputs) == 1 and self.function in with_number:
            return (GradientScalars(with_number[self.function] * prod(output), operands=(0,)),)
        counts: tuple[OpCount, ...]
        if self.function == "where":
            counts = (OF_PAIR["where"][0],) * len(inputs)
        elif len(inputs) == 2 and self.function in OF_PAIR:
            counts = OF_PAIR[self.function]
        elif len(inputs) == 3 and self.function in OF_THREE:
            counts = OF_THREE[self.function]
        else:
            return None
        parts = tuple(
            GradientScalars(count * prod(output) + collected(output, own), operands=(number,))
            for number, (count, own) in enumerate(zip(counts, inputs, strict=True))
        )
        if self.function != "masked_fill":
            return parts
        n = prod(output)  # what fills is one number, perhaps of a tensor
        return (*parts, GradientScalars(OpCount(cmp=n, add=n - 1), weights=(0,)))


@dataclass(frozen=True, slots=True)
class PReLU(Op):
    """``x`` or, below 0, ``slope·x``: a comparison and a multiplication; the slopes are params."""

    slopes: int = 1

    name: ClassVar[str] = "prelu"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        x = inputs[0]
        if len(x) > 1:
            wrong = abs(self.slopes - 1) * abs(self.slopes - x[1])
            yield wrong <= 0, "it takes 1 slope, or one for each channel"

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return (("weight", (self.slopes,)),)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(mul=1, cmp=1) * prod(output)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``dy`` or, below 0, ``slope·dy``; of a slope, the sum of ``x·dy`` where x is below 0."""
        n = prod(output)
        return (
            GradientScalars(OpCount(cmp=n), operands=(0,), weights=(0,)),
            GradientScalars(OpCount(mul=n), operands=(0,)),
            *of_scale(output, self.slopes),
        )
