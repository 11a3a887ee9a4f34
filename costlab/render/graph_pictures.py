"""The graph of a network as a picture for papers: the blocks and links of a page, by matplotlib."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from costlab.errors import OutputError
from costlab.formatting import printable
from costlab.render.diagram import MOST_BLOCKS, Graphs
from costlab.render.document import Showable
from costlab.render.web.drawn import Box, Drawn, DrawnBlock, DrawnLink, require_layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (
    *("#e69f00", "#d55e00", "#56b4e9", "#0072b2"),
    *("#f0e442", "#009e73", "#cc79a7", "#999999"),
)
"""Those of Okabe and Ito, for families of layers."""

SCOPE = "#e3e3e3"

_TITLE = 28
_POINTS = 0.75
"""Of a pixel, in which the layout counts."""

_DIM = "#595959"


def graph_figure(result: Showable) -> Figure:
    """The graphs of a result's networks, one below the other.

    Raises ``OutputError`` if it has none.
    """
    diagrams = [
        diagram for block in result.page() if isinstance(block, Graphs) for diagram in block.picked
    ]
    if not diagrams:
        raise OutputError(
            "there is no graph to draw: show and compare have one of a network, if it has at most "
            f"{MOST_BLOCKS} blocks"
        )
    require_layout()
    from matplotlib.figure import Figure

    drawn = [Drawn(diagram) for diagram in diagrams]
    width = max(picture.width for picture in drawn)
    height = sum(picture.height + _TITLE for picture in drawn)
    figure = Figure(figsize=(width * _POINTS / 72, height * _POINTS / 72))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_axis_off()
    y = 0
    for diagram, picture in zip(diagrams, drawn, strict=True):
        _draw(axes, picture, (width - picture.width) / 2, y + _TITLE)
        _text(axes, width / 2, y + _TITLE / 2, diagram.title, 14, weight="bold")
        y += picture.height + _TITLE
    return figure


def _draw(axes: Axes, drawn: Drawn, right: float, down: float) -> None:
    for box in drawn.boxes:
        _box(axes, box, right, down)
    for link in drawn.links:
        _link(axes, link, right, down)
    for block in drawn.blocks:
        _block(axes, block, right, down)
    for box in drawn.boxes:  # names stand on what crosses them
        _text(axes, box.x + right + 5, box.y + down + 9, box.name, 10, color=_DIM, ha="left")
    for link in drawn.links:
        _text(axes, link.x + right, link.y + down - 4, link.label, 10, color=_DIM, ha="left")


def _box(axes: Axes, box: Box, right: float, down: float) -> None:
    from matplotlib.patches import Rectangle

    place = (box.x + right, box.y + down)
    axes.add_patch(
        Rectangle(place, box.width, box.height, fill=False, ec=_DIM, lw=0.6, linestyle=(0, (3, 3)))
    )


def _link(axes: Axes, link: DrawnLink, right: float, down: float) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    numbers = [float(text) for text in re.findall(r"-?[\d.]+", link.d)]
    points = [(x + right, y + down) for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
    codes = [Path.MOVETO, *[Path.CURVE4] * (len(points) - 1)]
    axes.add_patch(
        FancyArrowPatch(
            path=Path(points, codes), arrowstyle="-|>", mutation_scale=7, color=_DIM, lw=0.7
        )
    )


def _block(axes: Axes, block: DrawnBlock, right: float, down: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    colour = COLOURS[int(block.colour)] if block.colour.isdigit() else SCOPE
    axes.add_patch(
        FancyBboxPatch(
            (block.x + right, block.y + down),
            block.width,
            block.height,
            boxstyle="round,pad=0,rounding_size=4",
            fc=colour,
            ec="#1a1a1a",
            lw=0.75,
        )
    )
    white = colour == "#0072b2"
    for number, (y, text) in enumerate(block.texts):
        _text(
            axes,
            block.x + right + block.width / 2,
            y + down - 3.5,
            text,
            11,
            weight="normal" if number else "bold",
            color="#ffffff" if white else "#000000",
        )


def _text(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    pixels: int,
    color: str = "#000000",
    weight: str = "normal",
    ha: str = "center",
) -> None:
    axes.text(
        x,
        y,
        printable(text),
        size=pixels * _POINTS,
        color=color,
        weight=weight,
        ha=ha,
        va="center",
        parse_math=False,
        bbox={"fc": "#ffffff", "ec": "none", "pad": 0.4} if color == _DIM else None,
    )
