"""A ledger as a picture: how many times the printed number each computed one is."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import log

from costlab import formatting
from costlab.figures.ledger import Ledger, printed_text, shown
from costlab.figures.source import FIGURE_VERDICTS
from costlab.figures.verdict import Judged
from costlab.render.cells import text_of
from costlab.render.verdict_plots import Dot, Ratio, Ratios

MOST_ROWS = 60
"""More lines are no picture: then only what is not reproduced has one, or each source."""

_HOLDS = ("reproduced", "truncated")


def ratios(ledger: Ledger) -> Ratios:
    """A line for each figure, for each that does not hold, or for each source, as there is room."""
    rows = ledger.rows
    doubtful = [row for row in rows if row.verdict not in _HOLDS]
    several = len(ledger.sources) > 1
    title = "Computed ÷ printed"
    if len(rows) <= MOST_ROWS or 0 < len(doubtful) <= MOST_ROWS:
        drawn = rows if len(rows) <= MOST_ROWS else doubtful
        left = len(rows) - len(drawn)
        more = f", of what is not as printed ({left} more are)" if left else ""
        lines = [
            Ratio(
                f"{row.source.id}/{row.figure.id}" if several else row.figure.id,
                _text(row) if _ratio(row) else f"{_text(row)}: {row.verdict}",
                tuple(_dots([row])),
            )
            for row in drawn
        ]
        return Ratios(title + more, FIGURE_VERDICTS, tuple(lines))
    lines = []
    for cited in ledger.sources:
        here = [row for row in rows if row.source is cited]
        holding = sum(row.verdict in _HOLDS for row in here)
        text = f"{holding} of {len(here)} as printed"
        lines.append(Ratio(cited.id, text, tuple(_dots(here))))
    return Ratios(f"{title}, by source", FIGURE_VERDICTS, tuple(lines), lanes=True)


def _dots(rows: Iterable[Judged]) -> Iterable[Dot]:
    """Numbers with the same verdict that nobody could tell apart are one dot."""
    together: dict[tuple[str, int], list[tuple[float, Judged]]] = {}
    for row in rows:
        ratio = _ratio(row)
        if ratio is not None:
            together.setdefault((row.verdict, round(40 * log(ratio))), []).append((ratio, row))
    for (verdict, _), dots in together.items():
        ratio, row = dots[0]
        title = f"{row.figure.id}: {_text(row)}: {verdict}"
        if len(dots) > 1:
            title = f"{formatting.plural(len(dots), 'figure')}, {verdict}, the first {title}"
        yield Dot(ratio, verdict, len(dots), title)


def _text(row: Judged) -> str:
    return f"{printed_text(row.figure)}, computed {text_of(shown(row, row.computed))}"


def _ratio(row: Judged) -> float | None:
    """None where there is none: of other shapes, of what is 0, and of bounds that hold."""
    if not isinstance(row.computed, Fraction):
        return 1.0 if row.verdict in _HOLDS else None
    bound = row.figure.relation != "equal" and row.verdict in _HOLDS
    if row.difference is None or row.difference <= -1 or bound:
        return None
    return float(row.difference + 1)
