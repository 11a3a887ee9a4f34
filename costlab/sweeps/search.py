"""Counts a grid block by block, and keeps the variants that are wanted.

A layer's costs are arrays that vary only along the axes they depend on. So most of the rules' work
is on small arrays, and only sums are as large as a block. Bounds tell beforehand where 64 bits may
not be enough for a block: that one is counted in Python's own ints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from itertools import product
from math import prod
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costlab.errors import ShapeError, UnknownNameError
from costlab.expressions import parser
from costlab.expressions.expression import Values
from costlab.expressions.layers import absent, fitting
from costlab.expressions.mistakes import located
from costlab.expressions.nodes import Variable
from costlab.graph import Graph
from costlab.graph.arithmetic import Ratio
from costlab.models.catalog_name import DIMENSIONS
from costlab.sweeps.costs import Costs, all_hold
from costlab.sweeps.grid import GridBlock
from costlab.sweeps.interval import LARGEST, Interval
from costlab.sweeps.keep import Found
from costlab.sweeps.plan import Plan

_EXACT = 2**53
"""Up to here every whole number is a 64-bit float."""


_DTYPES: dict[type, Any] = {bool: np.bool_, str: object, float: np.float64}


class Search:
    """Counts the variants of a plan, and keeps what is wanted of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.named, self.grid = plan, plan.named, plan.grid
        self._more = plan.more
        self._where = parser.condition(plan.where, plan.names) if plan.where else None
        self._goals = [parser.number(text, plan.names) for text in plan.wanted.goals]
        self._expressions = [*([self._where] if self._where else []), *self._goals]
        self._require_parts()

    def found(self, first: int, last: int) -> Found:
        """The wanted variants of blocks: from the first up to, but not including, the last."""
        found = Found.nothing(len(self._goals))
        for number in range(first, last):
            found = self._block(self.grid.block(number), found)
        return found

    def _require_parts(self) -> None:
        """Raises an error if no variant has the part that is swept, or layers that are named."""
        apart = [axis for axis in self.plan.axes if not axis.many]
        missing = {
            selector: expression
            for expression in self._expressions
            for variable in expression.variables
            for selector in variable.selectors
        }
        no_part: UnknownNameError | None = None
        graph: Graph | None = None
        for values in product(*(axis.values for axis in apart)):
            pairs = zip(apart, values, strict=True)
            try:
                graph = self.named.sized(
                    {name: value for axis, value in pairs for name in axis.names}
                )
            except ShapeError:
                continue
            except UnknownNameError as error:
                no_part = no_part or error
                continue
            for selector, expression in list(missing.items()):
                with located(expression.text):
                    if fitting(selector, graph.layers):
                        del missing[selector]
            if not missing:
                return
        if graph is None and no_part is not None:
            raise no_part
        for selector, expression in missing.items():
            if graph is not None:
                with located(expression.text):
                    raise absent(selector, self.plan.title, graph.layers)

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The columns of a result with their numpy types: choices that vary, others, quantities."""
        varied = {name: axis.plain(0) for axis in self.plan.axes for name in axis.names}
        values = {**varied, **self.named.values(varied), **dict.fromkeys(self.plan.quantities, 0)}
        return {name: _DTYPES.get(type(value), np.int64) for name, value in values.items()}

    @property
    def units(self) -> dict[str, str]:
        """The unit of each column."""
        sides = {name: f"dimension: {side} of the input" for name, side in DIMENSIONS.items()}
        quantities = {name: quantity.unit for name, quantity in self.plan.quantities.items()}
        return {**dict.fromkeys(self.columns, "choice"), **sides, **quantities}

    def rows(self, numbers: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """The variants of these numbers: their ``columns``."""
        positions = self.grid.positions(numbers)
        apart = [
            indices
            for axis, indices in zip(self.plan.axes, positions, strict=True)
            if not axis.many
        ]
        keys = np.stack([np.zeros_like(numbers), *apart], 1)
        rows = {name: np.empty(len(numbers), dtype) for name, dtype in self.columns.items()}
        for key in np.unique(keys, axis=0):
            inside = (keys == key).all(1).nonzero()[0]
            for start in range(0, len(inside), self.plan.block_size):
                some = inside[start : start + self.plan.block_size]
                values = self._values([indices[some] for indices in positions])
                for name, row in rows.items():
                    row[some] = _number(values[name])
        return rows

    def _values(self, positions: list[Any]) -> dict[str, Any]:
        """The columns of variants of one network, by their positions on the axes."""

        def choices(exact: bool) -> dict[str, Any]:
            chosen: dict[str, Any] = {}
            for axis, indices in zip(self.plan.axes, positions, strict=True):
                value = axis.at(indices, exact) if axis.many else axis.plain(int(indices[0]))
                chosen |= dict.fromkeys(axis.names, value)
            return chosen

        values, costs, _ = self._counted(choices)
        assert costs is not None  # the variant was kept, so it exists
        return {**self.named.values(values), **{name: costs[name] for name in self.plan.quantities}}

    def _block(self, block: GridBlock, found: Found) -> Found:
        size, shape = prod(block.shape), block.shape
        try:
            values, costs, exact = self._counted(partial(self.grid.open, block))
        except ZeroDivisionError:  # Python's ints, in a model that does not exist: one at a time
            for point in self.grid.points(block):
                found = self._block(point, found)
            return found
        if costs is None:
            return found.passed(size, undefined=size)
        chosen = costs.defined()
        undefined = size - _count(chosen, shape)
        if exact:
            chosen = chosen & all_hold(abs(costs[name]) <= LARGEST for name in self.plan.quantities)
        beyond = size - undefined - _count(chosen, shape)
        supplied = self._supplied(values, costs)
        if self._where is not None:
            holds, there = self._where(supplied)
            chosen = chosen & holds & there
        keys = []
        for goal in self._goals:
            value, there = goal(supplied)
            chosen = chosen & there
            key = _dense(_number(value), shape)
            keys.append(-key if self.plan.wanted.most else key)
        refused = size - undefined - beyond - _count(chosen, shape)
        return found.passed(size, undefined, beyond, refused).with_block(
            self.plan.wanted,
            range(block.start, block.start + size),
            None if chosen is True else _dense(chosen, shape),
            keys,
        )

    def _counted(
        self, values: Callable[[bool], dict[str, Any]]
    ) -> tuple[dict[str, Any], Costs | None, bool]:
        """The values, their costs (None if there is no such model), and whether in exact numbers.

        ``values`` gives them in 64 bits, or exactly where its argument is true.
        """
        chosen = values(False)
        enough = self._always_enough or self._enough(chosen)
        if enough is None:
            return chosen, None, False
        if not enough:
            chosen = values(True)
        return chosen, self._costs(chosen), not enough

    def _costs(self, values: Mapping[str, Any]) -> Costs | None:
        """The costs with these values; None if there is no such model, or not that part of it."""
        try:
            return Costs(self.named.sized(values), self.plan.training_cost, self._more)
        except (ShapeError, UnknownNameError):
            return None

    def _supplied(self, chosen: Mapping[str, Any], costs: Costs) -> Values:
        """A function that gives the condition and the goals the values of their variables."""
        values = self.named.values(chosen)

        def supplied(variable: Variable) -> Any:
            if variable.name not in values:
                return costs.of(variable.name, variable.selectors)
            value = values[variable.name]
            return Fraction(str(value)) if isinstance(value, float) else value

        return supplied

    def _enough(self, values: Mapping[str, Any]) -> bool | None:
        """Whether 64 bits hold every number that these values lead to; None: no such model."""
        try:
            bounds = {
                name: _bounds(values[name]) if axis.many else values[name]
                for axis in self.plan.axes
                for name in axis.names
            }
            costs = self._costs(bounds)
            if costs is None:
                return None
            for name in self.plan.quantities:
                costs[name]
            supplied = self._supplied(bounds, costs)
            for expression in self._expressions:
                expression(supplied)
        except OverflowError:
            return False
        return True

    @cached_property
    def _always_enough(self) -> bool:
        """Whether 64 bits hold every number of the whole grid."""
        ends = {name: axis.ends() for axis in self.plan.axes if axis.many for name in axis.names}
        return all(axis.many for axis in self.plan.axes) and self._enough(ends) is True


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
    """An array with the value of each variant of a block, in order."""
    large = type(value) is int and abs(value) > LARGEST
    return np.broadcast_to(np.asarray(value, object if large else None), shape).reshape(-1)


def _number(value: Any) -> Any:
    """The sort key of a number; a quotient as float64 (that of 0/0 is arbitrary: it is masked)."""
    if not isinstance(value, Ratio):
        return value
    above, below = (np.asarray(part) for part in (value.numerator, value.denominator))
    below = np.where(below == 0, 1, below)
    if max(np.max(abs(above)), np.max(abs(below))) > _EXACT:  # floats would round it twice
        above, below = above.astype(object), below.astype(object)
    return np.asarray(np.true_divide(above, below), np.float64)


@lru_cache(maxsize=4)
def search(plan: Plan) -> Search:
    """The search of a plan: one for all of its blocks."""
    return Search(plan)


def count_blocks(plan: Plan, first: int, last: int) -> tuple[Found, float]:
    """The wanted variants of some blocks, and the seconds that it took. Workers run this."""
    began = perf_counter()
    with np.errstate(all="ignore"):  # of variants that do not exist, and are passed over
        return search(plan).found(first, last), perf_counter() - began
