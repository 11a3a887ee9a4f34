"""The lines of cost tables as a tree that pages and pictures show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab import formatting
from costlab.costs.cost import Cost
from costlab.costs.kinds import FAMILIES, family_of
from costlab.costs.quantities import More, quantities
from costlab.render.cells import Number
from costlab.render.tree import Measure, Tree, TreeLine

if TYPE_CHECKING:
    from costlab.costs.table import CostTable


def measures(training_cost: bool = False, more: More = ()) -> tuple[Measure, ...]:
    """All that is counted, as a page names it."""
    return tuple(
        Measure(
            known.name,
            known.plain_heading,
            known.definition or known.unit,
            first=bool(known.shown),
        )
        for known in quantities(training_cost, more).values()
    )


def numbers(cost: Cost, training_cost: bool = False, more: More = ()) -> tuple[Number, ...]:
    """All that is counted of a layer or scope, in the order of the measures."""
    return tuple(known.plain(cost) for known in quantities(training_cost, more).values())


def family(part: Cost) -> str:
    """The family of a layer; nothing for a scope."""
    return family_of(part.rows[0]) if part.layer else ""


def tree_of(table: CostTable) -> Tree:
    """All scopes and layers of a table; shown first is what its layout asks for."""
    lines: list[TreeLine] = []
    around: dict[str, int] = {}
    for part in table.groups():
        scope, _, name = part.path.rpartition(".")
        parent = around.get(scope)
        if part.layer is None:
            around[part.path] = len(lines)
        lines.append(
            TreeLine(
                name if parent is not None else part.path,
                parent,
                family(part),
                _operation(table, part),
                formatting.shape(part.layer.output) if part.layer else "",
                (part.path,),
                (numbers(part, table.training_cost),),
                (part.derivation,),
            )
        )
    layout = table.layout
    known = quantities(table.training_cost)
    columns = tuple(name for name in layout.columns if name in known) or ("params", "macs")
    return Tree(
        "Layers",
        (table.model,),
        measures(table.training_cost),
        FAMILIES,
        tuple(lines),
        (numbers(table.total, table.training_cost),),
        measure=layout.quantity.name,
        columns=tuple(dict.fromkeys([*columns, layout.quantity.name])),
        depth=layout.depth or 1,
        sort=layout.sort,
        units=layout.units,
    )


def _operation(table: CostTable, part: Cost) -> str:
    """``conv2d 3×3``, or of a scope its class: ``Bottleneck, 9 operations``."""
    name = "" if part.layer else table.graph.class_of(part.path)
    return ", ".join(filter(None, [name, part.operation]))
