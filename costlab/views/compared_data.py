"""Each quantity of models side by side, for programs: values, differences, ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costlab.alignment import AlignedPart
from costlab.costs.cost import Cost
from costlab.costs.quantities import quantities
from costlab.costs.quantity import Quantity
from costlab.render.document import Record
from costlab.views.compared_parts import known_exactly

if TYPE_CHECKING:
    from costlab.views.compare import Comparison


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


def records_of(comparison: Comparison) -> list[Record]:
    """A row for each part and model, and the totals."""
    known = quantities(comparison.training_cost, comparison.more)
    lines: list[tuple[str, AlignedPart | None, tuple[Cost | None, ...]]] = [
        *(("branch", branch, branch.costs) for branch in comparison.branches),
        ("total", None, tuple(table.total for table in comparison.tables)),
    ]
    return [
        {
            "row": kind,
            "path": branch.path if branch else "",
            "model": comparison.names[i],
            **{name: value_of(quantity, cost) for name, quantity in known.items()},
            "derivation": cost.derivation if branch and cost else "",
            "label": comparison.labels[i],
            "path_in_model": cost.path if branch and cost else "",
            "verdict": branch.verdicts[i - 1] if branch and i else "",
            **{
                f"{name}_{comparison}_to_first": of(quantity, costs[0], cost)
                for name, quantity in known.items()
                for comparison, of in TO_FIRST.items()
            },
        }
        for kind, branch, costs in lines
        for i, cost in enumerate(costs)
    ]


def data_of(comparison: Comparison) -> dict[str, Any]:
    """For programs: the tables, what they come to side by side, and how they were aligned."""
    totals = [table.total for table in comparison.tables]
    known = quantities(comparison.training_cost, comparison.more)
    return {
        "models": [table.data() for table in comparison.tables],
        "labels": list(comparison.labels),
        "totals": side_by_side(totals, known),
        "branches": [
            {
                "path": branch.path,
                "paths": list(branch.paths),
                "verdicts": list(branch.verdicts),
                **side_by_side(branch.costs, known),
                "derivation": [cost.derivation if cost else "" for cost in branch.costs],
            }
            for branch in comparison.branches
        ],
        "alignments": [alignment.data() for alignment in comparison.alignments],
        "same_interface": len({table.graph.outputs for table in comparison.tables}) == 1,
        "crosschecks": [check.data() for check in comparison.checks],
        "counters": {k: v for check in comparison.checks for k, v in check.versions.items()},
        "complete": comparison.complete,
    }
