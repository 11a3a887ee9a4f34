"""Elements in order, the largest ones, those that are in a set, and how many are in each bin."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab import formatting
from costlab.graph.op import Condition, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount


@dataclass(frozen=True, slots=True)
class Sort(Op):
    """The ``number`` first elements along an axis in their order, by default all; and their places.

    Each element is put in its place among the first ones before it, which is found by halving: c of
    them take ⌈log2(c + 1)⌉ comparisons. So sorting n takes what merge sort takes at most,
    n·⌈log2 n⌉ - 2^⌈log2 n⌉ + 1, and the largest one n - 1. ``last`` gives only the last of them,
    and no axis: the k-th smallest, a median.
    """

    function: str
    dim: int
    number: int | None = None
    last: bool = False
    keepdim: bool = False

    name: ClassVar[str] = "sort"

    def label(self, *inputs: Shape) -> str:
        return self.function

    @property
    def detail(self) -> str:
        return "" if self.number is None else f"{self.number}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        if not x:
            return x
        axis = self.dim % len(x)
        if self.last:
            kept: Shape = (1,) if self.keepdim else ()
        else:
            kept = (x[axis] if self.number is None else self.number,)
        return (*x[:axis], *kept, *x[axis + 1 :])

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        rank = max(len(inputs[0]), 1)
        fits = -rank <= self.dim < rank
        yield fits, f"{formatting.shape(inputs[0])} has no axis {self.dim}"
        if self.number is not None and inputs[0] and fits:
            size = inputs[0][self.dim]
            yield 0 <= self.number <= size, f"there are {size} elements, not {self.number}"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        (x,) = inputs
        size = x[self.dim] if x else 1
        rows = prod(d for i, d in enumerate(x) if i != self.dim % len(x))
        kept = size if self.number is None else min(self.number, size)
        searched = _insertions(kept)
        if self.number is not None:
            searched += (size - kept) * kept.bit_length()
        return OpCount(cmp=rows * searched)

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Each element's gradient goes to the place that it came from."""
        return ()

    @property
    def takes_part(self) -> bool:
        return True


def _insertions(n: int) -> int:
    """The sum of ⌈log2(c + 1)⌉ for c from 0 to n - 1."""
    steps = max(n - 1, 0).bit_length()
    return n * steps - (1 << steps) + 1


@dataclass(frozen=True, slots=True)
class IsIn(Op):
    """Of each element whether it is among those of a set: it is compared with each."""

    name: ClassVar[str] = "isin"
    arity: ClassVar[int | None] = 2

    def output(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(cmp=prod(inputs[0]) * prod(inputs[1]))


@dataclass(frozen=True, slots=True)
class Search(Op):
    """The place of each of the first operand's elements in rows of the second, by halving.

    A row of m elements in their order has m + 1 places, which take ⌈log2(m + 1)⌉ comparisons.
    """

    function: str

    name: ClassVar[str] = "search"
    arity: ClassVar[int | None] = 2

    def label(self, *inputs: Shape) -> str:
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        values, rows = inputs
        fits = len(rows) == 1 or rows[:-1] == values[:-1] != ()
        yield fits, f"{formatting.shape(rows)} is no row, nor has it one for each of the values"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return OpCount(cmp=prod(inputs[0]) * inputs[1][-1].bit_length())


@dataclass(frozen=True, slots=True)
class Distinct(Op):
    """The ``number`` elements that differ from those before them, ``sorted`` beforehand or not.

    Each is compared with the one before it.
    """

    function: str
    number: int
    sorted: bool

    name: ClassVar[str] = "distinct"

    def label(self, *inputs: Shape) -> str:
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        return (self.number,)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        elements = prod(inputs[0])
        return OpCount(cmp=max(elements - 1, 0) + int(self.sorted) * _insertions(elements))


@dataclass(frozen=True, slots=True)
class Histogram(Op):
    """How many elements are in each of ``bins``, or the sum of their weights: one addition each.

    ``ranged`` finds the bin of a number in a range: two comparisons, a subtraction and a
    multiplication for each element. ``searched``: that range is found first.
    """

    function: str
    bins: int
    ranged: bool
    searched: bool = False

    name: ClassVar[str] = "histogram"
    arity: ClassVar[int | None] = None

    def label(self, *inputs: Shape) -> str:
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        return (self.bins,)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        per_element = OpCount(cmp=2, add=2, mul=1) if self.ranged else OpCount(add=1)
        elements = prod(inputs[0])
        return per_element * elements + OpCount(cmp=2 * (elements - 1) * int(self.searched))


@dataclass(frozen=True, slots=True)
class Suppress(Op):
    """Non-maximum suppression: boxes that are left when those that overlap a better one are gone.

    Boxes are sorted by their scores, and each is compared with each that is better: whichever
    are left, as if all were. A pair takes 4 comparisons for the corners of the intersection and 2
    that keep it from being negative, 2 subtractions and a multiplication for its area, an addition
    and a subtraction for that of the union, a division, and the comparison with the threshold;
    a box 2 subtractions and a multiplication for its area.
    """

    left: int

    name: ClassVar[str] = "nms"
    arity: ClassVar[int | None] = 2

    def output(self, *inputs: Shape) -> Shape:
        return (self.left,)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = inputs[1][0]
        pairs = OpCount(cmp=7, add=4, mul=1, div=1) * (n * (n - 1) // 2)
        return pairs + OpCount(add=2, mul=1) * n + OpCount(cmp=_insertions(n))
