"""Bars of counters beside ours, and dots of ratios, as parts of a static picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from costlab.formatting import printable
from costlab.render.verdict_plots import AGREEMENTS, Agreement, Ratios

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PARTS: dict[str, dict[str, Any]] = {
    "ours": {"fc": "#999999"},
    "agrees": {"fc": "#56b4e9"},
    "known fault": {"fc": "#d55e00", "hatch": "oooo"},
    "another rule": {"fc": "#e69f00"},
    "differs": {"fc": "#d55e00", "hatch": "/////"},
    "not covered": {"fc": "none", "linestyle": (0, (3, 2))},
}
_DOTS: dict[str, dict[str, Any]] = {
    "reproduced": {"marker": "o", "color": "#56b4e9", "mec": "#1a1a1a"},
    "truncated": {"marker": "o", "color": "#ffffff", "mec": "#1a1a1a", "mew": 1.0},
    "another unit": {"marker": "^", "color": "#f0e442", "mec": "#1a1a1a"},
    "another network": {"marker": "s", "color": "#e69f00", "mec": "#1a1a1a"},
    "not reproduced": {"marker": "x", "color": "#a3330a", "mew": 1.2},
}
"""A shape for each verdict, so that no colour is needed to tell them apart."""

_FULL = 0.8
"""How much of a column its longest bar takes."""


def draw_agreement(axes: Axes, agreement: Agreement) -> None:
    """A row for each stage, in it a bar for each column."""
    for number, (who, what) in enumerate(agreement.columns):
        axes.text(number, -0.65, f"{who}\n{what}", size=7, va="bottom", parse_math=False)
    for row, stage in enumerate(agreement.stages):
        for number, (side, most) in enumerate(zip(stage.sides, agreement.longest, strict=True)):
            x = float(number)
            for kind, amount in side.parts:
                width = _FULL * amount / most
                axes.barh(row + 0.2, width, 0.32, x, ec="#1a1a1a", lw=0.4, **_PARTS[kind])
                x += width
            axes.text(number, row - 0.05, side.text, size=6, va="bottom")
    for kind in agreement.kinds:
        axes.barh(-9, 0, label=" ".join(AGREEMENTS[kind]).strip(), ec="#1a1a1a", **_PARTS[kind])
    axes.set_xlim(-0.03, len(agreement.columns))
    axes.set_ylim(len(agreement.stages) - 0.4, -0.6)
    axes.set_yticks(range(len(agreement.stages)))
    labels = [printable(stage.label) for stage in agreement.stages]
    axes.set_yticklabels(labels, parse_math=False)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(printable(agreement.title), parse_math=False, pad=22)
    axes.legend(frameon=False, ncols=3, loc="upper left", bbox_to_anchor=(0, 0), fontsize=6)


def draw_ratios(axes: Axes, ratios: Ratios) -> None:
    """A row for each line of dots; what is written of it stands at its other end."""
    for row, line in enumerate(ratios.rows):
        axes.axhline(row + 0.5, color="#e3e3e3", lw=0.5)
        axes.text(1.01, row, printable(line.text), size=6, va="center", parse_math=False)
        for dot in line.dots:
            x, y = ratios.place(dot.ratio), row + ratios.lane(dot)
            axes.plot(x, y, linestyle="none", markersize=4, **({"mew": 0.5} | _DOTS[dot.verdict]))
    for kind in ratios.kinds:
        axes.plot(
            [], [], linestyle="none", markersize=4, label=kind, **({"mew": 0.5} | _DOTS[kind])
        )
    for text, place in ratios.marks:
        middle = text == "as printed"
        axes.axvline(place, color="#1a1a1a" if middle else "#d4d4d4", lw=0.7, zorder=0)
    axes.set_xlim(0, 1)
    axes.set_ylim(len(ratios.rows) - 0.5, -0.5)
    axes.set_xticks([place for _, place in ratios.marks], [text for text, _ in ratios.marks])
    axes.set_yticks(range(len(ratios.rows)))
    axes.set_yticklabels([printable(line.label) for line in ratios.rows], parse_math=False)
    axes.tick_params(length=0, labelsize=6, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    axes.set_title(printable(ratios.title), parse_math=False)
    axes.legend(frameon=False, ncols=5, loc="upper left", bbox_to_anchor=(0, 0), fontsize=6)
