"""Which layers made a limit fail: those that changed since the baseline, or the largest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from costlab import formatting
from costlab.alignment import Pair
from costlab.costs.quantities import TIME_BOUNDS, quantities
from costlab.costs.rows import Row
from costlab.costs.table import CostTable
from costlab.expressions.layers import selected
from costlab.expressions.mistakes import MistakeError
from costlab.expressions.nodes import Variable
from costlab.expressions.quantities import per_layer


class Cause(NamedTuple):
    """What a layer has of a quantity now, and ``before`` in the baseline.

    None is for a layer that is not there any more, or was not there; ``before`` is None too where
    there is no baseline. The derivations are empty where there is none.
    """

    quantity: str
    path: str
    now: int | None
    before: int | None
    derivation: str
    derivation_before: str

    @property
    def unit(self) -> str:
        """``ps`` of a time."""
        return "ps" if self.quantity in TIME_BOUNDS else ""

    @property
    def change(self) -> int:
        """By how much it grew."""
        return (self.now or 0) - (self.before or 0)

    @property
    def line(self) -> str:
        """By how much it changed, and why, in a line."""
        before = self.derivation_before
        derived = ", ".join(filter(None, (self.derivation, before and f"was {before}")))
        change = formatting.difference(self.before or 0, self.now or 0, self.unit)
        return f"{self.path} {change}" + (f": {derived}" if derived else "")


class Causes(NamedTuple):
    """Layers that made a limit fail, the most important first, and in which way."""

    way: Literal["grew or were added", "shrank or were removed", "changed", "are largest", ""] = ""
    layers: tuple[Cause, ...] = ()

    def lines(self, most: int) -> list[str]:
        """The first of them, a line each: by how much they changed, or what they have."""
        if self.way != "are largest":
            return [cause.line for cause in self.layers[:most]]
        return [
            f"{cause.path} {formatting.amount(cause.now or 0, cause.unit)}"
            + (f": {cause.derivation}" if cause.derivation else "")
            for cause in self.layers[:most]
        ]


def causes(
    variables: Iterable[Variable],
    too_much: bool,
    table: CostTable,
    base: CostTable | None,
    pairs: Callable[[], Sequence[Pair]],
) -> Causes:
    """The layers behind a value that is ``too_much``, or too little.

    ``pairs`` are the layers of the baseline and of the table, aligned only where they are needed.
    Beside a baseline the layers are all that changed, which add up to the difference. Where
    nothing changed in the direction that matters, what is too much is so by its largest layers.
    A quantity that does not add up over layers has none that are behind it.
    """
    known = per_layer(training_cost=True, more=table.more)
    of_all = {quantity.name for quantity in table.more if not quantity.adds_up}
    own = [name for name in variables if not name.table and name.name in known.keys() - of_all]
    if base is not None:
        changed = [
            cause for name in own for cause in _changed(name, too_much, table, base, pairs())
        ]
        if changed:
            return Causes(_way(changed), tuple(changed))
    if not too_much:
        return Causes()
    return Causes("are largest", tuple(cause for name in own for cause in _largest(name, table)))


def _changed(
    variable: Variable, grew: bool, table: CostTable, base: CostTable, pairs: Sequence[Pair]
) -> list[Cause]:
    """The layers with more or less of it than before; what was renamed or moved is not new.

    First those that ``grew``, or else shrank; without any of them, none.
    """
    name = variable.name
    of, derivation = per_layer(training_cost=True, more=table.more)[name], _derivations(name, table)
    meant_before, meant_now = ({row.path for row in _rows(variable, t)} for t in (base, table))
    layers = []
    for pair in pairs:
        old = pair.first if pair.first and pair.first.path in meant_before else None
        new = pair.second if pair.second and pair.second.path in meant_now else None
        now, before = (None if row is None else of(row) for row in (new, old))
        if (now or 0) != (before or 0):
            derived = ("" if row is None else derivation(row) for row in (new, old))
            layers.append(Cause(name, pair.row.path, now, before, *derived))
    layers.sort(key=lambda cause: ((cause.change > 0) != grew, -abs(cause.change)))
    return layers if layers and (layers[0].change > 0) == grew else []


def _way(
    changed: Iterable[Cause],
) -> Literal["grew or were added", "shrank or were removed", "changed"]:
    grew = {cause.change > 0 for cause in changed}
    if len(grew) == 2:
        return "changed"
    return "grew or were added" if grew == {True} else "shrank or were removed"


def _largest(variable: Variable, table: CostTable) -> Iterable[Cause]:
    name = variable.name
    of, derivation = per_layer(training_cost=True, more=table.more)[name], _derivations(name, table)
    layers = [
        Cause(name, row.path, of(row), None, derivation(row), "")
        for row in _rows(variable, table)
        if of(row)
    ]
    return sorted(layers, key=lambda cause: -cause.change)


def _derivations(name: str, table: CostTable) -> Callable[[Row], str]:
    """How the number of a layer comes about: as its quantity says it, or by its operation."""
    known = quantities(training_cost=True, more=table.more).get(name)
    return known.derivation if known else _operation


def _operation(row: Row) -> str:
    return row.operation


def _rows(variable: Variable, table: CostTable) -> Sequence[Row]:
    """The layers that a name is of; none where the table does not have them."""
    try:
        return [table.rows[i] for i in selected(variable.selectors, table.graph.layers)]
    except MistakeError:  # ambiguous in the baseline, where it was not asked for
        return []
