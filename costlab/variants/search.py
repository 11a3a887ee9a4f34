"""Counting a grid block by block, and keeping what is wanted of it.

A block's numbers are arrays that each vary along the axes they depend on, so most of the rules'
work is on small ones, and only sums are as large as the block. Where 64 bits may not be enough for
a block, which bounds tell beforehand, it is counted in Python's own ints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costlab.arithmetic import Ratio
from costlab.errors import ShapeError
from costlab.graph import Graph
from costlab.resolve import Named, named
from costlab.rows import QUANTITIES, counted
from costlab.variants.axes import Axis, Block, Grid
from costlab.variants.expression import Kind, condition, goal
from costlab.variants.interval import LARGEST, Interval
from costlab.variants.keep import Found, Wanted

CELLS = 2**17
"""Variants of a block: its numbers fit into a core's cache."""


_KINDS: dict[type, Kind] = {bool: "truth", str: "word"}
_DTYPES: dict[type, Any] = {bool: np.bool_, str: object, float: np.float64}


class Costs:
    """The costs of a graph whose dimensions are arrays, or bounds of them."""

    def __init__(self, graph: Graph) -> None:
        self._conditions = graph.conditions
        self._rows = [counted(layer) for layer in graph.layers]
        self._sums: dict[str, Any] = {}

    def __getitem__(self, quantity: str) -> Any:
        if quantity not in self._sums:
            say = QUANTITIES[quantity]
            self._sums[quantity] = added(say(row) for row in self._rows)
        return self._sums[quantity]

    def defined(self) -> Any:
        """Where there is such a model."""
        return joined(holds for holds, _ in self._conditions)


def added(values: Iterable[Any]) -> Any:
    """The sum, small arrays first, so that few additions are as large as the result."""
    plain, by_shape = 0, dict[tuple[int, ...], Any]()
    for value in values:
        if isinstance(value, np.ndarray):
            by_shape[value.shape] = by_shape.get(value.shape, 0) + value
        else:
            plain = plain + value
    for part in sorted(by_shape.values(), key=lambda part: int(part.size)):
        plain = plain + part
    return plain


def joined(truths: Iterable[Any]) -> Any:
    """Whether all hold, small arrays first; True where all hold everywhere."""
    every: Any = True
    by_shape = dict[tuple[int, ...], Any]()
    for truth in truths:
        if isinstance(truth, np.ndarray):
            by_shape[truth.shape] = by_shape.get(truth.shape, True) & truth
        else:
            every = every & truth
    for part in sorted(by_shape.values(), key=lambda part: int(part.size)):
        if not part.all():
            every = every & part
    return every


@dataclass(frozen=True)
class Plan:
    """What a sweep is: all that a worker needs to know of it."""

    model: str
    choices: tuple[tuple[str, Any], ...]
    axes: tuple[Axis, ...]
    wanted: Wanted
    where: str = ""
    cells: int = CELLS

    @property
    def named(self) -> Named:
        """The model that is varied."""
        return named(self.model, **dict(self.choices))

    @property
    def grid(self) -> Grid:
        """All the variants."""
        return Grid(self.axes, self.cells)

    @property
    def title(self) -> str:
        """The model with the choices that do not vary, as they were given."""
        given = ", ".join(f"{name}={value!r}" for name, value in self.named.choices.items())
        name, part = self.named.architecture.name, self.named.part
        return (f"{name}({given})" if given else name) + (f"/{part}" if part else "")

    @property
    def kinds(self) -> dict[str, Kind]:
        """The names that conditions and goals may use, and what they are."""
        given = {name: axis.plain(0) for axis in self.axes for name in axis.names}
        known = {**dict.fromkeys(QUANTITIES, 0), **self.named.values(given)}
        return {name: _KINDS.get(type(value), "number") for name, value in known.items()}


class Search:
    """A plan at work."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.named, self.grid = plan, plan.named, plan.grid
        self._where = condition(plan.where, plan.kinds) if plan.where else None
        self._goals = [goal(text, plan.kinds) for text in plan.wanted.goals]
        asked = [each for each in (self._where, *self._goals) if each is not None]
        self._read = {name for each in asked for name in each.names}

    def found(self, first: int, last: int) -> Found:
        """What is wanted of the blocks from the first up to, but not including, the last."""
        kept = Found.nothing(len(self._goals))
        for number in range(first, last):
            kept = self._block(self.grid.block(number), kept)
        return kept

    @cached_property
    def columns(self) -> dict[str, Any]:
        """What there is of each variant, and as what: choices that vary, others, quantities."""
        varied = {name: axis.plain(0) for axis in self.plan.axes for name in axis.names}
        values = {**varied, **self.named.values(varied), **dict.fromkeys(QUANTITIES, 0)}
        return {name: _DTYPES.get(type(value), np.int64) for name, value in values.items()}

    def rows(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The variants of these numbers: their ``columns``."""
        places = self.grid.places(numbers)
        apart = [place for axis, place in zip(self.plan.axes, places, strict=True) if not axis.many]
        keys = np.stack([np.zeros_like(numbers), *apart], 1)
        rows = {name: np.empty(len(numbers), dtype) for name, dtype in self.columns.items()}
        for key in np.unique(keys, axis=0):
            inside = (keys == key).all(1).nonzero()[0]
            for start in range(0, len(inside), self.plan.cells):
                some = inside[start : start + self.plan.cells]
                values = self._values([place[some] for place in places])
                for name, row in rows.items():
                    row[some] = _number(values[name])
        return rows

    def _values(self, places: list[Any]) -> dict[str, Any]:
        """What there is of variants that differ in numbers only."""
        given: dict[str, Any] = {}
        for axis, place in zip(self.plan.axes, places, strict=True):
            value = axis.at(place) if axis.many else axis.plain(int(place[0]))
            given |= dict.fromkeys(axis.names, value)
        costs = self._costs(given)
        assert costs is not None  # it was found
        return {**self.named.values(given), **{name: costs[name] for name in QUANTITIES}}

    def _block(self, block: Block, kept: Found) -> Found:
        size, shape = prod(block.shape), block.shape
        given = self.grid.open(block)
        enough = self._always_enough or self._enough(given)
        if not enough:
            given = self.grid.open(block, exact=True)
        try:
            costs = self._costs(given)
        except ZeroDivisionError:  # Python's ints, in a model that does not exist: one at a time
            for point in self.grid.points(block):
                kept = self._block(point, kept)
            return kept
        if costs is None:
            return kept.passed(size, undefined=size)
        chosen = costs.defined()
        undefined = size - _count(chosen, shape)
        if not enough:
            chosen = chosen & joined(abs(costs[name]) <= LARGEST for name in QUANTITIES)
        beyond = size - undefined - _count(chosen, shape)
        known = self._known(given, costs)
        if self._where is not None:
            chosen = chosen & self._where(known)
        refused = size - undefined - beyond - _count(chosen, shape)
        keys = [_dense(_number(each(known)), shape) for each in self._goals]
        return kept.passed(size, undefined, beyond, refused).with_block(
            self.plan.wanted,
            range(block.start, block.start + size),
            None if chosen is True else _dense(chosen, shape),
            keys,
        )

    def _costs(self, given: Mapping[str, Any]) -> Costs | None:
        """The costs with these values; None if there is no such model for any of them."""
        try:
            return Costs(self.named.sized(given))
        except ShapeError:
            return None

    def _known(self, given: Mapping[str, Any], costs: Costs) -> dict[str, Any]:
        """What the condition and the goals read."""
        values = self.named.values(given)
        known = {name: costs[name] for name in self._read & QUANTITIES.keys()}
        return known | {
            name: Ratio(*Fraction(str(value)).as_integer_ratio())
            if isinstance(value, float)
            else value
            for name, value in values.items()
            if name in self._read
        }

    def _enough(self, given: Mapping[str, Any]) -> bool:
        """Whether 64 bits hold every number that these values lead to."""
        try:
            bounds = {
                name: _bounds(given[name]) if axis.many else given[name]
                for axis in self.plan.axes
                for name in axis.names
            }
            costs = Costs(self.named.sized(bounds))
            for name in QUANTITIES:
                costs[name]
            known = self._known(bounds, costs)
            for each in (self._where, *self._goals):
                if each is not None:
                    each(known)
        except OverflowError:
            return False
        except ShapeError:
            return True  # there is no model at all
        return True

    @cached_property
    def _always_enough(self) -> bool:
        """Whether 64 bits hold every number of the whole grid."""
        return all(axis.many for axis in self.plan.axes) and self._enough(
            {name: axis.bounds() for axis in self.plan.axes for name in axis.names}
        )


def _bounds(value: Any) -> Any:
    if isinstance(value, Ratio):
        return Ratio(_bounds(value.numerator), value.denominator)
    if isinstance(value, np.ndarray):
        return Interval(int(value.min()), int(value.max()))
    return Interval(value, value) if type(value) is int else value


def _count(truth: Any, shape: tuple[int, ...]) -> int:
    """How many of a block are true."""
    if isinstance(truth, np.ndarray):
        return int(np.count_nonzero(truth)) * (prod(shape) // truth.size)
    return prod(shape) if truth else 0


def _dense(value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """A value of each variant of a block, in order."""
    return np.broadcast_to(np.asarray(value), shape).reshape(-1)


def _number(value: Any) -> Any:
    """A number to sort by; a quotient is a 64-bit float."""
    if not isinstance(value, Ratio):
        return value
    return np.true_divide(value.numerator, value.denominator).astype(np.float64)


@lru_cache(maxsize=4)
def search(plan: Plan) -> Search:
    """The plan at work, kept for its next blocks."""
    return Search(plan)


def found(plan: Plan, first: int, last: int) -> Found:
    """What is wanted of some blocks: what workers run."""
    with np.errstate(all="ignore"):  # of variants that do not exist, and are passed over
        return search(plan).found(first, last)
