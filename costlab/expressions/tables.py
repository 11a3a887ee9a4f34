"""The names of cost tables: quantities of all layers or of some, of this model or of another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from costlab.costs.quantities import QUANTITIES
from costlab.costs.table import CostTable
from costlab.expressions.expression import Values
from costlab.expressions.layers import selected
from costlab.expressions.mistakes import MistakeError
from costlab.expressions.nodes import Variable
from costlab.expressions.parser import Names
from costlab.expressions.quantities import depth, per_layer


def names(others: Iterable[str] = (), elsewhere: Mapping[str, str] | None = None) -> Names:
    """The quantities of a table, and of other tables by their names before a dot."""
    quantities = (*per_layer(), "depth")
    return Names(dict.fromkeys(quantities, "number"), quantities, tuple(others), elsewhere or {})


def values(table: CostTable, others: Mapping[str, CostTable] | None = None) -> Values:
    """What these names are. They raise ``MistakeError`` for layers without a rule, or not there."""

    def value(variable: Variable) -> Fraction:
        of = (others or {})[variable.table] if variable.table else table
        return _quantity(variable, of)

    return value


def _quantity(variable: Variable, table: CostTable) -> Fraction:
    numbers = selected(variable.selectors, table.graph.layers, table.model)
    rows = [table.rows[number] for number in numbers]
    known = QUANTITIES.get(variable.name)
    needs_rule = known is None or known.needs_rule
    if needs_rule and (uncounted := [row for row in rows if row.uncounted]):
        row = uncounted[0]
        raise MistakeError(
            f"{table.model} has no rule for {row.label} at {row.path}", variable.place
        )
    if variable.name == "depth":
        if not table.graph.connected:
            raise MistakeError(f"{table.model} does not say what its layers take", variable.place)
        return Fraction(depth(table.graph, numbers))
    quantity = per_layer()[variable.name]
    return Fraction(sum(quantity(row) for row in rows))
