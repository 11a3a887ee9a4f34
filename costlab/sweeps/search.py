"""Counts a grid block by block, and keeps the variants that are wanted.

A layer's costs are arrays that vary only along the axes they depend on. So most of the rules' work
is on small arrays, and only sums are as large as a block. Bounds tell beforehand where 64 bits may
not be enough for a block: that one is counted in Python's own ints.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache, partial
from math import prod
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from costlab.errors import CostlabError, UnknownNameError
from costlab.expressions import parser
from costlab.expressions.layers import absent, fitting
from costlab.expressions.mistakes import located
from costlab.graph import Layer
from costlab.graph.arithmetic import Ratio
from costlab.sweeps.costs import all_hold
from costlab.sweeps.grid import GridBlock
from costlab.sweeps.interval import LARGEST
from costlab.sweeps.keep import MOST_NAMED, Found
from costlab.sweeps.plan import Plan
from costlab.sweeps.regions import Region, Regions

_EXACT = 2**53
"""Up to here every whole number is a 64-bit float."""


_MANY = 1000
"""Networks that are made without following a forward may be so many before any work."""

_DTYPES: dict[type, Any] = {bool: np.bool_, float: np.float64, int: np.int64}


class Search:
    """Counts the variants of a plan, and keeps what is wanted of them."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.subject, self.grid = plan, plan.subject, plan.grid
        self.quantities = plan.quantities
        self._where = parser.condition(plan.where, plan.names) if plan.where else None
        self._goals = [parser.number(text, plan.names) for text in plan.wanted.goals]
        self._expressions = [*([self._where] if self._where else []), *self._goals]
        sums = {(name, ()): None for name in self.quantities} | {
            (variable.name, variable.selectors): None
            for expression in self._expressions
            for variable in expression.variables
            if variable.name in self.quantities
        }
        self._of_one_network = prod(len(axis.values) for axis in plan.axes if axis.many)
        self.networks = self.subject.networks(
            sums, plan.training_cost, plan.more, self._of_one_network
        )
        self._regions = Regions(plan, self.networks, self._expressions)
        self._apart = [axis for axis in plan.axes if not axis.many]
        self._require_parts()

    def found(self, first: int, last: int) -> Found:
        """The wanted variants of blocks: from the first up to, but not including, the last."""
        found = Found.nothing(len(self._goals))
        for number in range(first, last):
            found = self._block(self.grid.block(number), found)
        return found.settled(self.plan.wanted)

    def _require_parts(self) -> None:
        """Raises an error if no variant has the part that is swept, or layers that are named."""
        missing = {
            selector: expression
            for expression in self._expressions
            for variable in expression.variables
            for selector in variable.selectors
        }
        no_part: UnknownNameError | None = None
        layers: Sequence[Layer] | None = None
        for values in self._some_networks(bool(missing)):
            try:
                layers = self.networks.layers(values)
            except UnknownNameError as error:
                no_part = no_part or error
                continue
            except CostlabError:
                continue
            for selector, expression in list(missing.items()):
                with located(expression.text):
                    if fitting(selector, layers):
                        del missing[selector]
            if not missing:
                return
        if layers is None and no_part is not None:
            raise no_part
        for selector, expression in missing.items():
            if layers is not None:
                with located(expression.text):
                    raise absent(selector, self.subject.title, layers)

    def _some_networks(self, needed: bool) -> Iterable[dict[str, Any]]:
        """The choices of networks: all of them, or some that lie apart where that takes long."""
        most = self.subject.most_tried
        if not needed and most < _MANY:
            return
        lengths = [len(axis.values) for axis in self._apart]
        all_of_them = prod(lengths)
        sizes = {
            name: axis.plain(-1) for axis in self.plan.axes if axis.many for name in axis.names
        }
        for number in range(0, all_of_them, -(-all_of_them // most)):
            places = np.unravel_index(number, lengths) if lengths else ()
            chosen = {
                name: axis.plain(int(place))
                for axis, place in zip(self._apart, places, strict=True)
                for name in axis.names
            }
            yield chosen if most >= _MANY else chosen | sizes

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The columns of a result with their numpy types: choices that vary, others, quantities."""
        varied = {name: axis.plain(0) for axis in self.plan.axes for name in axis.names}
        values = {**varied, **self.subject.values(varied), **dict.fromkeys(self._counted, 0)}
        columns = {name: _DTYPES.get(type(value), object) for name, value in values.items()}
        for axis in self._apart:
            if len(set(map(type, axis.values))) > 1:
                columns |= dict.fromkeys(axis.names, object)
        return columns

    @property
    def units(self) -> dict[str, str]:
        """The unit of each column."""
        sides = {
            name: f"dimension: {side} of the input"
            for name, side in self.subject.dimensions.items()
        }
        quantities = {name: quantity.unit for name, quantity in self.quantities.items()}
        notes = dict.fromkeys(self.subject.notes, "operations")
        return {**dict.fromkeys(self.columns, "choice"), **sides, **quantities, **notes}

    @property
    def _counted(self) -> tuple[str, ...]:
        return (*self.quantities, *self.subject.notes)

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
                for places, values in self._values([indices[some] for indices in positions]):
                    for name, row in rows.items():
                        row[some[places]] = _cell(values[name], row.dtype)
        return rows

    def point(self, number: int) -> dict[str, Any]:
        """The values of one variant by name."""
        positions = self.grid.positions(number)
        return {
            name: axis.plain(int(place))
            for axis, place in zip(self.plan.axes, positions, strict=True)
            for name in axis.names
        }

    def _values(self, positions: list[Any]) -> Iterable[tuple[Any, dict[str, Any]]]:
        """The columns of variants of one network, by their positions on the axes."""

        def choices(exact: bool) -> dict[str, Any]:
            chosen: dict[str, Any] = {}
            for axis, indices in zip(self.plan.axes, positions, strict=True):
                value = axis.at(indices, exact) if axis.many else axis.plain(int(indices[0]))
                chosen |= dict.fromkeys(axis.names, value)
            return chosen

        for region in self._regions.of(choices, (len(positions[0]),)):
            costs = region.costs
            assert costs is not None  # the variants were kept, so they exist
            quantities = {name: costs.of(name, ()) for name in self._counted}
            places = slice(None) if region.places is None else region.places
            yield places, {**self.subject.values(region.values), **quantities}

    def _block(self, block: GridBlock, found: Found) -> Found:
        try:
            regions = list(self._regions.of(partial(self.grid.open, block), block.shape))
        except ZeroDivisionError:  # Python's ints, in a model that does not exist: one at a time
            for point in self.grid.points(block):
                found = self._block(point, found)
            return found
        size = prod(block.shape)
        found = found.passed(size)
        numbers = np.arange(block.start, block.start + size)
        parts = []
        for region in regions:
            some = numbers if region.places is None else numbers[region.places]
            shape = block.shape if region.places is None else some.shape
            passed, chosen, keys = self._judged(region, some, shape)
            found = found.passed(0, *passed)
            if region.costs is not None:
                parts.append((some, chosen, keys))
        if not parts:
            return found
        return found.with_block(
            self.plan.wanted, *(parts[0] if len(parts) == 1 else _joined(parts))
        )

    def _judged(
        self, region: Region, numbers: NDArray[np.int64], shape: tuple[int, ...]
    ) -> tuple[tuple[Any, ...], NDArray[np.bool_] | None, list[NDArray[Any]]]:
        """What is passed over of a region, which variants are not, and what the goals are."""
        size, costs = len(numbers), region.costs
        if costs is None:
            return (size, 0, 0, self._first_of(numbers, None)), None, []
        chosen = costs.defined()
        undefined = size - _count(chosen, shape)
        missing = self._first_of(numbers, _dense(chosen, shape)) if undefined else ()
        if region.exact:
            chosen = chosen & all_hold(
                abs(costs.of(name, ())) <= LARGEST for name in self.quantities
            )
        beyond = size - undefined - _count(chosen, shape)
        supplied = self._regions.supplied(region.values, costs)
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
        dense = None if chosen is True else _dense(chosen, shape)
        return (undefined, beyond, refused, missing), dense, keys

    def _first_of(
        self, numbers: NDArray[np.int64], there: NDArray[np.bool_] | None
    ) -> tuple[tuple[int, int], ...]:
        """The first variant that is not there, of each of the first networks."""
        lacking = numbers if there is None else numbers[~there]
        networks, first = np.unique(lacking // self._of_one_network, return_index=True)
        pairs = zip(networks[:MOST_NAMED], lacking[first[:MOST_NAMED]], strict=True)
        return tuple((int(network), int(variant)) for network, variant in pairs)


def _joined(parts: list[Any]) -> tuple[Any, ...]:
    """Variants of several regions, in the order of their numbers."""
    numbers = np.concatenate([some for some, _, _ in parts])
    chosen = np.concatenate(
        [np.ones(len(some), np.bool_) if held is None else held for some, held, _ in parts]
    )
    order = np.argsort(numbers)
    keys = [np.concatenate(own)[order] for own in zip(*(k for _, _, k in parts), strict=True)]
    return numbers[order], chosen[order], keys


def _count(truth: Any, shape: tuple[int, ...]) -> int:
    """How many of a block are true."""
    if isinstance(truth, np.ndarray):
        return int(np.count_nonzero(truth)) * (prod(shape) // truth.size)
    return prod(shape) if truth else 0


def _dense(value: Any, shape: tuple[int, ...]) -> NDArray[Any]:
    """An array with the value of each variant of a block, in order."""
    large = type(value) is int and abs(value) > LARGEST
    return np.broadcast_to(np.asarray(value, object if large else None), shape).reshape(-1)


def _cell(value: Any, dtype: np.dtype[Any]) -> Any:
    """The values of a column; where they are not of one simple kind, as text."""
    return str(value) if dtype.kind == "O" else _number(value)


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


class Counted(NamedTuple):
    """What came of some blocks: the wanted variants, the seconds, and what was followed."""

    found: Found
    seconds: float
    learnt: list[Any]


def count_blocks(plan: Plan, first: int, last: int) -> Counted:
    """Count some blocks. Workers run this."""
    began = perf_counter()
    with np.errstate(all="ignore"):  # of variants that do not exist, and are passed over
        found = search(plan).found(first, last)
        return Counted(found, perf_counter() - began, search(plan).networks.learnt())
