"""Published figures beside computed ones: which of them hold, and what the others are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import Any

from costlab import formatting
from costlab.costs.quantities import legend
from costlab.costs.result import RowResult
from costlab.errors import UnknownNameError
from costlab.figures.source import FIGURE_VERDICTS, Figure, Source, source, source_names
from costlab.figures.verdict import Judged, judge
from costlab.graph.op import Shape
from costlab.render.cells import Number, Shapes, text_of
from costlab.render.document import (
    Column,
    Document,
    Element,
    Line,
    Page,
    Paragraph,
    Record,
    Style,
    Table,
)

MEANING = {
    "reproduced": "equal, rounded to the printed digits",
    "truncated": "equal, if the digits are cut and not rounded",
    "another unit": "the same network, counted otherwise, as said",
    "another network": "another network has that number, as said",
    "not reproduced": "no explanation found",
}


@dataclass(frozen=True, repr=False)
class Ledger(RowResult):
    """Figures with their verdicts, by source."""

    rows: tuple[Judged, ...]

    @property
    def as_recorded(self) -> bool:
        """Whether every verdict is the recorded one."""
        return all(row.as_recorded for row in self.rows)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources, in order."""
        return tuple({row.source.id: row.source for row in self.rows}.values())

    def about(self, architecture: str) -> Ledger:
        """The figures about one architecture, whatever its choices and parts."""
        return Ledger(tuple(row for row in self.rows if _architecture(row) == architecture))

    @property
    def title(self) -> str:
        """The heading above all of it."""
        return "Published figures"

    def headline(self) -> str:
        return next(iter(self._summary())).text

    def document(self) -> Document:
        return (Paragraph(self.title, "title"), *self.body())

    def page(self) -> Page:
        """The document, with a picture of all of it on top."""
        from costlab.figures.ratios import ratios  # where a page is written

        summary = [*self._summary()]
        others = (block for block in self.body() if block not in summary)
        return (Paragraph(self.title, "title"), summary[1], ratios(self), *others)

    def body(
        self, heading: Style = "section", page: Callable[[str], str] = lambda _: ""
    ) -> Document:
        """All but the title: sources have headings of that style.

        ``page`` gives the address of an architecture's page, which rows link to.
        """
        blocks: list[Element] = []
        for cited in self.sources:
            blocks += [
                Paragraph(cited.name, heading),
                Paragraph(cited.url, link=cited.url),
                *([Paragraph(cited.version)] if cited.version else []),
                self._table([row for row in self.rows if row.source is cited], page),
            ]
        blocks += [Paragraph(text, "bad") for text in self._changes()]
        return (
            *blocks,
            *self._summary(),
            Paragraph(legend(["macs", "params"]), "dim"),
        )

    def records(self) -> list[Record]:
        return [
            {
                "source": row.source.id,
                "id": row.figure.id,
                "at": row.figure.at,
                "says": row.figure.says,
                "printed": row.figure.printed,
                "scale": row.figure.scale,
                "unit": row.figure.unit,
                "quantity": row.figure.quantity,
                "model": row.figure.model,
                "versus": row.figure.versus,
                "input": row.figure.input,
                "computed": _exact(row.computed),
                "verdict": row.verdict,
                "recorded": row.figure.verdict,
                "difference": None if row.difference is None else round(float(row.difference), 6),
                "because": row.because,
                "explained": None if row.explained is None else _exact(row.explained),
                "note": row.figure.note,
            }
            for row in self.rows
        ]

    def data(self) -> dict[str, Any]:
        return {
            "figures": [
                {key: value for key, value in record.items() if key != "difference"}
                for record in self.records()
            ],
            "sources": [
                {"id": source.id, "name": source.name, "url": source.url, "version": source.version}
                for source in self.sources
            ],
            "as_recorded": self.as_recorded,
        }

    def _table(self, rows: list[Judged], page: Callable[[str], str]) -> Table:
        return Table(
            (
                Column("figure", right=False),
                Column("printed"),
                Column("computed"),
                Column("verdict", right=False),
            ),
            tuple(
                Line(
                    (
                        row.figure.id,
                        printed_text(row.figure),
                        shown(row, row.computed),
                        row.verdict,
                    ),
                    path=row.figure.id,
                    details=_details(row),
                    style="" if row.as_recorded else "bad",
                    link=page(_architecture(row)),
                )
                for row in rows
            ),
            "what it is",
        )

    def _changes(self) -> Iterable[str]:
        for row in self.rows:
            if not row.as_recorded:
                yield (
                    f"{row.source.id}/{row.figure.id}: the verdict is {row.verdict!r}, "
                    f"recorded is {row.figure.verdict!r} (line {row.figure.line})."
                )

    def _summary(self) -> Iterable[Paragraph]:
        counts = Counter(row.verdict for row in self.rows)
        total = formatting.plural(len(self.rows), "figure")
        by_verdict = ", ".join(f"{counts[word]} {word}" for word in FIGURE_VERDICTS if counts[word])
        many = formatting.plural(len(self.sources), "source")
        yield Paragraph(f"{total} from {many}: {by_verdict}.")
        yield Paragraph("; ".join(f"{word}: {MEANING[word]}" for word in FIGURE_VERDICTS) + ".")


def ledger(
    sources: str | Iterable[str] = (), progress: Callable[[str], None] = lambda step: None
) -> Ledger:
    """Compute and judge published figures.

    ``sources`` are names of sources (``"googlenet"``), figures of one (``"googlenet/table1-*"``) or
    TOML files of one's own; by default all that costlab comes with. ``progress`` is called with
    what is being done.

    Raises ``UnknownNameError`` for an unknown source or figure, ``FigureError`` for a figure that
    cannot be read or computed, with its line.
    """
    rows: list[Judged] = []
    sources = [sources] if isinstance(sources, str) else sources
    for name_or_file in dict.fromkeys(sources) or source_names():
        name, _, pattern = (
            (name_or_file, "", "")
            if name_or_file.endswith(".toml")
            else name_or_file.partition("/")
        )
        chosen = source(name)
        progress(f"computing the figures of {name}")
        figures = [figure for figure in chosen.figures if fnmatchcase(figure.id, pattern or "*")]
        if not figures:
            hint = f"costlab figures {name} has them all"
            raise UnknownNameError(f"figure of {name}", pattern, chosen.ids, hint)
        rows += [judge(chosen, figure) for figure in figures]
    return Ledger(tuple(dict.fromkeys(rows)))


def shown(row: Judged, value: Fraction | Shape) -> Number | Shapes:
    """As the figure is printed: a number, a percentage, or a shape."""
    if not isinstance(value, Fraction):
        return Shapes((value,))
    return Number(value, "%" if "%" in row.figure.printed else row.figure.unit)


def _exact(value: Fraction | Shape) -> int | float | str:
    if not isinstance(value, Fraction):
        return formatting.shape(value)
    return int(value) if value.denominator == 1 else round(float(value), 6)


def printed_text(figure: Figure) -> str:
    """What is printed, with its scale: ``2.7 million``."""
    return f"{figure.printed} {figure.scale}".rstrip()


def _details(row: Judged) -> tuple[str, ...]:
    """Where it stands and what was computed; how far off that is, and why."""
    figure = row.figure
    quoted = f' ("{figure.says}")' if figure.says else ""
    model = figure.model + (f" on {figure.input}" if figure.input else "")
    versus = f", versus is {figure.versus}" if figure.versus else ""
    lines = [f"{figure.at} ({figure.unit}){quoted}: {figure.quantity} of {model}{versus}"]
    if row.difference and row.verdict not in ("reproduced", "truncated"):
        more = "more" if row.difference > 0 else "less"
        lines.append(f"computed is {formatting.share(abs(row.difference))} {more} than printed")
    if row.explained is not None:
        lines.append(f"because: {row.because}: {text_of(shown(row, row.explained))}")
    if figure.note:
        lines.append(f"note: {figure.note}")
    return tuple(lines)


def _architecture(row: Judged) -> str:
    return row.figure.model.partition("(")[0].partition("/")[0]
