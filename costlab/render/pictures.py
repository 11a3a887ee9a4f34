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
from costlab.render.plot_pictures import (
    NETWORKS,
    draw_levels,
    draw_points,
    draw_roofs,
    draw_steps,
    of_amounts,
)
from costlab.render.plots import Levels, Roofs, Scatter, Waterfall
from costlab.render.tree import Tree, icicle
from costlab.render.verdict_pictures import draw_agreement, draw_ratios
from costlab.render.verdict_plots import Agreement, Ratios

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_BARS = 40
_SETTINGS: Any = {  # matplotlib has a type of its own for their names
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
            "this has no picture: results of show, compare, sweep, crosscheck, reconcile, figures, "
            "bounds and memory have one"
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
        return [(4.0, lambda axes: draw_points(axes, block))]
    if isinstance(block, Levels):
        return [(3.0, lambda axes: draw_levels(axes, block))]
    if isinstance(block, Roofs):
        return [(4.0, lambda axes: draw_roofs(axes, block))]
    if isinstance(block, Waterfall):
        return [(0.8 + 0.25 * len(block.steps), lambda axes: draw_steps(axes, block))]
    if isinstance(block, Agreement):
        rows = len(block.stages)
        return [(0.9 + 0.27 * rows, lambda axes: draw_agreement(axes, block))]
    if isinstance(block, Ratios):
        rows = len(block.rows) * (2 if block.lanes else 1)
        return [(0.9 + 0.17 * rows, lambda axes: draw_ratios(axes, block))]
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
        axes.barh(places, list(map(float, values)), high, color=NETWORKS[network % 7])
        for place, value in zip(places, values, strict=True):
            if value:
                axes.text(float(value), place, f" {formatting.scaled(value)}", va="center", size=6)
        # A label that begins with _ would be left out.
        axes.plot([], [], "s", color=NETWORKS[network % 7], label=f" {printable(name)}")
    axes.set_yticks(range(len(stages)))
    names = [printable(tree.lines[number].name) for number in stages]
    axes.set_yticklabels(names, parse_math=False)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    of_amounts(axes, tree.measures[tree.chosen].heading)
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
