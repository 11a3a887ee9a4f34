"""The columns that a table of costs can have, by the names that ``--columns`` takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from costlab.costs.cost import Cost
from costlab.costs.quantities import quantities, shown
from costlab.costs.quantity import Quantity
from costlab.errors import UnknownNameError
from costlab.formatting import Scale
from costlab.render.cells import Cell, Shapes, Share
from costlab.render.document import Column

if TYPE_CHECKING:
    from costlab.costs.table import CostTable

_Content: TypeAlias = "Callable[[CostTable, Cost], Cell]"

SHARE = "_share"
"""``params_share`` is a column: the share of all params. ``share`` is that of the MACs."""

PRIORITIES = {"output": 1, "share": 2, "operation": 3, "input": 9}
"""Which columns go first where a table is too wide, from the last on; 0 stays (see `Column`).

Between them stand the quantities that ``show`` has beside params and MACs.
"""


class TableColumn(NamedTuple):
    """A column: its head, what stands in a line, and the keys of a record that are the same."""

    name: str
    head: str
    content: _Content
    keys: tuple[str, ...]
    right: bool = False
    adds_up: bool = False
    """Whether layers that are no part of the network together have it too."""

    def column(self, priority: int = 0) -> Column:
        """The head as a table has it."""
        return Column(self.head, right=self.right, priority=priority)


def columns(scale: Scale = "exact") -> dict[str, TableColumn]:
    """All columns by name; numbers in that scale."""
    known = [
        TableColumn("layer", "layer", lambda table, part: part.path, ("path",)),
        TableColumn("class", "class", _class, ("class",)),
        TableColumn("operation", "operation", _operation, ("op", "detail")),
        TableColumn(
            "layers", "layers", lambda table, part: str(part.layers), ("layers",), True, True
        ),
        TableColumn(
            "input", "input", lambda table, part: _shapes(table.ends(part)[0]), ("input",), True
        ),
        TableColumn(
            "output", "output", lambda table, part: _shapes(table.ends(part)[1]), ("output",), True
        ),
    ]
    for quantity in quantities(training_cost=True).values():
        known += [_quantity(quantity, scale), _share(quantity)]
    known.append(
        TableColumn(
            "derivation", "derivation", lambda table, part: part.derivation, ("derivation",)
        )
    )
    return {column.name: column for column in known}


def chosen(names: Iterable[str], scale: Scale = "exact") -> list[TableColumn]:
    """The columns of these names. Raises ``UnknownNameError``."""
    known = columns(scale)
    for name in names:
        if name not in known:
            plain = ", ".join(column for column in known if not column.endswith(SHARE))
            listed = f"{plain}, and shares of quantities, such as params{SHARE}"
            raise UnknownNameError("column", name, known, listed=listed)
    return [known[name] for name in names]


def usual(sorted_by: str, training_cost: bool) -> list[tuple[str, int]]:
    """The columns of a table that names none, each with its priority.

    What it is sorted by always stands in it, and its share.
    """
    names = [("layer", 0), ("operation", PRIORITIES["operation"]), ("output", PRIORITIES["output"])]
    priorities = {
        quantity.name: quantity.shown["show"]
        for quantity in shown("show", training_cost=training_cost)
    }
    for name in quantities(training_cost):
        if name == sorted_by:
            names += [(name, 0), (share_of(name), PRIORITIES["share"])]
        elif name in priorities:
            names.append((name, priorities[name]))
    return [*names, ("input", PRIORITIES["input"])]


def share_of(quantity: str) -> str:
    """The name of the column with the shares of a quantity."""
    return "share" if quantity == "macs" else quantity + SHARE


def _quantity(quantity: Quantity, scale: Scale) -> TableColumn:
    unit = f" ({scale})" if scale in ("K", "M", "G", "T") else ""
    return TableColumn(
        quantity.name,
        quantity.heading + unit,
        lambda table, part: quantity.cell(part)._replace(scale=scale),
        (quantity.name,),
        right=True,
        adds_up=True,
    )


def _share(quantity: Quantity) -> TableColumn:
    head = "share" if quantity.name == "macs" else f"of {quantity.heading}"
    name = share_of(quantity.name)
    return TableColumn(
        name,
        head,
        lambda table, part: Share(quantity.known(part), quantity.of(table.total)),
        (name,),
        right=True,
        adds_up=True,
    )


def _class(table: CostTable, part: Cost) -> str:
    return table.graph.class_of(part.path)


def _operation(table: CostTable, part: Cost) -> str:
    """``conv2d 3×3``, or of a scope its class: ``Bottleneck, 9 operations``."""
    name = "" if part.layer else _class(table, part)
    return ", ".join(filter(None, [name, part.operation]))


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> Cell:
    return Shapes(shapes) if len(shapes) <= 1 else f"{len(shapes)} tensors"
