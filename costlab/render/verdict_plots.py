"""Our numbers beside those of counters, and beside printed ones, with a verdict on each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import asinh, log
from typing import NamedTuple

OURS = "ours"
AGREEMENTS = {
    OURS: ("", "costlab"),
    "agrees": ("✓", "agrees"),
    "known fault": ("!", "differs by a fault that is known of it"),
    "another rule": ("*", "counted by another rule, which is known of it"),
    "differs": ("≠", "differs"),
    "not covered": ("–", "not counted by it: as much as we count"),
}
"""Parts of bars: the sign that stands behind one, and what it means."""


class Side(NamedTuple):
    """What one of several has of a stage: amounts by the kinds of parts, and it all in words."""

    parts: tuple[tuple[str, int], ...] = ()
    text: str = ""

    @property
    def whole(self) -> int:
        """How long its bar is."""
        return sum(amount for _, amount in self.parts)


class Stage(NamedTuple):
    """A part of a network, with a side in each column; one without a bar sums up the others."""

    label: str
    sides: tuple[Side, ...]


@dataclass(frozen=True)
class Agreement:
    """What counters have of each stage, beside what we have.

    ``columns`` have who counted and what; those of one quantity have one scale.
    """

    title: str
    columns: tuple[tuple[str, str], ...]
    stages: tuple[Stage, ...]

    @cached_property
    def longest(self) -> tuple[int, ...]:
        """Of each column the amount that fills it."""
        most = [max([stage.sides[n].whole for stage in self.stages] or [0]) for n in self.numbers]
        quantities = [quantity for _, quantity in self.columns]
        return tuple(
            max([most[n] for n in self.numbers if quantities[n] == quantity] + [1])
            for quantity in quantities
        )

    @property
    def numbers(self) -> range:
        """Those of the columns."""
        return range(len(self.columns))

    @property
    def kinds(self) -> list[str]:
        """The kinds of parts that there are."""
        there = {kind for s in self.stages for side in s.sides for kind, _ in side.parts}
        return [kind for kind in AGREEMENTS if kind in there]


_NEAR = 0.005
_MARKS = (
    {f"÷{number:,}": 1 / number for number in (1000, 100, 10, 2)}
    | {"−10 %": 0.9, "−1 %": 0.99, "as printed": 1.0, "+1 %": 1.01, "+10 %": 1.1}
    | {f"×{number:,}": float(number) for number in (2, 10, 100, 1000)}
)


class Dot(NamedTuple):
    """One or more numbers of ours, by how many times the printed ones they are, and a verdict."""

    ratio: float
    verdict: str
    number: int
    title: str


class Ratio(NamedTuple):
    """A line of dots, and what is written beside it."""

    label: str
    text: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True)
class Ratios:
    """Numbers of ours beside printed ones, by their ratios; ``verdicts`` are in their order.

    Where a row has many dots, those of each verdict have a ``lane`` of their own.
    """

    title: str
    verdicts: tuple[str, ...]
    rows: tuple[Ratio, ...]
    lanes: bool = False

    @cached_property
    def ends(self) -> tuple[float, float]:
        """The least and the largest ratio on the axis: 1 and 2 per cent beside it at least."""
        ratios = [dot.ratio for row in self.rows for dot in row.dots]
        return min([*ratios, 0.98]), max([*ratios, 1.02])

    def place(self, ratio: float) -> float:
        """Where it is between the ends, from 0 to 1: by powers, but near 1 by differences.

        So what is 1 per cent off can be told apart from what is as printed.
        """
        low, high, here = (asinh(log(number) / _NEAR) for number in (*self.ends, ratio))
        return 0.02 + 0.96 * (here - low) / (high - low)

    def lane(self, dot: Dot) -> float:
        """How far below the middle of its row it is, as a part of the row's height."""
        if not self.lanes:
            return 0.0
        lanes = len(self.verdicts)
        return 0.8 * ((self.verdicts.index(dot.verdict) + 0.5) / lanes - 0.5)

    @property
    def marks(self) -> list[tuple[str, float]]:
        """What stands at the axis, and where: ``÷2``, ``−10 %``, ``as printed``."""
        low, high = self.ends
        marks = [(text, ratio) for text, ratio in _MARKS.items() if low <= ratio <= high]
        return [(text, self.place(ratio)) for text, ratio in marks]

    @property
    def kinds(self) -> list[str]:
        """The verdicts that have a dot."""
        there = {dot.verdict for row in self.rows for dot in row.dots}
        return [verdict for verdict in self.verdicts if verdict in there]
