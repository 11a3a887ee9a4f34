"""Points and steps as SVG."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import NamedTuple

from costlab import formatting
from costlab.render.plots import Levels, Roofs, Scatter, Spans, Waterfall, evenly, front

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 720, 420, 90, 40, 44
"""Of a picture of points, and of the space for numbers beside, above and below it."""

BAR = 1000
"""How wide the place of a waterfall's bars is, in units of its own."""

MOST_POINTS = 2000


class Point(NamedTuple):
    """A point of a picture, what it says, and whether no other one dominates it."""

    x: float
    y: float
    title: str
    best: bool


class DrawnScatter:
    """Points, with marks of the axes and the line of the Pareto front."""

    def __init__(self, scatter: Scatter) -> None:
        self.scatter = scatter
        self.x, self.y = scatter.axes[scatter.x], scatter.axes[scatter.y]
        best = set(front(self.x, self.y))
        shown = sorted({*evenly(len(scatter.labels), MOST_POINTS), *best})
        self.left = scatter.left + len(scatter.labels) - len(shown)
        self.points = [
            Point(
                _place(self.x.values, n, LEFT, WIDTH - 20),
                _place(self.y.values, n, HEIGHT - BOTTOM, TOP),
                f"{scatter.labels[n]}: {_text(self.x.values[n])} {self.x.heading}, "
                f"{_text(self.y.values[n])} {self.y.heading}",
                n in best,
            )
            for n in shown
        ]
        places = sorted((point.x, point.y) for point in self.points if point.best)
        self.line = " ".join(f"{x},{y}" for x, y in places)

    @property
    def marks(self) -> list[tuple[str, str, str, str]]:
        """The least and the most on each axis."""
        return [
            (_text(min(self.x.values)), _text(max(self.x.values)), self.x.heading, "x"),
            (_text(min(self.y.values)), _text(max(self.y.values)), self.y.heading, "y"),
        ]


def _place(values: tuple[int | float, ...], n: int, begin: int, end: int) -> float:
    low, high = min(values), max(values)
    part = float((values[n] - low) / (high - low)) if high > low else 0.5
    return round(begin + part * (end - begin), 1)


def _text(value: int | float) -> str:
    return formatting.scaled(value) if isinstance(value, int) and value >= 0 else f"{value:g}"


class DrawnRoofs:
    """A roofline in a picture of 720 by 360, by powers: its lines, its points, powers of ten."""

    def __init__(self, plot: Roofs) -> None:
        self.title = plot.title
        begin, end = plot.ends
        highest = max(roof.rate for roof in plot.roofs)
        lowest = min([point.rate for point in plot.points] + [begin * plot.slope])

        def at(intensity: float, rate: float) -> tuple[float, float]:
            x = log10(intensity / begin) / log10(end / begin)
            y = log10(2 * highest / rate) / log10(2 * highest / lowest)
            return round(720 * x, 1), round(360 * y, 1)

        self.slope = (*at(begin, begin * plot.slope), *at(highest / plot.slope, highest))
        self.roofs = [(roof.label, *at(roof.rate / plot.slope, roof.rate)) for roof in plot.roofs]
        self.points = [(point.label, *at(point.intensity, point.rate)) for point in plot.points]
        self.columns = [(_power(n), at(10**n, highest)[0]) for n in _powers(begin, end)]
        self.rows = [(_power(n), at(begin, 10**n)[1]) for n in _powers(lowest, 2 * highest)]


def _powers(low: float, high: float) -> range:
    """The powers of ten between two numbers."""
    return range(ceil(log10(low)), floor(log10(high)) + 1)


def _power(n: int) -> str:
    return (
        formatting.scaled(10**n).replace(".00", "").replace(".0", "") if n > 0 else f"{10.0**n:g}"
    )


class DrawnSpans:
    """A bar for each interval with a mark of its middle, and a bar of the least below it."""

    def __init__(self, spans: Spans) -> None:
        self.title = spans.title
        scale = BAR / (max(max(span.high, span.least) for span in spans.spans) or 1)
        self.rows = [
            (
                span,
                *(round(number * scale, 1) for number in (span.low, span.middle, span.least)),
                round(max((span.high - span.low) * scale, 2), 1),
            )
            for span in spans.spans
        ]


class DrawnStep(NamedTuple):
    """A bar, what it stands for, and how much it is."""

    label: str
    number: str
    x: float
    width: float
    kind: str


class DrawnWaterfall:
    """A bar for each step, one below the other."""

    def __init__(self, waterfall: Waterfall) -> None:
        self.title, self.low = waterfall.title, waterfall.low
        steps, low = waterfall.steps, waterfall.low
        high = max(max(step.begin, step.end) for step in steps)
        scale = BAR / float(max(high - low, 1))
        self.steps = []
        for number, (label, begin, end) in enumerate(steps):
            total = number in (0, len(steps) - 1)
            left, right = (max(min(begin, end), low) - low, max(begin, end) - low)
            text = formatting.integer(end) if total else formatting.difference(begin, end)
            self.steps.append(
                DrawnStep(
                    label,
                    text,
                    round(left * scale, 1),
                    round(max((right - left) * scale, 2.0), 1),
                    "total" if total else "more" if end >= begin else "less",
                )
            )

    @property
    def begins(self) -> str:
        """Where the axis begins, if that is not 0."""
        return formatting.integer(self.low) if self.low else ""


class DrawnLevel(NamedTuple):
    """The bar of a moment: what it says, and of each kind its place from above and its height."""

    title: str
    x: float
    width: float
    parts: list[tuple[float, float]]


class DrawnLevels:
    """A stack of bars for each moment, in a picture of 720 by 240, with a mark of the peak."""

    colours = "#0072b2", "#e69f00", "#999999"

    def __init__(self, levels: Levels) -> None:
        self.levels = levels
        sums, peak = levels.sums, levels.peak
        most, width = max(sums[peak], 1), 720 / len(sums)
        self.bars = []
        for number, (moment, whole) in enumerate(zip(levels.moments, sums, strict=True)):
            parts, below = [], 0
            for amount in moment.amounts:
                below += amount
                parts.append((round(240 - 240 * below / most, 1), round(240 * amount / most, 1)))
            title = f"{moment.label}: {formatting.integer(whole)}"
            if len(levels.kinds) > 1:
                of_kinds = zip(levels.kinds, moment.amounts, strict=True)
                amounts = (f"{kind} {formatting.integer(amount)}" for kind, amount in of_kinds)
                title = f"{title} ({', '.join(amounts)})"
            self.bars.append(DrawnLevel(title, round(number * width, 2), round(width, 2), parts))
        self.peak_x = round((peak + 0.5) * width, 1)
        self.peak_text = levels.peak_text
