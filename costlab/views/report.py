"""Reports to commit: an index, a page for each model, a comparison, the ledger.

Pages are Markdown and HTML; every table of a page is also a CSV file beside it. The same costlab,
fvcore and torch write the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Any

from costlab import formatting
from costlab.catalog import architectures
from costlab.catalog.registry import Architecture
from costlab.checks.crosscheck import CrossCheck, crosscheck
from costlab.costs.quantities import legend, shown
from costlab.costs.remarks import summary
from costlab.costs.result import CostResult
from costlab.costs.table import CostTable, costs
from costlab.errors import UnknownNameError
from costlab.figures.ledger import Ledger, ledger
from costlab.render.cells import Cell, Shapes
from costlab.render.document import (
    Column,
    Document,
    Element,
    Line,
    Page,
    Paragraph,
    Record,
    Table,
)
from costlab.views.compare import Comparison
from costlab.views.listing import Listing

INDEX, WEB_INDEX = "README.md", "index.html"
FIGURES = "figures.md"


@dataclass(frozen=True, repr=False)
class VariantTable(CostResult):
    """The networks that go by one name."""

    tables: tuple[CostTable, ...]

    def document(self) -> Document:
        return (
            Paragraph("Variants", "title"),
            self.table(),
        )

    def table(self) -> Table:
        """The table of the document: a line for each network."""
        return Table(
            (Column("model", right=False), Column("input"), *_columns()),
            tuple(Line((table.model, *_cells(table))) for table in self.tables),
        )

    def records(self) -> list[Record]:
        return [{"model": table.model, **_totals(table)} for table in self.tables]

    def data(self) -> dict[str, Any]:
        return {"models": self.records()}


@dataclass(frozen=True, repr=False)
class ModelPage(CostResult):
    """All that is known of one architecture: costs, derivations, cross-check, published figures."""

    architecture: Architecture
    check: CrossCheck
    figures: Ledger

    @property
    def table(self) -> CostTable:
        """The costs, as published."""
        return self.check.table

    @cached_property
    def variants(self) -> VariantTable:
        """The networks that go by the name."""
        entry = self.architecture
        tables = [self.table] + [
            costs(entry.graph(None, **{choice: word}))
            for choice, words in entry.variants.items()
            for word in words
            if word != entry.choices[choice]
        ]
        return VariantTable(tuple(tables))

    def headline(self) -> str:
        figures = len(self.figures.rows)
        printed = f"; {_reproduced(self)} of {figures} published figures are reproduced"
        return f"{self.check.headline()}{printed if figures else ''}"

    def document(self) -> Document:
        blocks: list[Element] = [
            Paragraph(self.architecture.name, "page"),
            Listing(((self.architecture, self.table),), detail=True).table(),
            *summary(self.table.total, self.table.graph),
            Paragraph(legend()),
            Paragraph("All models", link=f"../../{INDEX}"),
        ]
        for title, file, body in self._sections():
            blocks += [Paragraph(title, "title"), Paragraph(f"As a file: {file}", link=file), *body]
        return tuple(blocks)

    def page(self) -> Page:
        first, *others = self.table.page()
        return (
            first,
            Paragraph("All models", link=f"../../{WEB_INDEX}"),
            *others,
            *(
                block
                for title, _, body in self._sections()
                if not title.startswith("By ")  # which the tree is
                for block in (Paragraph(title, "title"), *body)
            ),
        )

    def files(self) -> Iterable[tuple[str, str]]:
        """The page as HTML, and the CSV files beside it: name and text."""
        yield WEB_INDEX, self.to_html()
        yield "layers.csv", self.table.to_csv()
        yield "stages.csv", self.table.to_depth(1).to_csv()
        yield "crosscheck.csv", self.check.to_csv()
        if len(self.variants.tables) > 1:
            yield "variants.csv", self.variants.to_csv()
        if self.figures.rows:
            yield "figures.csv", self.figures.to_csv()

    def records(self) -> list[Record]:
        return self.table.records()

    def data(self) -> dict[str, Any]:
        return self.table.data() | {"checks": self.check.data(), "ledger": self.figures.data()}

    def _sections(self) -> Iterable[tuple[str, str, Iterable[Element]]]:
        if len(self.variants.tables) > 1:
            yield "Variants", "variants.csv", [self.variants.table()]
        yield "By stage", "stages.csv", [self.table.to_depth(1).table()]
        yield "By layer", "layers.csv", [self.table.table()]
        yield "Cross-check", "crosscheck.csv", self.check.body()
        if self.figures.rows:
            all_figures = Paragraph("All published figures", link=f"../../{FIGURES}")
            yield "Published figures", "figures.csv", [all_figures, *self.figures.body()]


@dataclass(frozen=True, repr=False)
class Beside(CostResult):
    """A result as a page beside the index, with links to the index and to its CSV file."""

    result: Comparison | Ledger
    file: str
    body: Document
    """The result's own, with the headings and links of a page."""

    def document(self) -> Document:
        return (
            Paragraph(self.result.title, "page"),
            Paragraph("All models", link=INDEX),
            Paragraph(f"As a file: {self.file}", link=self.file),
            *self.body,
        )

    def records(self) -> list[Record]:
        return self.result.records()

    def data(self) -> dict[str, Any]:
        return self.result.data()


@dataclass(frozen=True, repr=False)
class Index(CostResult):
    """A row for each model, with links to its page."""

    pages: tuple[ModelPage, ...]
    written: Collection[str]
    """The names of those whose pages are there."""

    def document(self) -> Document:
        return self._document(INDEX, "md")

    def page(self) -> Page:
        return self._document(WEB_INDEX, "html")

    def _document(self, index: str, ending: str) -> Document:
        return (
            Paragraph("What the models cost", "page"),
            Paragraph("Written by costlab report."),
            Paragraph("naive and reduced, compared", link=f"naive-vs-reduced.{ending}"),
            Paragraph("Published figures, judged", link=f"figures.{ending}"),
            Paragraph("As a file: models.csv", link="models.csv"),
            Table(
                (
                    Column("model", right=False),
                    Column("input"),
                    *_columns(),
                    Column("fvcore agrees on contractions"),
                    Column("figures reproduced"),
                ),
                tuple(
                    Line(
                        (
                            page.architecture.name,
                            *_cells(page.table),
                            "{} of {}".format(*_agreed(page)),
                            f"{_reproduced(page)} of {len(page.figures.rows)}",
                        ),
                        details=(page.architecture.source,),
                        link=self._page_of(page, index),
                    )
                    for page in self.pages
                ),
                "source",
            ),
            Paragraph(legend()),
        )

    def _page_of(self, page: ModelPage, index: str) -> str:
        return _folder(page) + index if page.architecture.name in self.written else ""

    def records(self) -> list[Record]:
        return [
            {
                "model": page.architecture.name,
                **_totals(page.table),
                "fvcore_agrees": _agreed(page)[0],
                "contractions": _agreed(page)[1],
                "figures": len(page.figures.rows),
                "figures_reproduced": _reproduced(page),
                "source": page.architecture.source,
            }
            for page in self.pages
        ]

    def data(self) -> dict[str, Any]:
        return {"models": self.records()}


@dataclass(frozen=True)
class Reports:
    """All that is known of the catalog: a page for each architecture, and the ledger."""

    pages: tuple[ModelPage, ...]
    judged: Ledger

    def files(self, only: Collection[str] | None = None) -> dict[str, str]:
        """The text of each file by its path in their folder.

        ``only`` are the models that have a page, which all have otherwise.
        """
        names = [page.architecture.name for page in self.pages]
        written = names if only is None else only
        for name in written:
            if name not in names:
                raise UnknownNameError("model", name, names)
        index = Index(self.pages, written)
        versus, judged = self._versus(), self.judged
        figures = judged.body(
            "title", lambda name: f"models/{name}/{INDEX}" if name in written else ""
        )
        files = {
            INDEX: index.to_markdown(),
            WEB_INDEX: index.to_html(),
            "models.csv": index.to_csv(),
            "naive-vs-reduced.md": Beside(
                versus, "naive-vs-reduced.csv", versus.body()
            ).to_markdown(),
            "naive-vs-reduced.csv": versus.to_csv(),
            "naive-vs-reduced.html": versus.to_html(),
            FIGURES: Beside(judged, "figures.csv", figures).to_markdown(),
            "figures.csv": judged.to_csv(),
            "figures.html": judged.to_html(),
        }
        if find_spec("grandalf") is not None:  # an optional package, which draws graphs
            files["naive-vs-reduced.svg"] = _picture(versus)
        for page in self.pages:
            if page.architecture.name in written:
                files[_folder(page) + INDEX] = page.to_markdown()
                files |= {_folder(page) + name: text for name, text in page.files()}
        return files

    def _versus(self) -> Comparison:
        """The naive and the reduced module, and what fvcore says of them."""
        checks = [p.check for p in self.pages if p.architecture.name in ("naive", "reduced")]
        return Comparison(tuple(check.table for check in checks), tuple(map(_by_fvcore, checks)))


def report(progress: Callable[[str], None] = lambda step: None) -> Reports:
    """The reports on the catalog; ``progress`` is called with what is done. Imports torch."""
    judged = ledger(progress=progress)
    pages = []
    entries = list(architectures().values())
    for number, entry in enumerate(entries, 1):
        progress(f"{number} of {len(entries)} models: counting {entry.name} and checking the count")
        pages.append(ModelPage(entry, crosscheck(entry.graph()), judged.about(entry.name)))
    return Reports(tuple(pages), judged)


def _picture(versus: Comparison) -> str:
    """The graphs of compared networks, with their MACs."""
    from costlab.costs.diagram import diagrams
    from costlab.render.web.picture import picture

    return picture(
        [
            (f"{table.model}: {formatting.integer(table.total.macs)} MACs", diagrams(table)[-1])
            for table in versus.tables
        ]
    )


def _columns() -> list[Column]:
    return [
        Column(quantity.heading, priority=quantity.shown["report"]) for quantity in shown("report")
    ]


def _cells(table: CostTable) -> list[Cell]:
    inputs = Shapes(table.graph.inputs)
    return [inputs, *(quantity.cell(table.total) for quantity in shown("report"))]


def _totals(table: CostTable) -> Record:
    totals = {quantity.name: quantity.of(table.total) for quantity in shown("report")}
    return {"input": formatting.shapes(table.graph.inputs), **totals}


def _by_fvcore(check: CrossCheck) -> CrossCheck:
    return CrossCheck(check.table, tuple(check.of("fvcore")), {"fvcore": check.versions["fvcore"]})


def _agreed(page: ModelPage) -> tuple[int, int]:
    """Contractions on which fvcore agrees, and all of them."""
    checks = [check for check in page.check.of("fvcore") if check.ours]
    return sum(check.verdict == "agrees" for check in checks), len(checks)


def _reproduced(page: ModelPage) -> int:
    return sum(row.verdict == "reproduced" for row in page.figures.rows)


def _folder(page: ModelPage) -> str:
    return f"models/{page.architecture.name}/"
