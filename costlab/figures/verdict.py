"""Whether a published figure holds, by computing it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import dropwhile

from costlab.costs.table import CostTable, analyze
from costlab.errors import CostlabError, FigureError
from costlab.figures import quantity
from costlab.figures.source import Because, Figure, FigureVerdict, Source
from costlab.graph.op import Shape
from costlab.models.arguments import parse_size
from costlab.printed import Printed, printed_number, printed_shape


@dataclass(frozen=True)
class Judged:
    """A figure, what costlab computes for it, and the verdict.

    ``computed`` is a number, or a shape as height, width, channels. ``explained`` is what its
    because comes to, where one was needed and holds.
    """

    source: Source
    figure: Figure
    computed: Fraction | Shape
    verdict: FigureVerdict
    difference: Fraction | None = None
    """How far the computed number is from the printed one, as a share of it."""
    explained: Fraction | Shape | None = None
    because: str = ""

    @property
    def as_recorded(self) -> bool:
        """Whether the verdict is the one that the file records."""
        return self.verdict == self.figure.verdict


def judge(source: Source, figure: Figure) -> Judged:
    """Compute a figure and compare it. Raises ``FigureError``, with the line, if it cannot be."""
    try:
        return _judge(source, figure)
    except CostlabError as problem:
        where = f"{source.id}.toml, line {figure.line}, figure {figure.id}"
        raise FigureError(f"{where}: {problem}") from None


def _judge(source: Source, figure: Figure) -> Judged:
    computed = _computed(figure)
    match = _match(figure, computed, figure.kilo)
    difference = None
    if isinstance(computed, Fraction):
        published = _printed(figure).value(figure.kilo)
        difference = (computed - published) / published if published else None
    because = figure.because
    if because is not None and match != "reproduced":
        explained = _computed(figure, because)
        how = _match(figure, explained, because.kilo or figure.kilo)
        # What rounds to the digits explains them better than cutting some off.
        if how == "reproduced" or (how and not match):
            cut = "; digits cut, not rounded" if how == "truncated" else ""
            verdict: FigureVerdict = "another unit" if because.same_network else "another network"
            text = f"{because.why}{cut}"
            return Judged(source, figure, computed, verdict, difference, explained, text)
    return Judged(source, figure, computed, match or "not reproduced", difference)


def _computed(figure: Figure, because: Because | None = None) -> Fraction | Shape:
    """The figure's quantity, or what its because says instead."""
    changed = because or Because("")
    text = changed.quantity or figure.quantity
    table = _table(changed.model or figure.model, changed.input or figure.input)
    if text == "shape":
        return quantity.output_shape(table)
    other = changed.versus or figure.versus
    return quantity.evaluate(text, table, _table(other, "") if other else None)


def _match(figure: Figure, computed: Fraction | Shape, kilo: int) -> FigureVerdict | None:
    if not isinstance(computed, Fraction):
        theirs, ours = (_without_ones(sizes) for sizes in (printed_shape(figure.printed), computed))
        return "reproduced" if theirs == ours else None
    value = _printed(figure)
    if figure.relation != "equal":
        below = computed < value.value(kilo)
        return "reproduced" if below == (figure.relation == "less than") else None
    if value.rounds(computed, kilo):
        return "reproduced"
    return "truncated" if value.truncates(computed, kilo) else None


def _printed(figure: Figure) -> Printed:
    return printed_number(figure.printed, figure.scale, figure.precision, figure.unit)


def _without_ones(shape: Shape) -> Shape:
    """A vector is printed as 1×1×1000 too."""
    return tuple(dropwhile(lambda n: n == 1, shape))


@lru_cache(maxsize=64)
def _table(model: str, input_size: str) -> CostTable:
    return analyze(model, parse_size(input_size) if input_size else None)
