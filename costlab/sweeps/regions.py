"""The variants of a block by their formulas, and whether 64 bits hold what each comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from costlab.expressions.expression import Expression
from costlab.expressions.expression import Values as Supplied
from costlab.expressions.nodes import Variable
from costlab.graph.arithmetic import Ratio
from costlab.sweeps.interval import Interval
from costlab.sweeps.plan import Plan
from costlab.sweeps.subject import Costs, Formula, Networks

Values: TypeAlias = Mapping[str, Any]


class Region(NamedTuple):
    """Variants of a block that have one formula: all of it, or those at some ``places``."""

    places: NDArray[np.intp] | None
    values: Values
    costs: Costs | None
    exact: bool


class Regions:
    """Divides blocks of a plan into regions; ``expressions`` are all that is asked of these."""

    def __init__(self, plan: Plan, networks: Networks, expressions: Iterable[Expression]) -> None:
        self._plan, self._networks, self._expressions = plan, networks, tuple(expressions)
        self._quantities = tuple(plan.quantities)
        self._fits: dict[tuple[Any, ...], bool] = {}
        """Of which formulas 64 bits hold the numbers of the whole grid."""

    def of(
        self, values: Callable[[bool], dict[str, Any]], shape: tuple[int, ...]
    ) -> Iterator[Region]:
        """The variants by their formulas. ``values`` gives them in 64 bits, or exactly."""
        plain = values(False)
        left: Any = np.ones((1,) * len(shape), np.bool_)
        asked = 0
        while left.any():
            known = self._networks.known(plain)
            is_known = asked < len(known)
            if is_known:
                formula = known[asked]
            else:
                first = int(np.argmax(np.broadcast_to(left, shape)))
                formula = self._networks.follow(_at(plain, shape, np.array([first])))
            enough = self._enough(formula, asked, plain)
            asked += 1
            exact = enough is False
            chosen = values(True) if exact else plain
            inside = left & formula.inside(chosen)
            if not inside.any():
                if not is_known:
                    raise AssertionError(f"{formula} does not hold where it was followed")
                continue
            left = left & ~inside
            places = None
            if not inside.all():
                places = np.flatnonzero(np.broadcast_to(inside, shape))
                chosen = _at(chosen, shape, places)
            costs = None if enough is None else formula.costs(chosen)
            yield Region(places, chosen, costs, exact)

    def supplied(self, chosen: Mapping[str, Any], costs: Costs) -> Supplied:
        """A function that gives the condition and the goals the values of their variables."""
        values = self._plan.subject.values(chosen)

        def supplied(variable: Variable) -> Any:
            if variable.name not in values:
                return costs.of(variable.name, variable.selectors)
            value = values[variable.name]
            return Fraction(str(value)) if isinstance(value, float) else value

        return supplied

    def _enough(self, formula: Formula, number: int, values: Values) -> bool | None:
        """Whether 64 bits hold every number that these values lead to; None: no such network.

        ``number`` is that of the formula among those of its network.
        """
        axes = self._plan.axes
        network = number, *(values[axis.names[0]] for axis in axes if not axis.many)
        if network not in self._fits:
            ends = {name: axis.ends() for axis in axes if axis.many for name in axis.names}
            self._fits[network] = self._surely_enough(formula, {**values, **ends}) is True
        return self._fits[network] or self._surely_enough(formula, values)

    def _surely_enough(self, formula: Formula, values: Values) -> bool | None:
        try:
            bounds = {
                name: _bounds(values[name]) if axis.many else values[name]
                for axis in self._plan.axes
                for name in axis.names
            }
            formula.inside(bounds)
            costs = formula.costs(bounds)
            if costs is None:
                return None
            for name in self._quantities:
                costs.of(name, ())
            supplied = self.supplied(bounds, costs)
            for expression in self._expressions:
                expression(supplied)
        except OverflowError:
            return False
        return True


def _at(values: Values, shape: tuple[int, ...], places: NDArray[Any]) -> dict[str, Any]:
    """The values of some variants of a block; of one as numbers."""
    some = dict(values)
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            chosen = np.broadcast_to(value, shape).reshape(-1)[places]
            some[name] = int(chosen[0]) if len(places) == 1 else chosen
    return some


def _bounds(value: Any) -> Any:
    if isinstance(value, Ratio):
        return Ratio(_bounds(value.numerator), value.denominator)
    if isinstance(value, np.ndarray):
        return Interval(int(value.min()), int(value.max()))
    return Interval(value, value) if type(value) is int else value
