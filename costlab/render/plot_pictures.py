"""Points, rooflines, levels and steps as parts of a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlab import formatting
from costlab.formatting import printable
from costlab.render.graph_pictures import COLOURS
from costlab.render.plots import Levels, Roofs, Scatter, Waterfall, front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NETWORKS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
"""Colours of networks side by side."""


def draw_points(axes: Axes, scatter: Scatter) -> None:
    """Points, and a line through those that none dominates; along what was varied, one of all."""
    x, y = scatter.axes[scatter.x], scatter.axes[scatter.y]
    order = sorted(range(len(x.values)), key=lambda n: x.values[n])
    one_each = len(set(x.values)) == len(x.values) and len(scatter.labels) > 1
    if scatter.alone and one_each:
        axes.plot(
            [float(x.values[n]) for n in order],
            [float(y.values[n]) for n in order],
            "o-",
            color=NETWORKS[0],
            markersize=3,
        )
    else:
        axes.scatter(list(map(float, x.values)), list(map(float, y.values)), 8, color=COLOURS[2])
        best = front(x, y)
        axes.plot(
            [float(x.values[n]) for n in best],
            [float(y.values[n]) for n in best],
            "o-",
            color=COLOURS[1],
            markersize=4,
            label=f"none is better by {x.better} and {y.better}",
        )
        axes.legend(frameon=False)
        if scatter.left:
            title = f"of {formatting.integer(scatter.left)} more variants none is on the line"
            axes.set_title(title)
    for axis, heading in ((axes.xaxis, x.heading), (axes.yaxis, y.heading)):
        axis.set_label_text(printable(heading), parse_math=False)
        axis.set_major_formatter(_amount)


def draw_roofs(axes: Axes, plot: Roofs) -> None:
    """The slope of the memory up to each roof, and points on and below them, by their powers."""
    begin, end = plot.ends
    highest = max(roof.rate for roof in plot.roofs)
    ridge = highest / plot.slope
    axes.plot([begin, ridge], [begin * plot.slope, highest], color=COLOURS[3], linewidth=1)
    for roof in plot.roofs:
        axes.plot([roof.rate / plot.slope, end], [roof.rate] * 2, color=COLOURS[1], linewidth=1)
        axes.text(end, roof.rate, printable(roof.label), ha="right", va="bottom", size=6)
    for point in plot.points:
        axes.plot(point.intensity, point.rate, "o", color=COLOURS[2], markersize=3)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_title(printable(plot.title), parse_math=False)
    axes.set_xlabel("MACs for each byte")
    axes.set_ylabel("MACs a second at most")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_amount)


def draw_levels(axes: Axes, levels: Levels) -> None:
    """A stack of bars for each moment, and a mark of the peak."""
    places = range(len(levels.moments))
    below = [0.0] * len(places)
    for number, kind in enumerate(levels.kinds):
        amounts = [float(moment.amounts[number]) for moment in levels.moments]
        colour = NETWORKS[(0, 1, 6)[number]]
        axes.bar(places, amounts, 1.0, below, color=colour, label=printable(kind))
        below = list(map(float.__add__, below, amounts))
    peak, sums = levels.peak, levels.sums
    label = printable(levels.peak_text)
    side = "left" if peak < len(sums) / 3 else "right" if peak > len(sums) * 2 / 3 else "center"
    text = axes.text(peak, float(sums[peak]), label, ha=side, va="bottom", size=6)
    text.set_parse_math(False)
    axes.margins(x=0, y=0.1)
    axes.set_xticks([])
    if len(levels.kinds) > 1:
        axes.legend(frameon=False)
    axes.set_title(printable(levels.title), parse_math=False)
    axes.set_ylabel(printable(levels.heading))
    axes.yaxis.set_major_formatter(_amount)
    axes.spines[["top", "right"]].set_visible(False)


def draw_steps(axes: Axes, waterfall: Waterfall) -> None:
    """A bar for each step, one below the other."""
    last = len(waterfall.steps) - 1
    for number, step in enumerate(waterfall.steps):
        total = number in (0, last)
        colour = COLOURS[7] if total else COLOURS[1] if step.end >= step.begin else COLOURS[3]
        begin = max(step.begin, waterfall.low)
        axes.barh(number, float(step.end - begin), 0.7, float(begin), color=colour)
        text = formatting.integer(step.end) if total else formatting.difference(*step[1:])
        axes.text(float(max(begin, step.end)), number, f" {text}", va="center", size=6)
    axes.set_yticks(range(last + 1))
    axes.set_yticklabels([printable(step.label) for step in waterfall.steps], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(left=float(waterfall.low))
    axes.margins(x=0.25)
    axes.set_title(printable(waterfall.title), parse_math=False)
    of_amounts(axes, "")
    if waterfall.low:  # all numbers of its axis would be the same in short
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.locator_params(axis="x", nbins=5)


def of_amounts(axes: Axes, heading: str) -> None:
    """Gives an axis numbers of what it is of: ``360 M``."""
    axes.set_xlabel(printable(heading), parse_math=False)
    axes.xaxis.set_major_formatter(_amount)
    axes.spines[["top", "right"]].set_visible(False)


def _amount(value: float, _place: float | None = None) -> str:
    whole = int(value)
    return formatting.scaled(whole) if value == whole and whole >= 0 else f"{value:g}"
