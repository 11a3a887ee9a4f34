"""Reports on a user's own models: an index, a page for each, and all of them side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from costlab import formatting
from costlab.costs.quantities import legend, shown
from costlab.costs.result import CostResult
from costlab.costs.table import CostTable, analyze
from costlab.errors import blaming
from costlab.render.cells import Shapes
from costlab.render.document import Column, Document, Line, Page, Paragraph, Record, Table
from costlab.render.format import Screen
from costlab.render.formats import render
from costlab.render.made import Made
from costlab.views.compare import compare
from costlab.views.labels import names_of
from costlab.views.report import INDEX, WEB_INDEX

_COMPARED = "compared"


@dataclass(frozen=True, repr=False)
class OwnIndex(CostResult):
    """A line for each model, with a link to its page."""

    tables: tuple[CostTable, ...]
    models: tuple[str, ...]
    """What each is called."""
    names: tuple[str, ...]
    """Those of their files, without an ending."""

    def document(self) -> Document:
        return self._document("md")

    def page(self) -> Page:
        return self._document("html")

    def _document(self, ending: str) -> Document:
        quantities = shown("report")
        beside = [Paragraph("Side by side", link=f"{_COMPARED}.{ending}")]
        return (
            Paragraph("What the models cost", "page"),
            *(beside if len(self.tables) > 1 else []),
            Table(
                (
                    Column("model", right=False),
                    Column("input"),
                    *(Column(quantity.heading) for quantity in quantities),
                ),
                tuple(
                    Line(
                        (
                            model,
                            Shapes(table.graph.inputs),
                            *(quantity.cell(table.total) for quantity in quantities),
                        ),
                        link=f"{name}.{ending}",
                    )
                    for table, model, name in zip(self.tables, self.models, self.names, strict=True)
                ),
            ),
            Paragraph(legend()),
        )

    def records(self) -> list[Record]:
        return [
            {"model": model}
            | {quantity.name: quantity.known(table.total) for quantity in shown("report")}
            for table, model in zip(self.tables, self.models, strict=True)
        ]

    def data(self) -> dict[str, Any]:
        return {"models": self.records()}


def own_report(
    models: Sequence[str],
    progress: Callable[[str], None] = lambda step: None,
    made: Callable[[Mapping[str, str]], Made] | None = None,
    **how: Any,
) -> dict[str, str]:
    """The text of each file by its path in their folder; ``how`` is what ``analyze`` takes.

    ``made`` says how a result came to be that took these versions of tools.
    """

    def page(result: CostResult) -> str:
        return render(result, "html", Screen(made=made(result.made_with()) if made else None))

    tables = []
    for number, model in enumerate(models, 1):
        progress(f"{number} of {formatting.plural(len(models), 'model')}: counting {model}")
        with blaming(model if len(models) > 1 else ""):
            tables.append(analyze(model, **how))
    index = OwnIndex(tuple(tables), names_of(tables, models), _names(models))
    files = {INDEX: index.to_markdown(), WEB_INDEX: page(index), "models.csv": index.to_csv()}
    results: dict[str, CostResult] = dict(zip(index.names, tables, strict=True))
    if len(tables) > 1:
        results[_COMPARED] = replace(compare(*tables, trace=False), written=tuple(models))
    for name, result in results.items():
        files[f"{name}.md"] = result.to_markdown()
        files[f"{name}.html"] = page(result)
        files[f"{name}.csv"] = result.to_csv()
    return files


def _names(models: Sequence[str]) -> tuple[str, ...]:
    """A name for the files of each model, which no other one has."""
    taken = {"models", "index", "readme", _COMPARED}
    names = []
    for model in models:
        plain = re.sub(r"\W+", "-", model, flags=re.ASCII).strip("-").lower()[:80] or "model"
        name, number = plain, 1
        while name in taken:
            number += 1
            name = f"{plain}-{number}"
        taken.add(name)
        names.append(name)
    return tuple(names)
