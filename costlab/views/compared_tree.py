"""Models side by side as a tree that pages show: aligned parts, and in each its aligned layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from costlab import formatting
from costlab.alignment import AlignedPart, align_parts
from costlab.costs.cost import Cost
from costlab.costs.kinds import FAMILIES
from costlab.costs.tree import family, measures, numbers
from costlab.render.tree import Tree, TreeLine

if TYPE_CHECKING:
    from costlab.views.compare import Comparison

_ALL = 10**6
"""So deep that every part is a layer."""


def compared_tree(comparison: Comparison) -> Tree:
    """The parts of a comparison and their layers, each with its numbers in every model."""
    tables, alignments = comparison.tables, comparison.alignments
    compared = _Compared(comparison)
    parts = comparison.branches
    layers = align_parts(tables, alignments, _ALL)
    inside = _inside(parts, layers)
    lines: list[TreeLine] = []
    for number, part in enumerate(parts):
        around = len(lines)
        lines.append(compared.line(part, part.costs, None))
        if any(cost is not None and cost.layer is None for cost in part.costs):
            lines += [compared.line(layer, costs, around) for layer, costs in inside[number]]
    return Tree(
        "Parts and layers",
        comparison.labels,
        measures(comparison.training_cost, comparison.more),
        FAMILIES,
        tuple(lines),
        tuple(numbers(table.total, comparison.training_cost, comparison.more) for table in tables),
        columns=("macs",),
    )


Layer = tuple[AlignedPart, tuple[Cost | None, ...]]
"""An aligned layer, and what it costs in the models that have it in some part."""


def _inside(parts: Sequence[AlignedPart], layers: Sequence[AlignedPart]) -> list[list[Layer]]:
    """The layers that are in each part: one that has moved is in two of them, once for each."""
    at = [
        {row.path: number for number, part in enumerate(parts) for row in _rows(part.costs[i])}
        for i in range(len(parts[0].costs))
    ]
    inside: list[list[Layer]] = [[] for _ in parts]
    for layer in layers:
        where = [
            None if cost is None else places[cost.path]
            for cost, places in zip(layer.costs, at, strict=True)
        ]
        for number in dict.fromkeys(place for place in where if place is not None):
            there = zip(layer.costs, where, strict=True)
            inside[number].append(
                (layer, tuple(cost if place == number else None for cost, place in there))
            )
    return inside


def _rows(cost: Cost | None) -> Sequence[Cost]:
    return () if cost is None else cost.rows


class _Compared:
    """Makes lines of a comparison."""

    def __init__(self, comparison: Comparison) -> None:
        self.training_cost, self.more = comparison.training_cost, comparison.more
        self.labels = comparison.labels
        self.little = [alignment.little for alignment in comparison.alignments]

    def line(self, part: AlignedPart, costs: Sequence[Cost | None], around: int | None) -> TreeLine:
        """A part or layer, with what it costs in the models that have it here."""
        there = [cost for cost in costs if cost is not None]
        first = there[0]
        layers = all(cost.layer is not None for cost in there)
        outputs = [formatting.shape(cost.layer.output) for cost in there if cost.layer]
        return TreeLine(
            first.path if around is None else first.path.rpartition(".")[2],
            around,
            family(first) if layers else "",
            _once([cost.operation for cost in there]),
            _once(outputs) if layers else "",
            tuple(cost.path if cost else "" for cost in costs),
            tuple(numbers(cost, self.training_cost, self.more) if cost else () for cost in costs),
            tuple(cost.derivation if cost else "" for cost in costs),
            self._verdict(part),
        )

    def _verdict(self, part: AlignedPart) -> str:
        """How it compares with the first model's; nothing where nothing is aligned."""
        verdicts = [
            "" if little else verdict
            for verdict, little in zip(part.verdicts, self.little, strict=True)
        ]
        if len(verdicts) == 1:
            return verdicts[0]
        named = zip(self.labels[1:], verdicts, strict=True)
        return ", ".join(f"{label} {verdict}" for label, verdict in named if verdict)


def _once(texts: Sequence[str]) -> str:
    """Texts that are not the same, one after the other: ``14 operations → 12 operations``."""
    return " → ".join(dict.fromkeys(texts))
