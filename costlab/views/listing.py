"""The list of the catalog's models, as a result."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from costlab import formatting
from costlab.catalog import architecture, architectures
from costlab.catalog.registry import Architecture
from costlab.costs.quantities import legend, shown
from costlab.costs.quantity import Quantity
from costlab.costs.result import CostResult
from costlab.costs.table import CostTable, costs
from costlab.render.cells import Shapes
from costlab.render.document import Column, Document, Line, Paragraph, Record, Table


def listed_quantities() -> list[Quantity]:
    """The quantities of the list, the MACs first."""
    return shown("list", first="macs")


@dataclass(frozen=True, repr=False)
class Listing(CostResult):
    """Architectures with their choices and their costs as published; in ``detail`` if wanted."""

    entries: tuple[tuple[Architecture, CostTable], ...]
    detail: bool = False

    def headline(self) -> str:
        names = [entry.name for entry, _ in self.entries]
        return f"{formatting.plural(len(names), 'model')}: {', '.join(names)}"

    def document(self) -> Document:
        return (
            Paragraph("Models", "title"),
            self.table(),
            Paragraph(
                ("" if self.detail else "Sources and choices: costlab list NAME. ")
                + "Use a model as it is, with choices, or a part of it: costlab show "
                "'reduced(c5r=24)/branch5x5'."
            ),
            Paragraph(legend(quantity.name for quantity in listed_quantities()), "dim"),
        )

    def table(self) -> Table:
        """The table of the document: a line for each model."""
        quantities = listed_quantities()
        return Table(
            (
                Column("model", right=False),
                Column("input"),
                *(Column(quantity.heading) for quantity in quantities),
            ),
            tuple(
                Line(
                    (
                        entry.name,
                        Shapes((entry.input,)),
                        *(quantity.cell(table.total) for quantity in quantities),
                    ),
                    details=_details(entry) if self.detail else (_brief(entry),),
                )
                for entry, table in self.entries
            ),
            "what it is",
        )

    def records(self) -> list[Record]:
        return [
            {
                "model": entry.name,
                "input": formatting.shape(entry.input),
                **{quantity.name: quantity.of(table.total) for quantity in listed_quantities()},
                "choices": ", ".join(f"{k}={v!r}" for k, v in entry.choices.items()),
                "summary": entry.summary,
                "description": entry.description,
                "source": entry.source,
            }
            for entry, table in self.entries
        ]

    def data(self) -> dict[str, Any]:
        return {
            "models": [
                {
                    "model": entry.name,
                    "input": list(entry.input),
                    **{quantity.name: quantity.of(table.total) for quantity in listed_quantities()},
                    "choices": entry.choices,
                    "variants": entry.variants,
                    "summary": entry.summary,
                    "description": entry.description,
                    "source": entry.source,
                }
                for entry, table in self.entries
            ]
        }


def listing(names: Iterable[str] = ()) -> Listing:
    """The catalog, counted; or some of it, in detail. Raises ``UnknownNameError``."""
    some = [architecture(name) for name in names]
    entries = some or list(architectures().values())
    return Listing(tuple((entry, costs(entry.graph())) for entry in entries), detail=bool(some))


def _brief(entry: Architecture) -> str:
    """The summary, and which of the networks that go by the name is listed."""
    variants = (
        f'{choice}="{entry.choices[choice]}" (of {", ".join(words)})'
        for choice, words in entry.variants.items()
    )
    return "; ".join([entry.summary, *variants])


def _details(entry: Architecture) -> tuple[str, ...]:
    chosen = ", ".join(f"{name}={value!r}" for name, value in entry.choices.items())
    return (
        f"{entry.summary}. {entry.source}.",
        entry.description,
        *([f"choices: {chosen}"] if chosen else []),
        *(
            f'{choice}="{word}": {meaning}'
            for choice, words in entry.variants.items()
            for word, meaning in words.items()
        ),
    )
