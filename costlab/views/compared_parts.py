"""Tables of compared models: totals, what differs, or each one's own where little aligns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from costlab import formatting
from costlab.alignment import AlignedPart
from costlab.costs.cost import Cost
from costlab.costs.quantities import More, shown
from costlab.costs.quantity import Quantity
from costlab.costs.table import CostTable
from costlab.render.cells import Cell, Difference, Versus
from costlab.render.document import Column, Line, Paragraph, Table

IN_TABLES, IN_TOTALS, IN_ALL = range(3)
"""Where a comparison shows a quantity: in every table, in its totals too, only where all is."""

_MOST_TERMS = 6
"""So many contractions of one part are written out."""

_MOST_OPERATIONS = 3


def compared_quantities(up_to: int, training_cost: bool, more: More = ()) -> list[Quantity]:
    """The quantities that a table of a comparison shows."""
    known = shown("compare", training_cost=training_cost, more=more)
    chosen = [quantity for quantity in known if quantity.shown["compare"] <= up_to]
    return sorted(chosen, key=lambda quantity: _ORDER.get(quantity.name, len(_ORDER)))


_ORDER = {name: place for place, name in enumerate(("macs", "params", "flops", "other"))}


def known_exactly(quantity: Quantity, cost: Cost) -> int | None:
    """A number that can be subtracted from another: None of a lower bound."""
    return None if quantity.bound(cost) else quantity.of(cost)


def in_factors(tables: Sequence[CostTable], quantities: Sequence[Quantity]) -> list[bool]:
    """Whether the totals of each further model are said as factors, so that all have one form."""
    first, *others = (
        [known_exactly(quantity, table.total) for quantity in quantities] for table in tables
    )
    return [
        any(a and b and formatting.far_apart(a, b) for a, b in zip(first, other, strict=True))
        for other in others
    ]


def totals(
    labels: Sequence[str],
    tables: Sequence[CostTable],
    quantities: Sequence[Quantity],
    in_verdict: Sequence[Quantity],
) -> Table:
    """A line for each quantity; of more than two models, the changes stand below it."""
    factors = in_factors(tables, in_verdict)
    two = len(tables) == 2
    lines = []
    for quantity in quantities:
        first, *others = (known_exactly(quantity, table.total) for table in tables)
        changes: list[Cell] = [
            Versus(first, other, factor) for other, factor in zip(others, factors, strict=True)
        ]
        cells: list[Cell] = [quantity.heading, *(quantity.cell(table.total) for table in tables)]
        beside = [Difference(first, others[0], quantity.measure), *changes] if two else []
        lines.append(Line((*cells, *beside), style="strong"))
        if not two:
            lines.append(Line(("", "", *changes)))
    columns = [Column("total", right=False), *map(Column, labels)]
    if two:
        columns += [Column("difference"), Column("change", joined=True)]
    return Table(tuple(columns), tuple(lines))


@dataclass(frozen=True)
class ComparedParts:
    """The parts of models, whose ``labels`` and ``params`` are in the same order as their costs.

    ``little`` says of each whether no part of it stands beside one of another; ``everything`` shows
    all. ``training_cost`` compares what a training step costs, too, ``more`` further quantities.
    """

    parts: tuple[AlignedPart, ...]
    labels: tuple[str, ...]
    params: tuple[int, ...]
    little: tuple[bool, ...]
    everything: bool
    training_cost: bool
    more: More = ()

    @cached_property
    def chosen(self) -> tuple[AlignedPart, ...]:
        """Those that are shown: what differs, and stages of models of which little aligns."""
        quantities = self._quantities(IN_TABLES)
        return tuple(
            part
            for part in self.parts
            if self.everything
            or (
                self._is_a_stage(part)
                if self._of_little(part)
                else any(self._differs(quantity, part) for quantity in quantities)
            )
        )

    def blocks(self) -> Iterable[Table | Paragraph]:
        """The table, if it has a line, and what it leaves out."""
        if self.chosen:
            yield self.table()
        if any(len(run) > 1 for run in self._runs):
            yield Paragraph("×2 and the like: that many in a row are alike, each with these costs.")
        shown_ones = set(map(id, self.chosen))
        left_out = [part.path for part in self.parts if id(part) not in shown_ones]
        if left_out:
            some = formatting.of_all(len(left_out), len(self.parts), "part")
            one = len(left_out) == 1
            what = f"{'has' if one else 'have'} no MACs and less than 1 % of the params"
            if not any(self.little):
                what = "costs the same" if one else "cost the same"
            elif not all(self.little):
                what = f"cost the same, or {what}"
            names = f" ({', '.join(left_out)})" if len(left_out) <= 3 else ""
            yield Paragraph(f"{some} {what}{names}: --all shows {'it' if one else 'them'}.")

    def table(self) -> Table:
        """A column for each quantity; for each part a line a model, and its change below."""
        quantities = [
            quantity
            for quantity in self._quantities(IN_ALL if self.everything else IN_TABLES)
            if quantity.name == "macs"
            or self.everything
            or any(self._differs(quantity, part) for part in self.chosen)
        ]
        head = "part" if self.everything else "stage" if all(self.little) else "what differs"
        columns = [Column(head, right=False), Column("model", right=False)]
        columns += [Column(quantity.heading) for quantity in quantities]
        lines = [line for run in self._runs for line in self._lines(run, quantities)]
        folded = f"{head.capitalize()}: {formatting.plural(len(self.chosen), 'part')}"
        return Table(tuple(columns), tuple(lines), "derivation", folded)

    @cached_property
    def _runs(self) -> tuple[tuple[AlignedPart, ...], ...]:
        """Those that are shown; such as follow each other and are alike but for a number."""
        if self.everything:
            return tuple((part,) for part in self.chosen)
        return tuple(tuple(run) for _, run in groupby(self.chosen, self._look))

    def _look(self, part: AlignedPart) -> tuple[object, ...]:
        """What a table says of a part, with names that are the same but for their numbers."""
        quantities = self._quantities(IN_TABLES)
        models = [i for i, cost in enumerate(part.costs) if cost]
        return (
            part.verdicts,
            *(
                (i, re.sub("[0-9]+", "", cost.path), *(q.known(cost) for q in quantities))
                for i, cost in enumerate(part.costs)
                if cost
            ),
            *self._details(part, models),
        )

    def _quantities(self, up_to: int) -> list[Quantity]:
        return compared_quantities(up_to, self.training_cost, self.more)

    def _lines(self, run: Sequence[AlignedPart], quantities: Sequence[Quantity]) -> Iterable[Line]:
        """Models of which the part has one name and the same numbers share a line."""
        part, times = run[0], f" ×{len(run)}" if len(run) > 1 else ""
        alike: dict[tuple[object, ...], list[int]] = {}
        for i, cost in enumerate(part.costs):
            if cost is not None:
                numbers = [quantity.known(cost) for quantity in quantities]
                alike.setdefault((cost.path, *numbers), []).append(i)
        details = self._details(part, [members[0] for members in alike.values()])
        first, path_above = part.costs[0], ""
        for members, detail in zip(alike.values(), details, strict=True):
            cost = part.costs[members[0]]
            assert cost is not None
            label = ", ".join(self.labels[i] for i in members)
            if len(self.labels) == 2 and len(members) == len(alike) == 1 and not any(self.little):
                label += f" ({part.verdicts[0]})"
            path = "" if cost.path == path_above else cost.path + times
            yield Line(
                (path, label, *(quantity.cell(cost) for quantity in quantities)),
                path=path,
                details=(detail,) if detail else (),
            )
            if first is not None and cost is not first:
                changes = [
                    Versus(known_exactly(quantity, first), known_exactly(quantity, cost))
                    for quantity in quantities
                ]
                yield Line(("", "", *changes), style="strong")
            path_above = cost.path

    def _details(self, part: AlignedPart, models: Sequence[int]) -> list[str]:
        """What each of these models says of the part; once where all say the same."""
        texts = [self._detail(part, i) for i in models]
        if len(texts) == 1 or len(set(texts)) > 1:
            return texts
        contracts = any(row.contraction for row in part.differing[models[0]])
        return [texts[0] if contracts else "", *[""] * (len(texts) - 1)]

    def _detail(self, part: AlignedPart, i: int) -> str:
        """The contractions that are not the same in all models; without any, the operations."""
        cost = part.costs[i]
        if cost is None or self._of_little(part):
            return ""
        rows = part.differing[i]
        terms = [str(row.contraction) for row in rows if row.contraction]
        if len(terms) > _MOST_TERMS:
            return f"{len(terms)} contractions, see --depth {cost.level + 2}"
        if terms:
            alike = sum(row.contraction is not None for row in cost.rows) - len(terms)
            whose = f"as in {self.labels[0]}" if i else "that all have"
            more = [f"{formatting.plural(alike, 'contraction')} {whose}"] if alike else []
            return " + ".join([*terms, *more])
        operations = list(dict.fromkeys(row.operation for row in rows))
        return ", ".join(operations) if len(operations) <= _MOST_OPERATIONS else ""

    def _differs(self, quantity: Quantity, part: AlignedPart) -> bool:
        """Whether models differ in it, or may; what is not there costs nothing.

        Those of which little aligns are not asked where others have the part.
        """
        of_little = self._of_little(part)
        numbers = {
            0 if cost is None else known_exactly(quantity, cost)
            for cost, little in zip(part.costs, self.little, strict=True)
            if of_little or not little
        }
        return len(numbers) > 1 or None in numbers

    def _of_little(self, part: AlignedPart) -> bool:
        """Whether only models have it of which little aligns."""
        return all(self.little[i] for i, cost in enumerate(part.costs) if cost)

    def _is_a_stage(self, part: AlignedPart) -> bool:
        """Whether there is something to say of it in a list of stages."""
        return any(
            cost.macs or 100 * cost.params > total
            for cost, total in zip(part.costs, self.params, strict=True)
            if cost
        )
