"""What an operation costs: a value that adds, and contractions that show their factors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class OpCount:
    """Exact numbers of scalar operations, in evaluation mode.

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

    def __add__(self, more: OpCount) -> OpCount:
        return OpCount(
            self.macs + more.macs,
            self.mul + more.mul,
            self.add + more.add,
            self.cmp + more.cmp,
            self.div + more.div,
            self.special + more.special,
        )

    def __mul__(self, times: int) -> OpCount:
        """The count of doing it ``times`` times."""
        return OpCount(
            self.macs * times,
            self.mul * times,
            self.add * times,
            self.cmp * times,
            self.div * times,
            self.special * times,
        )

    __rmul__ = __mul__


class Factor(NamedTuple):
    """One dimension that multiplies the cost of a contraction, and what it is."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Contraction:
    """The multiply-adds of one operation as a product of named factors.

    ``each`` are the factors that say how many results (or, for a transposed convolution, inputs)
    there are; ``times`` those that say how many multiply-adds each of them takes. The count is
    their product, so the derivation that a person reads is the rule that was computed.
    """

    each: tuple[Factor, ...]
    times: tuple[Factor, ...]

    @property
    def macs(self) -> int:
        """The product of all factors."""
        return prod(value for _, value in self.each) * prod(value for _, value in self.times)

    def __str__(self) -> str:
        """``(28·28·32)·(5·5·192)``: the batch is left out where it is 1."""
        return f"{_group(self.each)}·{_group(self.times)}"

    def names(self) -> str:
        """The same in words: ``(output height·output width·...)·(...)``."""
        return "·".join(
            f"({'·'.join(factor.name for factor in group)})" for group in (self.each, self.times)
        )


def total(counts: Iterable[OpCount]) -> OpCount:
    """The sum of many counts."""
    counts = tuple(counts)
    return OpCount(
        sum(c.macs for c in counts),
        sum(c.mul for c in counts),
        sum(c.add for c in counts),
        sum(c.cmp for c in counts),
        sum(c.div for c in counts),
        sum(c.special for c in counts),
    )


def _group(factors: tuple[Factor, ...]) -> str:
    shown = [str(value) for name, value in factors if name != "batch" or not _is_one(value)] or [
        "1"
    ]
    return f"({'·'.join(shown)})" if len(shown) > 1 else shown[0]


def _is_one(value: int) -> bool:
    return isinstance(value, int) and value == 1
