"""Bars of counters beside ours, and dots of ratios, as SVG in the rows of a table."""

from __future__ import annotations

from typing import NamedTuple

from costlab.render.verdict_plots import AGREEMENTS, Agreement, Ratios

BAR = 100
"""How wide the place of a bar is, in pixels."""


class DrawnSide(NamedTuple):
    """The parts of a bar, each with its kind, place and width, and what stands beside it."""

    parts: list[tuple[str, float, float]]
    text: str


class DrawnAgreement:
    """A row for each stage, in it a bar for each column."""

    def __init__(self, agreement: Agreement) -> None:
        self.title, self.columns = agreement.title, agreement.columns
        self.legend = [(kind.replace(" ", "-"), *AGREEMENTS[kind]) for kind in agreement.kinds]
        self.rows = []
        for stage in agreement.stages:
            sides = []
            for side, most in zip(stage.sides, agreement.longest, strict=True):
                parts, x = [], 0.0
                for kind, amount in side.parts:
                    width = float(amount / most) * BAR
                    parts.append((kind.replace(" ", "-"), round(x, 1), round(max(width, 1.5), 1)))
                    x += width
                sides.append(DrawnSide(parts, side.text))
            self.rows.append((stage.label, sides))


class DrawnRatios:
    """A row for each line of dots; places are parts of 100."""

    def __init__(self, ratios: Ratios) -> None:
        self.title, self.height = ratios.title, 36 if ratios.lanes else 16
        self.legend = [(verdict.replace(" ", "-"), verdict) for verdict in ratios.kinds]
        self.marks = [(text, round(100 * place, 2)) for text, place in ratios.marks]
        self.rows = [
            (
                row,
                [
                    (
                        dot.verdict.replace(" ", "-"),
                        round(100 * ratios.place(dot.ratio), 2),
                        round((0.5 + ratios.lane(dot)) * self.height, 1),
                        dot.title,
                    )
                    for dot in row.dots
                ],
            )
            for row in ratios.rows
        ]
