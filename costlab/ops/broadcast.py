"""Operations on several tensors, element by element, of shapes that broadcast."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial, reduce
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, ClassVar

from costlab.graph.op import Condition, Keeps, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount, collected

if TYPE_CHECKING:
    from torch import nn


class Together(Op):
    """An operation on two or more tensors, element by element, broadcast, from the left."""

    __slots__ = ()

    arity: ClassVar[int | None] = None

    def output(self, *inputs: Shape) -> Shape:
        return reduce(broadcast, inputs)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield len(inputs) >= 2, "it takes two or more inputs"
        for so_far, more in zip((inputs[0], *_steps(inputs)), inputs[1:], strict=False):
            yield from broadcast_conditions(so_far, more)


@dataclass(frozen=True, slots=True)
class Add(Together):
    """The sum of two or more tensors, broadcast, element by element."""

    name: ClassVar[str] = "add"

    @property
    def keeps(self) -> Keeps:
        return "nothing"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(add=sum(prod(step) for step in _steps(inputs)))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """A gradient of what was broadcast is summed; step by step, from the last operand."""
        return _of_steps(inputs, OpCount())

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(reduce, operator.add))


@dataclass(frozen=True, slots=True)
class Multiply(Together):
    """The product of two or more tensors, broadcast, element by element."""

    name: ClassVar[str] = "mul"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(mul=sum(prod(step) for step in _steps(inputs)))

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of each of two factors the gradient times the other; step by step, from the last one."""
        return _of_steps(inputs, OpCount(mul=1))

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(reduce, operator.mul))


def broadcast(a: Shape, b: Shape) -> Shape:
    """The shape of two tensors taken together, aligned at the last axis."""
    pairs = zip_longest(reversed(a), reversed(b), fillvalue=1)
    return tuple(y if _is_one(x) else x for x, y in pairs)[::-1]


def broadcast_conditions(a: Shape, b: Shape) -> Iterable[Condition]:
    """Dimensions that meet are equal, or one of them is 1."""
    for x, y in zip_longest(reversed(a), reversed(b), fillvalue=1):
        if not (_is_one(x) or _is_one(y)):
            yield abs(x - y) <= 0, "its inputs do not broadcast"


def _steps(inputs: tuple[Shape, ...]) -> Iterable[Shape]:
    """The shapes after the second, third... input has been taken in, from the left."""
    shape = inputs[0]
    for more in inputs[1:]:
        shape = broadcast(shape, more)
        yield shape


def _of_steps(inputs: tuple[Shape, ...], times: OpCount) -> tuple[GradientScalars, ...]:
    """Of both sides of each step: that, for each element of its result, and the sums."""
    parts, before = [], inputs[0]
    for number, (step, more) in enumerate(zip(_steps(inputs), inputs[1:], strict=True), 1):
        own = times * prod(step)
        parts.append(GradientScalars(own + collected(step, before), tuple(range(number))))
        parts.append(GradientScalars(own + collected(step, more), (number,)))
        before = step
    return tuple(parts)


def _is_one(d: int) -> bool:
    return type(d) is int and d == 1
