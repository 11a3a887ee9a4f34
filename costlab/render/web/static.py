"""What a page shows of a tree before, and without, its script."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from costlab import formatting
from costlab.render.cells import Number, text_of
from costlab.render.tree import Cell, Tree, TreeLine, icicle

MOST_LINES = 600
"""A browser lays out so many at once; the script shows any number, a screen at a time."""

WIDTH, HEIGHT = 1000, 26
"""Of an icicle, and of one of its levels, in units of its own."""

_NARROWEST = 0.004
_LETTER = 7.5


class StaticLine(NamedTuple):
    """A line as the template takes it: its level and cells."""

    line: TreeLine
    level: int
    cells: list[tuple[str, str]]
    """What is counted, and the share as a part of 100 where the cell has a bar."""


class StaticCell(NamedTuple):
    """A rectangle of an icicle, in units of the picture."""

    x: str
    y: int
    width: str
    colour: str
    label: str
    title: str


class StaticTree:
    """A tree's table and pictures."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    @cached_property
    def lines(self) -> list[StaticLine]:
        """As many levels as a page can have, or the first lines of the first one."""
        levels = self.tree.levels
        deepest = max(levels, default=0)
        while deepest and sum(level <= deepest for level in levels) > MOST_LINES:
            deepest -= 1
        kept = [number for number, level in enumerate(levels) if level <= deepest][:MOST_LINES]
        return [StaticLine(self.tree.lines[n], levels[n], self._cells(n)) for n in kept]

    @property
    def left(self) -> int:
        """How many lines are not among them."""
        return len(self.tree.lines) - len(self.lines)

    @cached_property
    def columns(self) -> list[int]:
        """The measures that have a column."""
        return [n for n, known in enumerate(self.tree.measures) if known.name in self.tree.columns]

    @property
    def heads(self) -> list[str]:
        """Those of the columns with numbers."""
        several = len(self.tree.networks) > 1
        heads = []
        for network in self.tree.networks:
            names = [self.tree.measures[n].heading for n in self.columns]
            heads += [f"{name}, {network}" if several else name for name in names]
            heads.append(f"share, {network}" if several else "share")
        return heads

    @property
    def total(self) -> list[tuple[str, str]]:
        """The cells of the last line."""
        return [cell for numbers in self.tree.totals for cell in self._of(numbers, numbers)]

    @property
    def totals(self) -> list[tuple[str, str, list[str], bool]]:
        """Each measure: heading, what it is, the networks' numbers, and whether it comes first."""
        return [
            (
                known.heading,
                known.definition,
                [text_of(numbers[n]) for numbers in self.tree.totals],
                known.first,
            )
            for n, known in enumerate(self.tree.measures)
        ]

    @property
    def legend(self) -> list[tuple[int, str]]:
        """The kinds of layers that there are, each with the number of its colour."""
        there = {line.family for line in self.tree.lines}
        return [(n, name) for n, name in enumerate(self.tree.families) if name in there]

    def pictures(self) -> list[tuple[str, int, list[StaticCell]]]:
        """An icicle of each network: its name, its height, its rectangles."""
        pictures = []
        for number, name in enumerate(self.tree.networks):
            cells = icicle(self.tree, number, _NARROWEST)
            height = HEIGHT * (1 + max((cell.level for cell in cells), default=0))
            pictures.append((name, height, [self._cell(cell, number) for cell in cells]))
        return pictures

    def _cell(self, cell: Cell, network: int) -> StaticCell:
        tree = self.tree
        line, chosen = tree.lines[cell.line], tree.chosen
        counted = [tree.lines[n].numbers[network][chosen] for n in cell.more or (cell.line,)]
        number = counted[0]._replace(
            value=sum(counted_part.value or 0 for counted_part in counted),
            at_least=any(counted_part.at_least for counted_part in counted),
        )
        name, what = line.name, line.paths[network]
        if cell.more:
            name = f"{len(cell.more)} more"
            what = f"{name}, from {what} on"
        width = cell.width * WIDTH
        letters = int((width - 6) / _LETTER)
        label = name if len(name) <= letters else name[: max(letters - 1, 0)]
        share = self._share(number, tree.totals[network][chosen])
        return StaticCell(
            f"{cell.start * WIDTH:.2f}",
            cell.level * HEIGHT,
            f"{width:.2f}",
            "m" if cell.more else str(tree.families.index(line.family)) if line.family else "s",
            label if letters >= 2 else "",
            f"{what}: {text_of(number)} {tree.measures[chosen].heading}, {share}",
        )

    def _cells(self, number: int) -> list[tuple[str, str]]:
        line = self.tree.lines[number]
        pairs = zip(line.numbers, self.tree.totals, strict=True)
        return [cell for numbers, totals in pairs for cell in self._of(numbers, totals)]

    def _of(self, numbers: tuple[Number, ...], totals: tuple[Number, ...]) -> list[tuple[str, str]]:
        if not numbers:
            return [("", "")] * (len(self.columns) + 1)
        chosen = self.tree.chosen
        units = self.tree.units
        cells = [(text_of(numbers[n]._replace(scale=units)), "") for n in self.columns]
        part, whole = (counted[chosen].value or 0 for counted in (numbers, totals))
        bar = f"{float(100 * part / whole):.1f}" if whole else "0.0"
        return [*cells, (self._share(numbers[chosen], totals[chosen]), bar)]

    def _share(self, part: Number, whole: Number) -> str:
        if part.value is None:
            return "?"
        return formatting.percent(int(part.value), int(whole.value or 0))
