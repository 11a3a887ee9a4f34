"""What moves or holds elements and computes nothing, and tables that are looked up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab.graph.op import Op, Shape, Tensor
from costlab.graph.opcount import OpCount
from costlab.ops.zero_cost import ZeroCost


@dataclass(frozen=True, slots=True)
class Moved(ZeroCost):
    """Elements in another order, shape or place: ``view``, ``permute``, ``pad``, ``index``..."""

    what: str
    shape: Shape

    name: ClassVar[str] = "moved"
    arity: ClassVar[int | None] = None

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True)
class Leaf(ZeroCost):
    """A parameter, buffer or constant that is used as a value: no operation made it."""

    what: str
    shape: Shape

    name: ClassVar[str] = "leaf"
    arity: ClassVar[int | None] = 0

    def activations(self, output: Shape) -> int:
        return 0

    def label(self, *inputs: Shape) -> str:
        return self.what

    def output(self, *inputs: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, slots=True)
class Embedding(Op):
    """``[.., width]`` rows of a table ``[size, width]`` by index: looked up, not computed."""

    size: int
    width: int

    name: ClassVar[str] = "embedding"

    @property
    def detail(self) -> str:
        return f"of {self.size}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (*x, self.width)

    def parameters(self, *inputs: Shape) -> Iterable[Tensor]:
        return (("weight", (self.size, self.width)),)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount()


@dataclass(frozen=True, slots=True)
class Fold(Op):
    """``[N, C, *size]`` from its windows ``[N, C·k, windows]``: elements that meet are added.

    An addition for each element of the windows, also for those that padding crops.
    """

    size: Shape
    window: int

    name: ClassVar[str] = "fold"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1] // self.window, *self.size)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(add=prod(inputs[0]))


@dataclass(frozen=True, slots=True)
class Interpolate(Op):
    """``[N, C, *size]`` from ``[N, C, *in]``: each output is a weighted sum of ``taps`` inputs.

    ``taps`` multiplications and one addition fewer for each output; 1 tap copies. Linear modes have
    2 taps for each spatial axis, cubic 4. The weights depend on the place only and are not counted.
    """

    mode: str
    size: Shape

    name: ClassVar[str] = "interpolate"

    @property
    def detail(self) -> str:
        return self.mode

    @property
    def taps(self) -> int:
        """Inputs in each weighted sum."""
        taps: int = _TAPS.get(self.mode, 1) ** len(self.size)
        return taps

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return (x[0], x[1], *self.size)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        return OpCount() if self.taps == 1 else OpCount(mul=n * self.taps, add=n * (self.taps - 1))


_TAPS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}
