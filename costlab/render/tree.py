"""A tree of scopes and layers with numbers: what a page folds, sorts, searches and draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from costlab.formatting import Scale
from costlab.render.cells import Number


class Measure(NamedTuple):
    """Something that is counted: its name, what stands above its column, and what it is.

    What comes ``first`` is shown large above all.
    """

    name: str
    heading: str
    definition: str
    first: bool = False


@dataclass(frozen=True, slots=True)
class TreeLine:
    """A scope or layer of one network, or what stands side by side in several.

    ``numbers``, ``paths`` and ``derivations`` have an entry for each network; where one does not
    have it they are ``()`` and ``""``. ``parent`` is the number of the line around it, ``family``
    what kind of layer it is, ``""`` for a scope.
    """

    name: str
    parent: int | None
    family: str
    operation: str
    output: str
    paths: tuple[str, ...]
    numbers: tuple[tuple[Number, ...], ...]
    derivations: tuple[str, ...]
    verdict: str = ""


@dataclass(frozen=True)
class Tree:
    """The lines, each scope before its contents, and how they are shown first.

    ``families`` are all kinds of layers that there can be, so that each has its colour on every
    page. ``totals`` have all measures of each network; ``measure`` is drawn and has shares; scopes
    are open down to ``depth``. ``sort`` is a measure.
    """

    title: str
    networks: tuple[str, ...]
    measures: tuple[Measure, ...]
    families: tuple[str, ...]
    lines: tuple[TreeLine, ...]
    totals: tuple[tuple[Number, ...], ...]
    measure: str = "macs"
    columns: tuple[str, ...] = ("params", "macs")
    depth: int = 1
    sort: str = ""
    units: Scale = "exact"

    @property
    def chosen(self) -> int:
        """Which measure is drawn."""
        return [measure.name for measure in self.measures].index(self.measure)

    @cached_property
    def levels(self) -> tuple[int, ...]:
        """How many scopes are around each line."""
        levels: list[int] = []
        for line in self.lines:
            levels.append(0 if line.parent is None else levels[line.parent] + 1)
        return tuple(levels)

    @cached_property
    def contents(self) -> dict[int | None, list[int]]:
        """The numbers of the lines that are directly in each line; under None those in no other."""
        inside: dict[int | None, list[int]] = {}
        for number, line in enumerate(self.lines):
            inside.setdefault(line.parent, []).append(number)
        return inside


class Cell(NamedTuple):
    """A rectangle of an icicle: a line's, with its level, from where, and how wide.

    With ``more`` it is that of several lines, which are these.
    """

    line: int
    level: int
    start: float
    width: float
    more: tuple[int, ...] = ()


def icicle(tree: Tree, network: int, least: float = 0.0) -> list[Cell]:
    """Rectangles as wide as a line's share of the largest network's total, inside of its scope's.

    Those of a scope that are narrower than ``least`` are one rectangle, at its end; where that is
    as narrow, there is none.
    """
    chosen = tree.chosen
    whole = max((numbers[chosen].value or 0 for numbers in tree.totals), default=0)
    cells: list[Cell] = []

    def width(number: int) -> float:
        counted = tree.lines[number].numbers[network]
        return float((counted[chosen].value or 0) / whole) if counted else 0.0

    waiting: list[tuple[Sequence[int], int, float]] = [(tree.contents.get(None, []), 0, 0.0)]
    while waiting and whole:
        numbers, level, start = waiting.pop()
        there = [number for number in numbers if width(number) > 0]
        more = tuple(number for number in there if width(number) < least)
        for number in there:
            if width(number) >= least:
                cells.append(Cell(number, level, start, width(number)))
                waiting.append((tree.contents.get(number, []), level + 1, start))
                start += width(number)
        rest = sum(map(width, more))
        if more and rest >= least:
            cells.append(Cell(more[0], level, start, rest, more))
    return cells
