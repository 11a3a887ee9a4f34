"""Sums over the layers of a network whose dimensions are arrays, or bounds of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from costlab.costs.quantities import More, quantities
from costlab.costs.rows import Group, Row, rows_of
from costlab.expressions.layers import selected
from costlab.expressions.nodes import Selector
from costlab.graph import Graph


class GraphCosts:
    """The costs of a graph whose dimensions are arrays, bounds of them, or expressions.

    ``add`` is how such numbers are added up.
    """

    def __init__(
        self,
        graph: Graph,
        training_cost: bool = False,
        more: More = (),
        add: Callable[[Iterable[Any]], Any] | None = None,
    ) -> None:
        self._add = add or sum_of
        self._conditions, self._layers = graph.conditions, graph.layers
        self._rows = rows_of(graph, training_cost)
        self._quantities = quantities(training_cost, more)
        self._sums: dict[tuple[str, tuple[Selector, ...]], Any] = {}

    def of(self, quantity: str, selectors: tuple[Selector, ...] = ()) -> Any:
        """The sum over some layers; 0 where this network has none of them."""
        key = quantity, selectors
        if key not in self._sums:
            rows: Iterable[Row] = self._rows
            if selectors:
                rows = [self._rows[layer] for layer in selected(selectors, self._layers)]
            counted = self._quantities[quantity]
            self._sums[key] = (
                self._add(map(counted.of, rows))
                if counted.adds_up
                else counted.of(Group("", tuple(rows)))
            )
        return self._sums[key]

    @property
    def uncounted(self) -> int:
        """How many operations have no rule."""
        return sum(row.uncounted for row in self._rows)

    def defined(self) -> Any:
        """Whether the model exists: an array over variants, or one truth for all of them."""
        return all_hold(holds for holds, _ in self._conditions)


def sum_of(values: Iterable[Any]) -> Any:
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


def all_hold(truths: Iterable[Any]) -> Any:
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
