"""What joins, selects or passes on elements, without arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

from costlab import formatting
from costlab.errors import ShapeError
from costlab.graph.op import Condition, Keeps, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount

if TYPE_CHECKING:
    from torch import nn


class ZeroCost(Op):
    """An operation that computes nothing, and by default gives its input."""

    __slots__ = ()

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    @property
    def keeps(self) -> Keeps:
        return "nothing"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount()

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        return ()

    def activations(self, written: int) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class Dropout(ZeroCost):
    """Its input, in evaluation mode; with ``training`` some of it, but counted as if none."""

    p: float = 0.5
    training: bool = False

    name: ClassVar[str] = "dropout"

    @property
    def passes(self) -> bool:
        return not self.training

    @property
    def keeps(self) -> Keeps:
        return "result" if self.training else "nothing"

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Dropout(self.p)


@dataclass(frozen=True, slots=True)
class Flatten(ZeroCost):
    """``[N, C·H·W] = flatten([N, C, H, W])``: all axes after the batch become one."""

    name: ClassVar[str] = "flatten"

    @property
    def passes(self) -> bool:
        return True

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], prod(x[1:]))

    def module(self, *inputs: Shape) -> nn.Module:
        from torch import nn

        return nn.Flatten()


@dataclass(frozen=True, slots=True)
class Select(ZeroCost):
    """``[N, len(channels), ..]``: some of the channels, by their numbers from 0."""

    channels: tuple[int, ...]

    name: ClassVar[str] = "select"

    @property
    def takes_part(self) -> bool:
        return True

    @property
    def detail(self) -> str:
        return ",".join(str(channel) for channel in self.channels)

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if len(x) < 2:
            raise ShapeError(f"select takes [batch, channels, ..], not {formatting.shape(x)}")
        return (x[0], len(self.channels), *x[2:])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        for channel in self.channels:
            yield 0 <= channel < inputs[0][1], f"there is no channel {channel}"

    def module(self, *inputs: Shape) -> nn.Module:
        from costlab.ops.apply import Apply

        return Apply(self, partial(_selected, channels=self.channels))


@dataclass(frozen=True, slots=True)
class Concat(ZeroCost):
    """Tensors joined along an axis, by default the channels."""

    dim: int = 1

    name: ClassVar[str] = "concat"
    arity: ClassVar[int | None] = None

    def output(self, *inputs: Shape) -> Shape:
        first = inputs[0]
        if any(len(x) != len(first) for x in inputs) or not -len(first) <= self.dim < len(first):
            raise ShapeError(f"concat along axis {self.dim} of {formatting.shapes(inputs)}")
        axis = self.dim % len(first)
        return (*first[:axis], sum(x[axis] for x in inputs), *first[axis + 1 :])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        first = inputs[0]
        for x in inputs[1:]:
            for axis, (a, b) in enumerate(zip(first, x, strict=False)):
                if axis != self.dim % len(first):
                    yield abs(a - b) <= 0, "its inputs differ off the axis of concatenation"

    def module(self, *inputs: Shape) -> nn.Module:
        import torch

        from costlab.ops.apply import Apply

        return Apply(self, partial(torch.cat, dim=self.dim))


def _selected(inputs: tuple[Any, ...], channels: tuple[int, ...]) -> Any:
    return inputs[0][:, list(channels)]
