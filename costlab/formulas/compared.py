"""Two formulas side by side: what each costs, and where one costs less than the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from costlab.costs.quantities import More, legend, shown
from costlab.costs.quantity import Quantity
from costlab.costs.result import CostResult
from costlab.costs.table import costs
from costlab.errors import ChoiceError
from costlab.formulas.crossing import FURTHEST, Crossing, Span, crossings
from costlab.formulas.formula import Formula
from costlab.formulas.of_modules import ModuleFormula, needed
from costlab.render.document import Document, Equation, Paragraph, Record
from costlab.symbols.assumptions import Assumptions, Guard


@dataclass(frozen=True, repr=False, eq=False)
class ComparedFormulas(CostResult):
    """Two formulas, and where they cross; a name that both have is the same number."""

    first: Formula
    second: Formula

    @property
    def training_cost(self) -> bool:
        return self.first.training_cost and self.second.training_cost

    @property
    def shown(self) -> list[Quantity]:
        """What is compared: what both have."""
        return shown("formula", "macs", self.training_cost, self._more)

    @property
    def _more(self) -> More:
        """Bounds of time, where both are on one device."""
        first, second = ([quantity.unit for quantity in f.more] for f in (self.first, self.second))
        return self.first.more if first == second else ()

    @cached_property
    def names(self) -> tuple[str, str]:
        """What the models are called; by numbers where that is the same."""
        one, two = self.first.model_name, self.second.model_name
        return (one, two) if one != two else (f"{one} (1)", f"{two} (2)")

    @cached_property
    def labels(self) -> tuple[str, str]:
        """What stands for each model: its name if both are short, else a letter."""
        return self.names if max(map(len, self.names)) <= _SHORT else ("A", "B")

    @cached_property
    def _both(self) -> tuple[Assumptions, list[dict[str, Any]], list[Guard]]:
        """The symbols of both, their quantities, and where both are defined."""
        hints = {**self.second.published, **self.first.published}
        if ratios := [name for name, value in hints.items() if type(value) is not int]:
            raise ChoiceError(f"{ratios[0]} is no whole number: give it one (--at {ratios[0]}=1)")
        of = Assumptions(hints)
        of.shows = True
        quantities = [_quantities(formula, of) for formula in (self.first, self.second)]
        guards = list(of.guards.values())
        for formula in (self.first, self.second):
            if isinstance(formula, ModuleFormula):
                guards += formula.guards_of(of)
        return of, quantities, guards

    def crossings(self, quantity: str = "macs") -> list[Crossing]:
        """Where the second costs less (-1), the same (0) or more (1) than the first."""
        of, (first, second), guards = self._both
        with of.unasked():
            return crossings(second[quantity] - first[quantity], guards, of.hints)

    def sentence(self, quantity: Quantity) -> str:
        """In words, such as: reduced has fewer MACs from C = 69 on, naive up to C = 68."""
        crossings = self.crossings(quantity.name)
        return " ".join(self._sentence(quantity.heading, crossing) for crossing in crossings)

    def _sentence(self, noun: str, crossing: Crossing) -> str:
        at = ", ".join(f"{name} = {value:,}" for name, value in crossing.at.items())
        where = f"At {at} " if at else ""
        tried = "" if crossing.proven else f" (tried up to {FURTHEST:,})"
        if len(crossing.spans) == 1:
            names = crossing.symbol or ", ".join(self._both[0].hints)
            return f"{where}{self._who(crossing.spans[0], noun)} for all {names}{tried}."
        shown = crossing.spans if len(crossing.spans) <= _MANY else crossing.spans[-1:]
        parts = [
            f"{self._who(span, noun if first else '')} {_range(span, crossing)}"
            for first, span in zip((True, *[False] * len(shown)), reversed(shown), strict=False)
        ]
        return f"{where}{', '.join(parts)}{tried}."

    def _who(self, span: Span, noun: str) -> str:
        if not span.sign:
            return f"both have the same {noun}".strip()
        fewer = self.labels[1] if span.sign < 0 else self.labels[0]
        less = "a smaller" if noun.startswith("time") else "fewer"
        return f"{fewer} has {less} {noun}" if noun else fewer

    def headline(self) -> str:
        return f"{' vs '.join(self.names)}: {self.sentence(self.shown[0])}"

    def document(self) -> Document:
        return (
            Paragraph(" vs ".join(self.names), "title"),
            *(Paragraph(f"{label}: {name}") for label, name in self._letters()),
            Paragraph("A symbol that both have is the same number."),
            *self._blocks(),
            *self._defined(),
            Paragraph(legend(training_cost=self.training_cost, more=self._more), "dim"),
        )

    def _letters(self) -> Iterator[tuple[str, str]]:
        return (pair for pair in zip(self.labels, self.names, strict=True) if pair[0] != pair[1])

    def _blocks(self) -> Iterator[Paragraph | Equation]:
        for quantity in self.shown:
            for name, formula in zip(self.labels, (self.first, self.second), strict=True):
                yield formula.equation(quantity.name)._replace(name=f"{quantity.name} of {name}")
            yield Paragraph(self.sentence(quantity))

    def _defined(self) -> Document:
        both = dict.fromkeys((*self.first.requires, *self.second.requires))
        if isinstance(self.first, ModuleFormula) and isinstance(self.second, ModuleFormula):
            of, _, guards = self._both
            for guard in guards:
                of.learn(guard)
            both = dict.fromkeys(of.sentence(guard) for guard in needed(of, guards))
        return (Paragraph(f"Where both are defined: {', '.join(both)}."),) if both else ()

    def records(self) -> list[Record]:
        return [
            {
                "quantity": quantity.name,
                "first": self.names[0],
                "second": self.names[1],
                "sentence": self.sentence(quantity),
            }
            for quantity in self.shown
        ]

    def data(self) -> dict[str, Any]:
        return {
            "models": [self.first.data(), self.second.data()],
            "crossings": {
                quantity.name: [
                    {
                        "symbol": crossing.symbol,
                        "at": dict(crossing.at),
                        "proven": crossing.proven,
                        "spans": [span._asdict() for span in crossing.spans],
                    }
                    for crossing in self.crossings(quantity.name)
                ]
                for quantity in self.shown
            },
        }


_SHORT = 24
"""Of so many characters is a name that stands in sentences."""
_MANY = 4
"""So many spans are all told; of more the last one, which goes on."""


def _quantities(formula: Formula, of: Assumptions) -> dict[str, Any]:
    """All quantities of a formula, on these symbols."""
    if isinstance(formula, ModuleFormula):
        return formula.quantities_of(of)
    graph = formula.model.sized({**{n: of.symbols[n] for n in formula.symbols}, **formula.values})
    for holds, _ in graph.conditions:
        bool(holds)  # asked, so that it is known
    total = costs(graph.resized(of.as_one), formula.training_cost).total
    return {quantity.name: quantity.of(total) for quantity in formula.shown}


def _range(span: Span, crossing: Crossing) -> str:
    name = crossing.symbol
    if span.last is None or span.last == FURTHEST:
        return f"from {name} = {span.first:,} on"
    if span.first == span.last:
        return f"at {name} = {span.first:,}"
    if span is crossing.spans[0]:
        return f"up to {name} = {span.last:,}"
    return f"from {name} = {span.first:,} to {span.last:,}"
