"""Operations on each element: sums, products, scales, activation functions."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial, reduce
from itertools import zip_longest
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Op, Shape, Tensor
from costlab.graph.opcount import OpCount

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

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(add=sum(prod(step) for step in _steps(inputs)))

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(reduce, operator.add))


@dataclass(frozen=True, slots=True)
class Multiply(Together):
    """The product of two or more tensors, broadcast, element by element."""

    name: ClassVar[str] = "mul"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(mul=sum(prod(step) for step in _steps(inputs)))

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(reduce, operator.mul))


@dataclass(frozen=True, slots=True)
class ReLU(Op):
    """``max(x, 0)``: a comparison per element."""

    name: ClassVar[str] = "relu"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(cmp=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.ReLU()


@dataclass(frozen=True, slots=True)
class Scale(Op):
    """``x · by``, a constant: a multiplication per element."""

    by: float

    name: ClassVar[str] = "scale"

    @property
    def detail(self) -> str:
        return f"by {self.by}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(mul=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(_scaled, by=self.by))


@dataclass(frozen=True, slots=True)
class Affine(Op):
    """``x·scale + shift`` per channel of ``[N, C, ..]``, both learnable: 2C params.

    A multiplication and an addition per element.
    """

    name: ClassVar[str] = "affine"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) < 2:
            raise ShapeError(f"affine takes [batch, channels, ..], not {formatting.shape(x)}")
        return x

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        channels = (inputs[0][1],)
        return (("weight", channels), ("bias", channels))

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount(mul=n, add=n)

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import PerChannel

        return PerChannel(inputs[0][1])


@dataclass(frozen=True, slots=True)
class Tanh(Op):
    """The hyperbolic tangent, one special operation per element."""

    name: ClassVar[str] = "tanh"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(special=prod(output))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Tanh()


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
        if not -len(x) <= self.dim < len(x):
            raise ShapeError(
                f"softmax over axis {self.dim} of {formatting.shape(x)}, which has none"
            )
        return x

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        rows = prod(d for i, d in enumerate(output) if i != self.dim % len(output))
        return OpCount(add=2 * n - rows, cmp=n - rows, div=n, special=n)

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Softmax(self.dim)


def _scaled(inputs: tuple[Any, ...], by: float) -> Any:
    return inputs[0] * by


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


def _is_one(d: int) -> bool:
    return isinstance(d, int) and d == 1
