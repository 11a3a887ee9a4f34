"""A quantity that is the largest of several sums: which of them it is at a point, and how far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from costlab.symbols.size import Atom, Size

_FURTHEST = 4096
"""Up to here numbers are tried."""


class Largest(NamedTuple):
    """The sum that is the largest at a point, of how many, and where it stays that.

    ``spans`` has for each symbol, the others as at the point, its first and its last number.
    """

    size: Any
    of: int
    spans: Mapping[str, tuple[int, int]]

    def words(self, point: Mapping[str, int]) -> str:
        """``the largest of 3 sums; this is the one at N=2, H=W=224: for N up to 24, ...``."""
        ranges = [
            text
            for name, (first, last) in self.spans.items()
            if (text := _range(name, first, last))
        ]
        at = ", ".join(f"{name}={value}" for name, value in point.items())
        text = f"the largest of {self.of} sums; this is the one at {at}"
        if not ranges:
            return f"{text}, and along each of these alone up to {_FURTHEST:,}"
        return f"{text}, along each of these alone {', '.join(ranges)} (tried up to {_FURTHEST:,})"


def largest(size: Any, point: Mapping[str, int]) -> Largest | None:
    """What it is at a point, if it is the largest of several sums."""
    sums = sums_of(size)
    if not sums:
        return None
    there = [int(size.at(point, {})) for size in sums]
    chosen = sums[there.index(max(there))]
    spans = {
        name: _span(chosen, sums, point, name)
        for name in sorted(size.symbols, key=list(point).index)
    }
    return Largest(chosen, len(sums), spans)


def sums_of(size: Any) -> tuple[Size, ...]:
    """The sums that a size is the largest of; none for any other one."""
    if not isinstance(size, Size) or len(size.terms) != 1:
        return ()
    ((monomial, factor),) = size.terms.items()
    atom: Atom = size.of.atoms[monomial[0]] if len(monomial) == 1 else size.of.atoms[0]
    return atom.arguments if atom.kind == "most" and factor == 1 else ()


def _span(
    chosen: Size, sums: tuple[Size, ...], point: Mapping[str, int], name: str
) -> tuple[int, int]:
    """The numbers of a symbol about the point at which none is larger."""
    furthest = _FURTHEST
    while furthest > point[name] and any(
        term.at({**point, name: furthest}, {}) >= 2**62 for term in sums
    ):
        furthest = max(furthest // 2, point[name])
    numbers = np.arange(1, furthest + 1, dtype=np.int64)
    values = {**point, name: numbers}
    own = chosen.at(values, {})
    is_largest = np.ones(furthest, bool)
    for term in sums:
        is_largest &= own >= term.at(values, {})
    at = point[name] - 1
    smaller = np.flatnonzero(~is_largest)
    first = int(max(smaller[smaller < at], default=-1)) + 2
    last = int(min(smaller[smaller > at], default=furthest))
    return first, last


def _range(name: str, first: int, last: int) -> str:
    if first > 1 and last < _FURTHEST:
        return f"for {name} from {first:,} to {last:,}"
    if last < _FURTHEST:
        return f"for {name} up to {last:,}"
    return f"from {name} = {first:,} on" if first > 1 else ""
