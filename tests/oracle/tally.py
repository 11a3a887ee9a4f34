"""What an execution counts, and what it loops over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Axes = tuple[int, ...]


@dataclass
class Tally:
    """What was executed."""

    macs: int = 0
    mul: int = 0
    add: int = 0
    cmp: int = 0
    div: int = 0
    special: int = 0

    def mac(self, total: float, a: float, b: float) -> float:
        self.macs += 1
        return total + a * b

    def times(self, a: float, b: float) -> float:
        self.mul += 1
        return a * b

    def plus(self, a: float, b: float) -> float:
        self.add += 1
        return a + b

    def larger(self, a: float, b: float) -> float:
        self.cmp += 1
        return a if a > b else b

    def over(self, a: float, b: float) -> float:
        self.div += 1
        return a / b

    def function(self, f: Callable[[float], float], a: float) -> float:
        self.special += 1
        return float(f(a))


def index(*axes: int) -> Axes:
    """Where an element stands; for types, which do not follow what is unpacked in an index."""
    return axes


def grid(axes: Iterable[Iterable[int]]) -> Iterator[Axes]:
    return product(*axes)
