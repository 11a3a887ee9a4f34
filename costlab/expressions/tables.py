"""The names of cost tables: quantities of all layers or of some, of this model or of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from costlab.costs.quantities import OF_MEMORY, names_training, quantities
from costlab.costs.rows import Group
from costlab.costs.table import CostTable
from costlab.expressions.expression import Expression, Values
from costlab.expressions.layers import selected
from costlab.expressions.mistakes import MistakeError
from costlab.expressions.nodes import ValueType, Variable
from costlab.expressions.parser import Names
from costlab.expressions.quantities import depth, per_layer


def names(
    others: Iterable[str] = (),
    elsewhere: Mapping[str, str] | None = None,
    training_cost: bool = False,
    more: Iterable[str] = (),
    of_run: Iterable[str] = (),
) -> Names:
    """The quantities of a table, and of other tables by their names before a dot.

    Those ``of_run`` are of this table alone, and not of its layers.
    """
    known = (*per_layer(training_cost), *more, "depth")
    elsewhere = {**OF_MEMORY, **(elsewhere or {})}
    numbers: dict[str, ValueType] = dict.fromkeys((*known, *of_run), "number")
    return Names(numbers, known, tuple(others), elsewhere)


def of_training(expression: Expression) -> bool:
    """Whether it names what a training step costs: its tables have to say that."""
    return names_training(variable.name for variable in expression.variables)


def values(
    table: CostTable,
    others: Mapping[str, CostTable] | None = None,
    chosen: Mapping[str, Any] | None = None,
) -> Values:
    """What these names are. They raise ``MistakeError`` for layers without a rule, or not there.

    ``chosen`` has sizes and choices by name.
    """

    def value(variable: Variable) -> Any:
        if chosen and variable.name in chosen:
            number = chosen[variable.name]
            return Fraction(str(number)) if isinstance(number, float) else number
        of = (others or {})[variable.table] if variable.table else table
        return _quantity(variable, of)

    return value


def _quantity(variable: Variable, table: CostTable) -> Fraction:
    numbers = selected(variable.selectors, table.graph.layers, table.model)
    rows = [table.rows[number] for number in numbers]
    known = quantities(training_cost=True, more=table.more).get(variable.name)
    without = [row for row in rows if row.uncounted and (known is None or known.needs_rule)]
    if without:
        operations = ", ".join(f"{row.label} at {row.path}" for row in without[:3])
        operations += f" and {len(without) - 3} more" if len(without) > 3 else ""
        raise MistakeError(
            f"{table.model} has no rule for {operations}: give your own, "
            "with --rules FILE or costlab.counting",
            variable.place,
        )
    for row in rows:
        if known is not None and known.bound(row):
            raise MistakeError(
                f"{table.model} does not say what {row.label} at {row.path} computes backwards; "
                "a report does if --training-cost wrote it",
                variable.place,
            )
    if variable.name == "depth":
        if not table.graph.connected:
            raise MistakeError(f"{table.model} does not say what its layers take", variable.place)
        return Fraction(depth(table.graph, numbers))
    if known is not None and not known.adds_up:
        return Fraction(known.of(Group("", tuple(rows))))
    quantity = per_layer(training_cost=True, more=table.more)[variable.name]
    return Fraction(sum(quantity(row) for row in rows))
