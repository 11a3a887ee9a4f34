"""What the catalog holds, as a result of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from costlab import units
from costlab.catalog import architectures
from costlab.catalog.registry import Architecture
from costlab.costs import CostTable, costs
from costlab.document import Column, Document, Line, Paragraph, Record, Table
from costlab.result import Result


@dataclass(frozen=True, repr=False)
class Listing(Result):
    """Every architecture with its choices and its costs as published."""

    entries: tuple[tuple[Architecture, CostTable], ...]

    def document(self) -> Document:
        return (
            Paragraph("Models", "title"),
            Table(
                (
                    Column("model", right=False),
                    Column("input"),
                    Column("MACs"),
                    Column("params"),
                ),
                tuple(
                    Line(
                        (
                            entry.name,
                            units.shape(entry.input),
                            units.integer(table.total.macs),
                            units.integer(table.total.params),
                        ),
                        details=(
                            f"{entry.summary}. {entry.source}.",
                            entry.description,
                            *_choices(entry),
                        ),
                    )
                    for entry, table in self.entries
                ),
                "what it is",
            ),
            Paragraph(
                "Use a model as it is, with choices, or a part of it: "
                "costlab show 'reduced(c5r=24)/branch5x5'."
            ),
            Paragraph(f"{units.MAC}; {units.PARAMS}.", "dim"),
        )

    def records(self) -> list[Record]:
        return [
            {
                "model": entry.name,
                "input": units.shape(entry.input),
                "macs": table.total.macs,
                "params": table.total.params,
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
                    "macs": table.total.macs,
                    "params": table.total.params,
                    "choices": entry.choices,
                    "summary": entry.summary,
                    "description": entry.description,
                    "source": entry.source,
                }
                for entry, table in self.entries
            ]
        }


def listing() -> Listing:
    """The catalog, counted."""
    return Listing(tuple((each, costs(each.graph())) for each in architectures().values()))


def _choices(entry: Architecture) -> tuple[str, ...]:
    chosen = ", ".join(f"{name}={value!r}" for name, value in entry.choices.items())
    return (f"choices: {chosen}",) if chosen else ()
