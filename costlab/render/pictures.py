"""Static pictures of results, for papers: bars by stage, icicles, points, waterfalls.

The same result is the same bytes: no day and no random names are in a file, and text is text.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

from costlab import formatting
from costlab.errors import OutputError
from costlab.formatting import printable
from costlab.render.document import Showable
from costlab.render.graph_pictures import COLOURS, SCOPE, graph_figure
from costlab.render.plots import Levels, Roofs, Scatter, Waterfall, front
from costlab.render.tree import Tree, icicle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NETWORKS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
_MOST_BARS = 40
_SETTINGS = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "costlab",
}
_NO_DAY = {
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}

Panel = tuple[float, Callable[["Axes"], None]]
"""How high a part of a picture is, in inches, and what draws it."""


def write_picture(result: Showable, file: BinaryIO, kind: str, graph: bool = False) -> None:
    """The picture of a result, or its graph. Raises ``OutputError`` if it has none."""
    from matplotlib import rc_context

    with rc_context(_SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # a name may have any letter
        figure = graph_figure(result) if graph else _figure(result)
        figure.savefig(file, format=kind, dpi=200, metadata=_NO_DAY[kind])


def _figure(result: Showable) -> Figure:
    panels = [panel for block in result.page() for panel in _panels(block)]
    if not panels:
        raise OutputError(
            "this has no picture: results of show, compare, sweep, reconcile, bounds and memory "
            "have one"
        )
    from matplotlib.figure import Figure

    heights = [height for height, _ in panels]
    figure = Figure(figsize=(7.2, sum(heights)), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for (_, draw), place in zip(panels, axes[:, 0], strict=True):
        draw(place)
    return figure


def _panels(block: Any) -> list[Panel]:
    if isinstance(block, Tree):
        stages = _stages(block)
        bars = len(stages) * (len(block.networks) + 0.5)
        icicles: list[Panel] = [
            (0.5 + 0.22 * (1 + max(block.levels, default=0)), _icicle(block, network))
            for network in range(len(block.networks))
        ]
        return [(0.8 + 0.12 * bars, lambda axes: _bars(axes, block, stages)), *icicles]
    if isinstance(block, Scatter):
        return [(4.0, lambda axes: _points(axes, block))]
    if isinstance(block, Levels):
        return [(3.0, lambda axes: _levels(axes, block))]
    if isinstance(block, Roofs):
        return [(4.0, lambda axes: _roofs(axes, block))]
    if isinstance(block, Waterfall):
        return [(0.8 + 0.25 * len(block.steps), lambda axes: _steps(axes, block))]
    return []


def _stages(tree: Tree) -> list[int]:
    """The outermost scopes and layers that have something of what is drawn, at most the largest."""

    def most(number: int) -> int:
        numbers = tree.lines[number].numbers
        return max(int(counted[tree.chosen].value or 0) for counted in numbers if counted)

    there = [number for number in tree.contents.get(None, []) if most(number)]
    return sorted(sorted(there, key=most, reverse=True)[:_MOST_BARS])


def _bars(axes: Axes, tree: Tree, stages: list[int]) -> None:
    """A bar for each stage and network, side by side."""
    several = len(tree.networks)
    high = 0.8 / several
    for network, name in enumerate(tree.networks):
        values = [
            int(counted[tree.chosen].value or 0) if counted else 0
            for counted in (tree.lines[number].numbers[network] for number in stages)
        ]
        places = [n + (network - (several - 1) / 2) * high for n in range(len(stages))]
        axes.barh(places, list(map(float, values)), high, color=_NETWORKS[network % 7])
        for place, value in zip(places, values, strict=True):
            if value:
                axes.text(float(value), place, f" {formatting.scaled(value)}", va="center", size=6)
        # A label that begins with _ would be left out.
        axes.plot([], [], "s", color=_NETWORKS[network % 7], label=f" {printable(name)}")
    axes.set_yticks(range(len(stages)))
    names = [printable(tree.lines[number].name) for number in stages]
    axes.set_yticklabels(names, parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    _of_amounts(axes, tree.measures[tree.chosen].heading)
    if several > 1:
        for text in axes.legend(frameon=False).get_texts():
            text.set_parse_math(False)
    else:
        axes.set_title(printable(tree.networks[0]), parse_math=False)


def _icicle(tree: Tree, network: int) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        for cell in icicle(tree, network, 0.001):
            line = tree.lines[cell.line]
            colour = COLOURS[tree.families.index(line.family)] if line.family else SCOPE
            colour, name = (
                ("#ffffff", f"{len(cell.more)} more") if cell.more else (colour, line.name)
            )
            axes.barh(
                cell.level, cell.width, 0.94, cell.start, color=colour, ec="white", linewidth=0.4
            )
            letters = int(cell.width * 105)
            if letters >= 3:
                text = printable(name)
                text = text if len(text) <= letters else f"{text[: letters - 1]}…"
                axes.text(
                    cell.start + 0.003, cell.level, text, va="center", size=5.5, parse_math=False
                )
        axes.set_xlim(0, 1)
        axes.invert_yaxis()
        axes.set_axis_off()
        title = f"{tree.measures[tree.chosen].heading} of {printable(tree.networks[network])}"
        axes.set_title(title, parse_math=False, loc="left", size=7)
        there = {line.family for line in tree.lines} - {""}
        for colour, family in zip(COLOURS, tree.families, strict=True):
            if family in there:
                axes.plot([], [], "s", color=colour, label=family)
        axes.legend(frameon=False, ncols=8, loc="upper left", bbox_to_anchor=(0, 0), fontsize=5.5)

    return draw


def _points(axes: Axes, scatter: Scatter) -> None:
    """Points, and a line through those that none dominates; along what was varied, one of all."""
    x, y = scatter.axes[scatter.x], scatter.axes[scatter.y]
    order = sorted(range(len(x.values)), key=lambda n: x.values[n])
    one_each = len(set(x.values)) == len(x.values) and len(scatter.labels) > 1
    if scatter.alone and one_each:
        axes.plot(
            [float(x.values[n]) for n in order],
            [float(y.values[n]) for n in order],
            "o-",
            color=_NETWORKS[0],
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


def _roofs(axes: Axes, plot: Roofs) -> None:
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


def _levels(axes: Axes, levels: Levels) -> None:
    """A stack of bars for each moment, and a mark of the peak."""
    places = range(len(levels.moments))
    below = [0.0] * len(places)
    for number, kind in enumerate(levels.kinds):
        amounts = [float(moment.amounts[number]) for moment in levels.moments]
        colour = _NETWORKS[(0, 1, 6)[number]]
        axes.bar(places, amounts, 1.0, below, color=colour, label=printable(kind))
        below = list(map(float.__add__, below, amounts))
    peak, sums = levels.peak, levels.sums
    label = f"peak {formatting.integer(sums[peak])}: {printable(levels.moments[peak].label)}"
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


def _steps(axes: Axes, waterfall: Waterfall) -> None:
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
    _of_amounts(axes, "")
    if waterfall.low:  # all numbers of its axis would be the same in short
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axes.locator_params(axis="x", nbins=5)


def _of_amounts(axes: Axes, heading: str) -> None:
    axes.set_xlabel(printable(heading), parse_math=False)
    axes.xaxis.set_major_formatter(_amount)
    axes.spines[["top", "right"]].set_visible(False)


def _amount(value: float, _place: int | None = None) -> str:
    whole = int(value)
    return formatting.scaled(whole) if value == whole and whole >= 0 else f"{value:g}"
