"""What a quantity is: how it comes from a cost, what one of it is, and which views show it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from costlab.costs.cost import Bound, Cost
from costlab.render.cells import Number, text_of

if TYPE_CHECKING:
    from costlab.costs.rows import Row

View: TypeAlias = Literal["show", "list", "compare", "formula", "sweep", "report"]


@dataclass(frozen=True)
class Quantity:
    """Something that is counted of a layer, and adds up over layers (but for ``adds_up``).

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
    needs_backward: bool = False
    """Whether it is not known where nobody asked for the backward pass, or that has no rule."""
    needs_backward_ops: bool = False
    """The same of operations outside of MACs."""
    needs_values: bool = False
    """Whether it is not known where it is not known what layers take (an older report)."""
    adds_up: bool = True
    """Whether that of several layers is the sum of theirs."""
    needs_layout: bool = False
    """Whether views and copies differ in it: how elements lie in memory is not followed with
    symbols."""
    of_run: bool = False
    """Whether it is of a run as a whole, not of layers: it is known where that was run."""
    optimizer: str = ""
    """Of a run that is a step of training: what trains."""
    measure: Literal["", "ps"] = ""
    """``ps`` for a time in picoseconds: people read ``1.46 µs``, in plain numbers it is said."""
    derivation: Callable[[Row], str] = lambda row: row.operation
    """How a layer's number comes about, where there is a short way to say it."""

    @property
    def plain_heading(self) -> str:
        """What people read after a number that stands without its measure."""
        return f"{self.heading} ({self.measure})" if self.measure else self.heading

    def bound(self, cost: Cost) -> Bound:
        """How to read the number of that cost."""
        bounds = {cost.bound} if self.needs_rule else set[Bound]()
        if self.needs_values and not cost.connected:
            bounds.add("unknown")
        if self.needs_backward:
            bounds.add(cost.backward_bound)
        if self.needs_backward_ops:
            bounds.add(cost.backward_ops_bound)
        return "unknown" if "unknown" in bounds else "at least" if "at least" in bounds else ""

    def known(self, cost: Cost) -> int | None:
        """The number of that cost; None where an operation without a rule hides it."""
        return None if self.bound(cost) == "unknown" else self.of(cost)

    def cell(self, cost: Cost) -> Number:
        """The number as a table's cell: a lower bound where an operation has no rule."""
        return self.plain(cost)._replace(unit=self.measure or self.heading)

    def plain(self, cost: Cost) -> Number:
        """The same without its measure: all digits, in what ``plain_heading`` says."""
        return Number(self.known(cost), self.plain_heading, self.bound(cost) == "at least")

    def text(self, cost: Cost) -> str:
        """The plain number as text: ``120,422,400``, ``≥120,422,400``, or ``?``."""
        return text_of(self.plain(cost))
