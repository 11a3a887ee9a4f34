"""What costlab counts: one entry for each quantity, which every view, format and language reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from costlab.costs.rows import Cost
from costlab.errors import UnknownNameError
from costlab.render.cells import Number, text_of
from costlab.render.document import Units

View: TypeAlias = Literal["show", "list", "compare", "formula", "sweep", "report"]

MAC_UNIT = "1 multiplication + 1 addition"


@dataclass(frozen=True)
class Quantity:
    """Something that is counted of a layer, and adds up over layers.

    ``heading`` is what people read above a column and after a number, ``unit`` what one of it is,
    ``definition`` its entry in the legend, if it needs one. ``shown`` has the views that show it
    unless asked otherwise, each with a priority: 0 is always shown; others are added, lowest first,
    while the table fits the width. Files and expressions have every quantity.
    """

    name: str
    heading: str
    unit: str
    of: Callable[[Cost], int]
    definition: str = ""
    shown: Mapping[View, int] = field(default_factory=dict)
    needs_rule: bool = True
    """Whether it is not known of an operation without a rule."""

    def known(self, cost: Cost) -> int | None:
        """The number of that cost; None where an operation without a rule hides it."""
        return None if self.needs_rule and cost.bound == "unknown" else self.of(cost)

    def cell(self, cost: Cost) -> Number:
        """The number as a table's cell: a lower bound where an operation has no rule."""
        return Number(self.known(cost), self.heading, self.needs_rule and bool(cost.uncounted))

    def text(self, cost: Cost) -> str:
        """The cell as text: ``120,422,400``, ``≥120,422,400``, or ``?``."""
        return text_of(self.cell(cost))


QUANTITIES: dict[str, Quantity] = {
    quantity.name: quantity
    for quantity in (
        Quantity(
            "params",
            "params",
            "elements of learnable tensors",
            lambda cost: cost.params,
            "params = elements of learnable tensors",
            {"show": 0, "list": 0, "compare": 0, "formula": 0, "sweep": 0, "report": 0},
            needs_rule=False,
        ),
        Quantity(
            "trainable",
            "trainable",
            "params that are trained",
            lambda cost: cost.params - cost.frozen,
            "trainable = params that are trained",
            needs_rule=False,
        ),
        Quantity(
            "frozen",
            "frozen",
            "params that are not trained (requires_grad is false)",
            lambda cost: cost.frozen,
            "frozen = params that are not (requires_grad is false)",
            needs_rule=False,
        ),
        Quantity(
            "macs",
            "MACs",
            f"MACs: {MAC_UNIT} inside a contraction",
            lambda cost: cost.count.macs,
            "1 MAC = 1 multiplication + 1 addition inside a convolution, linear layer or matrix "
            "product",
            {"show": 0, "list": 0, "compare": 0, "formula": 0, "sweep": 0, "report": 0},
        ),
        Quantity("mul", "mul", "multiplications outside contractions", lambda cost: cost.count.mul),
        Quantity("add", "add", "additions outside contractions", lambda cost: cost.count.add),
        Quantity("cmp", "cmp", "comparisons outside contractions", lambda cost: cost.count.cmp),
        Quantity("div", "div", "divisions outside contractions", lambda cost: cost.count.div),
        Quantity(
            "special",
            "special",
            "exp, log, pow, sqrt... outside contractions",
            lambda cost: cost.count.special,
        ),
        Quantity(
            "other",
            "other ops",
            "scalar operations outside contractions",
            lambda cost: cost.other,
            "other ops = scalar mul, add, cmp, div and special (exp, log, pow...) outside "
            "contractions",
            {"show": 4, "compare": 0, "sweep": 2, "report": 0},
        ),
        Quantity(
            "flops",
            "FLOPs",
            "FLOPs: 2 for each MAC, and every other scalar operation",
            lambda cost: cost.flops,
            shown={"formula": 0, "sweep": 1},
        ),
        Quantity(
            "activations",
            "activations",
            "elements that operations compute, each once",
            lambda cost: cost.activations,
            "activations = elements that operations compute, each once: views, operations in "
            "place and what only moves elements add none",
            {"show": 5, "compare": 0, "formula": 0, "sweep": 3, "report": 4},
            needs_rule=False,
        ),
        Quantity(
            "conv_outputs",
            "conv outputs",
            "elements of the outputs of convolutions, linear layers and matrix products",
            lambda cost: cost.conv_outputs,
            "conv outputs = elements of the outputs of convolutions, linear layers and matrix "
            "products (what fvcore and timm call activations)",
        ),
    )
}
"""All that is counted, by name, in the order of columns."""


def quantity_named(name: str) -> Quantity:
    """The quantity of that name. Raises ``UnknownNameError``."""
    if name not in QUANTITIES:
        raise UnknownNameError("quantity", name, QUANTITIES)
    return QUANTITIES[name]


def shown(view: View, first: str = "") -> list[Quantity]:
    """The quantities of a view, in its order; the one named ``first`` comes first."""
    chosen = [quantity for quantity in QUANTITIES.values() if view in quantity.shown]
    return sorted(chosen, key=lambda quantity: quantity.name != first)


def legend(names: Iterable[str] | None = None) -> str:
    """One line that defines these quantities, or all that some view shows by itself."""
    usual = [quantity.name for quantity in QUANTITIES.values() if quantity.shown]
    return "; ".join(definitions(usual if names is None else names)) + "."


def definitions(names: Iterable[str] | None = None) -> tuple[str, ...]:
    """The definitions of these quantities or of all: first of what is computed, then of sizes."""
    chosen = QUANTITIES.keys() if names is None else set(names)
    ordered = sorted(QUANTITIES.values(), key=lambda quantity: not quantity.needs_rule)
    return tuple(
        quantity.definition
        for quantity in ordered
        if quantity.name in chosen and quantity.definition
    )


def units() -> Units:
    """The units and definitions that files of numbers carry."""
    of = {quantity.name: quantity.unit for quantity in QUANTITIES.values()}
    return Units(of, definitions(), MAC_UNIT)
