"""What an operation costs: a value that adds, and contractions that show their factors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from costlab.graph.op import Op, Shape


class OpCount(NamedTuple):
    """Exact numbers of scalar operations by kind, in evaluation mode. Counts add.

    ``macs`` are multiply-adds inside contractions (convolution, linear, matrix product): one MAC
    is one multiplication and one addition. The others are scalar operations outside of them;
    ``special`` is one exp, log, pow, sqrt, erf or tanh.
    """

    macs: int = 0
    mul: int = 0
    add: int = 0
    cmp: int = 0
    div: int = 0
    special: int = 0

    @property
    def other(self) -> int:
        """Scalar operations outside contractions."""
        return self.mul + self.add + self.cmp + self.div + self.special

    @property
    def flops(self) -> int:
        """Every scalar operation: ``2·macs + other``."""
        return 2 * self.macs + self.other

    def with_macs(self, macs: int) -> OpCount:
        """The same with that many multiply-adds."""
        return tuple.__new__(OpCount, (macs, *self[1:]))

    def __add__(self, more: OpCount) -> OpCount:  # type: ignore[override]
        return OpCount(*[one + other for one, other in zip(self, more, strict=True)])

    def __mul__(self, times: int) -> OpCount:  # type: ignore[override]
        """The count of doing it ``times`` times."""
        return OpCount(*[number * times for number in self])

    def __rmul__(self, times: int) -> OpCount:  # type: ignore[override]
        return self * times


OpCount.__array_ufunc__ = None  # type: ignore[attr-defined]  # numpy leaves `*` to it


class StepCount(NamedTuple):
    """What a training step takes: forward, and backward to what is computed and to parameters.

    ``input_gradient`` is done where a tensor that an operation takes wants a gradient,
    ``weight_gradient`` where a parameter does.
    """

    forward: OpCount
    input_gradient: OpCount = OpCount()
    weight_gradient: OpCount = OpCount()

    def __mul__(self, times: int) -> StepCount:  # type: ignore[override]
        """The count of doing it ``times`` times."""
        return StepCount(*[count * times for count in self])


Positions: TypeAlias = "tuple[int, ...] | None"
"""Some of what an operation takes, from 0; None is all of it."""


class Contraction(NamedTuple):
    """The multiply-adds of one operation as a product of named factors.

    ``outer`` are the factors that say how many results (or, for a transposed convolution, inputs)
    there are; ``inner`` those that say how many multiply-adds each of them takes. ``names`` are
    theirs, in the same two groups. The count is the product of all factors, so the derivation that
    a person reads is the rule that was computed.
    """

    outer: tuple[int, ...]
    inner: tuple[int, ...]
    names: tuple[tuple[str, ...], tuple[str, ...]]

    @property
    def macs(self) -> int:
        """The product of all factors."""
        return prod(self.outer) * prod(self.inner)

    def __str__(self) -> str:
        """``(28·28·32)·(5·5·192)``: a batch of 1 is left out."""
        groups = zip((self.outer, self.inner), self.names, strict=True)
        outer, inner = (_without_batch_of_1(factors, names) for factors, names in groups)
        return f"{_group(outer)}·{_group(inner)}"

    def factors(self) -> list[tuple[str, int]]:
        """All factors, with their names: ``[("batch", 1), ("output height", 28), ...]``."""
        names = (*self.names[0], *self.names[1])
        return list(zip(names, (*self.outer, *self.inner), strict=True))


class Gradient(NamedTuple):
    """A contraction of the backward pass: gradients by the chain rule, from those of the output.

    It is computed where one of its tensors needs a gradient: ``operands`` and ``weights`` are their
    positions among what the operation takes (see ``graph.network.Layer``); and where one of
    ``results`` has one.
    """

    contraction: Contraction
    operands: Positions = ()
    weights: Positions = ()
    results: Positions = None


class GradientScalars(NamedTuple):
    """Scalar operations of the backward pass, beside its contractions.

    They are done where one of its tensors needs a gradient and one of its results has one (see
    `Gradient`); ``scalars`` is None where there is no rule for that.
    """

    scalars: OpCount | None
    operands: Positions = ()
    weights: Positions = ()
    results: Positions = None


def of_input(**count: int) -> tuple[GradientScalars, ...]:
    """These operations, for the gradient of the first input."""
    return (GradientScalars(OpCount(**count), operands=(0,)),)


def of_shift(output: tuple[int, ...], elements: int, position: int) -> tuple[GradientScalars, ...]:
    """Of a bias of so many elements: for each of them the sum of its outputs' gradients."""
    return (GradientScalars(OpCount(add=prod(output) - elements), weights=(position,)),)


def of_scale(output: tuple[int, ...], elements: int) -> tuple[GradientScalars, ...]:
    """Of a scale of so many elements: the same of the outputs' gradients times what it scaled."""
    n = prod(output)
    return (GradientScalars(OpCount(mul=n, add=n - elements), weights=(0,)),)


def collected(whole: tuple[int, ...], part: tuple[int, ...]) -> OpCount:
    """The sums that make a gradient of a tensor of one that was broadcast from it."""
    return OpCount(add=prod(whole) - prod(part))


def total(counts: Iterable[OpCount]) -> OpCount:
    """The sum of many counts."""
    return OpCount(*map(sum, zip(*counts, strict=True)))


class _Kept:
    """An operation on these shapes, and what it costs if somebody has asked."""

    __slots__ = ("costs", "inputs", "op", "output")

    def __init__(self, op: Op, inputs: tuple[Shape, ...], output: Shape) -> None:
        self.op, self.inputs, self.output = op, inputs, output
        self.costs: tuple[Contraction | None, OpCount | None] | None = None


_kept: dict[int, _Kept] = {}
"""By the identity of the operation: no other object is taken for it, as 1.0 for 1."""


def keep(op: Op, inputs: tuple[Shape, ...], output: Shape) -> None:
    """Let an operation that stands in many networks be counted once, on just these shapes."""
    if len(_kept) >= 4096:
        _kept.clear()
    _kept[id(op)] = _Kept(op, inputs, output)


Costs: TypeAlias = "tuple[Contraction | None, OpCount | None]"


def counted(
    op: Op, inputs: tuple[Shape, ...], output: Shape, known: dict[tuple[int, int, int], Costs]
) -> Costs:
    """The multiply-adds of an operation, and all that it costs; None if there is no rule.

    ``known`` has what was counted in the same network, by the identities of these three.
    """
    kept = _kept.get(id(op))
    if kept is None or kept.inputs is not inputs or kept.output is not output:
        key = id(op), id(inputs), id(output)
        if key not in known:
            known[key] = _counted(op, inputs, output)
        return known[key]
    if kept.costs is None:
        kept.costs = _counted(op, inputs, output)
    return kept.costs


def _counted(op: Op, inputs: tuple[Shape, ...], output: Shape) -> Costs:
    contraction = op.contraction(output, *inputs)
    count = op.scalars(output, *inputs)
    if contraction is not None and count is not None:
        count = count.with_macs(contraction.macs)
    return contraction, count


def _without_batch_of_1(factors: tuple[int, ...], names: tuple[str, ...]) -> list[int]:
    return [
        factor
        for factor, name in zip(factors, names, strict=True)
        if name != "batch" or not isinstance(factor, int) or factor != 1
    ]


def _group(factors: Sequence[object]) -> str:
    text = "·".join(map(str, factors))
    return f"({text})" if len(factors) > 1 else text or "1"
