"""Each quantity of models side by side, for programs: values, differences, ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from costlab.costs.cost import Cost
from costlab.costs.quantities import Quantity
from costlab.views.compared_parts import known_exactly


def value_of(quantity: Quantity, cost: Cost | None) -> int | None:
    """A quantity of a part; None where it is not there or has no rule."""
    return None if cost is None else quantity.known(cost)


def side_by_side(costs: Sequence[Cost | None], known: Mapping[str, Quantity]) -> dict[str, Any]:
    """Each quantity of each model, and how it compares with the first one's."""
    first = costs[0]
    return {
        **{name: [value_of(quantity, c) for c in costs] for name, quantity in known.items()},
        **{
            comparison: {
                name: [of(quantity, first, cost) for cost in costs]
                for name, quantity in known.items()
            }
            for comparison, of in TO_FIRST.items()
        },
    }


def _difference(quantity: Quantity, first: Cost | None, cost: Cost | None) -> int | None:
    """None where one of them is not there or not exactly known."""
    a, b = (None if c is None else known_exactly(quantity, c) for c in (first, cost))
    return None if a is None or b is None else b - a


def _ratio(quantity: Quantity, first: Cost | None, cost: Cost | None) -> float | None:
    """None where one of them is not there or not exactly known, or the first has nothing of it."""
    a, b = (None if c is None else known_exactly(quantity, c) for c in (first, cost))
    return None if not a or b is None else round(b / a, 6)


TO_FIRST: dict[str, Callable[[Quantity, Cost | None, Cost | None], float | None]] = {
    "difference": _difference,
    "ratio": _ratio,
}
