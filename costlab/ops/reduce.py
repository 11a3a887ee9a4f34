"""Many elements into one: sums, means, extremes, and running sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from costlab import formatting
from costlab.graph.op import Condition, Keeps, Op, Shape
from costlab.graph.opcount import GradientScalars, OpCount, of_input

ARITHMETIC = {
    # for each pair that is combined, for each input element, for each output element
    "sum": ("add", OpCount(), OpCount()),
    "mean": ("add", OpCount(), OpCount(div=1)),
    "prod": ("mul", OpCount(), OpCount()),
    "max": ("cmp", OpCount(), OpCount()),
    "min": ("cmp", OpCount(), OpCount()),
    "argmax": ("cmp", OpCount(), OpCount()),
    "argmin": ("cmp", OpCount(), OpCount()),
    "any": ("cmp", OpCount(), OpCount()),
    "all": ("cmp", OpCount(), OpCount()),
    "norm": ("add", OpCount(mul=1), OpCount(special=1)),
    "norm_1": ("add", OpCount(cmp=1), OpCount()),
    "norm_inf": ("cmp", OpCount(cmp=1), OpCount()),
    "norm_p": ("add", OpCount(cmp=1, special=1), OpCount(special=1)),
    "nansum": ("add", OpCount(cmp=1), OpCount()),
    "count_nonzero": ("add", OpCount(cmp=1), OpCount()),
    "logsumexp": ("add", OpCount(special=1), OpCount(special=1)),
}
"""What combines two elements, and what else each input and each output element takes."""


BACKWARD = {
    # for each input element, for each output element
    "sum": (OpCount(), OpCount()),
    "mean": (OpCount(), OpCount(div=1)),
    "norm": (OpCount(mul=1), OpCount(div=1)),  # x·(dy / y)
    "norm_1": (OpCount(cmp=2, mul=1), OpCount()),  # dy·sign(x)
    "norm_inf": (OpCount(cmp=4, mul=1), OpCount()),  # dy·sign(x) where |x| is y, else 0
    "norm_p": (  # x·|x|^(p - 2)·(dy / y^(p - 1))
        OpCount(cmp=1, mul=2, special=1),
        OpCount(div=1, special=1),
    ),
    **dict.fromkeys(("max", "min"), (OpCount(cmp=1), OpCount())),  # dy where x is y, else 0
    "prod": (OpCount(div=1), OpCount(mul=1)),  # dy·y / x
    "nansum": (OpCount(cmp=1), OpCount()),
    "logsumexp": (OpCount(mul=1, add=1, special=1), OpCount()),  # dy·exp(x - y)
}
"""What the gradient of the input takes."""

RUNNING = {
    # what combines an element with those before it, and what each element takes beside
    "cumsum": (OpCount(add=1), OpCount()),
    "cumprod": (OpCount(mul=1), OpCount()),
    "cummax": (OpCount(cmp=1), OpCount()),
    "cummin": (OpCount(cmp=1), OpCount()),
    "logcumsumexp": (OpCount(add=1), OpCount(special=2)),  # exp, and log of the sum
}
"""What is done along an axis."""

SCATTERED = {
    "sum": OpCount(add=1),
    "prod": OpCount(mul=1),
    "amax": OpCount(cmp=1),
    "amin": OpCount(cmp=1),
}
"""What combines an element with its place."""


@dataclass(frozen=True, slots=True)
class Reduce(Op):
    """Some axes, by default all, into one element: one of ``ARITHMETIC``.

    Of i inputs and n outputs, i - n combinations.
    """

    function: str
    dims: tuple[int, ...] | None = None
    keepdim: bool = False

    name: ClassVar[str] = "reduce"

    def label(self, *inputs: Shape) -> str:
        return self.function

    @property
    def detail(self) -> str:
        return "" if self.dims is None else f"axes {','.join(map(str, self.dims))}"

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        gone = {d % max(len(x), 1) for d in (range(len(x)) if self.dims is None else self.dims)}
        if self.keepdim:
            return tuple(1 if i in gone else d for i, d in enumerate(x))
        return tuple(d for i, d in enumerate(x) if i not in gone)

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.function in ARITHMETIC, f"there is no rule for {self.function}"
        dims, rank = self.dims or (), len(inputs[0])
        for d in dims:
            yield -rank <= d < rank, f"{formatting.shape(inputs[0])} has no axis {d}"
        if len(dims) > 1:
            yield len({d % rank for d in dims}) == len(dims), "it names an axis twice"

    @property
    def keeps(self) -> Keeps:
        return "nothing" if self.function in ("sum", "mean") else "result"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        combined, per_element, result = ARITHMETIC[self.function]
        elements, n = prod(inputs[0]), prod(output)
        return OpCount(**{combined: elements - n}) + per_element * elements + result * n

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...] | None:
        """One of ``BACKWARD``; None for another."""
        if self.function not in BACKWARD:
            return None
        per_element, result = BACKWARD[self.function]
        return (
            GradientScalars(per_element * prod(inputs[0]) + result * prod(output), operands=(0,)),
        )


@dataclass(frozen=True, slots=True)
class Variance(Op):
    """The variance over some axes, by default all, or with ``root`` the standard deviation.

    Of i inputs and n outputs: i - n additions for the means and i - n for the sums of squares, i
    subtractions, i squares, 2n divisions, and n roots.
    """

    dims: tuple[int, ...] | None = None
    keepdim: bool = False
    root: bool = False

    name: ClassVar[str] = "var"

    def label(self, *inputs: Shape) -> str:
        return "std" if self.root else "var"

    def output(self, *inputs: Shape) -> Shape:
        return Reduce("sum", self.dims, self.keepdim).output(*inputs)

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        elements, n = prod(inputs[0]), prod(output)
        return OpCount(
            mul=elements,
            add=3 * elements - 2 * n,
            div=2 * n,
            special=n * int(self.root),
        )

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """``(dy·2/m)·(x - mean)``, the mean found again; of a root y ``dy/(m·y)·(x - mean)``."""
        elements, n = prod(inputs[0]), prod(output)
        return of_input(mul=elements + n, add=2 * elements - n, div=(1 + int(self.root)) * n)


@dataclass(frozen=True, slots=True)
class Cumulative(Op):
    """Running sums, products, extremes, logarithms of sums of exponentials along an axis.

    A step for each element but the first.
    """

    function: str
    dim: int

    name: ClassVar[str] = "cumulative"

    def label(self, *inputs: Shape) -> str:
        return self.function

    def output(self, *inputs: Shape) -> Shape:
        (x,) = inputs
        return x

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.function in RUNNING, f"there is no rule for {self.function}"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        n = prod(output)
        rows = prod(d for i, d in enumerate(output) if i != self.dim % len(output))
        combined, per_element = RUNNING[self.function]
        return combined * (n - rows) + per_element * n

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of a sum, the sum from the other end; of a product that of ``dy·y``, divided by x.

        Of a sum of exponentials that of ``dy / exp(y)``, times exp(x).
        An extreme has its element's gradient added to that of the place which it was found at.
        """
        n = prod(output)
        rows = prod(d for i, d in enumerate(output) if i != self.dim % len(output))
        if self.function == "cumsum":
            return of_input(add=n - rows)
        if self.function == "cumprod":
            return of_input(mul=n, add=n - rows, div=n)
        if self.function == "logcumsumexp":
            return of_input(mul=n, add=n - rows, div=n, special=2 * n)
        return of_input(add=n)


@dataclass(frozen=True, slots=True)
class Scatter(Op):
    """Each element of a source combined into a place of a target: ``scatter_add``, ``index_add``.

    ``target, source`` gives the target's shape; one operation for each element of the source.
    """

    function: str

    name: ClassVar[str] = "scatter"
    arity: ClassVar[int | None] = 2

    def label(self, *inputs: Shape) -> str:
        return f"scatter_{self.function}"

    def output(self, *inputs: Shape) -> Shape:
        return inputs[0]

    def conditions(self, *inputs: Shape) -> Iterable[Condition]:
        yield self.function in SCATTERED, f"there is no rule for {self.function}"

    def scalars(self, output: Shape, *inputs: Shape) -> OpCount:
        return SCATTERED[self.function] * prod(inputs[1])

    def gradient_scalars(self, output: Shape, *inputs: Shape) -> tuple[GradientScalars, ...]:
        """Of a sum, both tensors get the gradient as it is; of an extreme, if they were it.

        Of a product ``dy·y / x``, of either x.
        """
        if self.function == "sum":
            return ()
        shared, per_element = OpCount(), OpCount(cmp=1)
        if self.function == "prod":
            shared, per_element = OpCount(mul=prod(output)), OpCount(div=1)
        return (
            GradientScalars(shared, operands=(0, 1)),
            GradientScalars(per_element * prod(output), operands=(0,)),
            GradientScalars(per_element * prod(inputs[1]), operands=(1,)),
        )
