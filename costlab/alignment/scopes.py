"""Scopes of two or more networks side by side, found by the layers that they contain."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence, Set
from typing import NamedTuple

from costlab.alignment.known import unnumbered
from costlab.alignment.layers import LITTLE, Alignment, Verdict, is_replaced
from costlab.costs.cost import Cost
from costlab.costs.rows import Group, Row, tree
from costlab.costs.table import CostTable

Part = Row | Group


class AlignedPart(NamedTuple):
    """A scope or layer: what it costs in each network, None where it is not there.

    ``verdicts`` compare it with the first network's, for each of the others; ``""`` where neither
    has it. ``differing`` are its layers that are not the same in all networks.
    """

    costs: tuple[Part | None, ...]
    verdicts: tuple[Verdict | str, ...]
    differing: tuple[tuple[Row, ...], ...]

    @property
    def path(self) -> str:
        """Its path in the first network that has it."""
        return next(cost.path for cost in self.costs if cost is not None)

    @property
    def paths(self) -> tuple[str | None, ...]:
        """Its path in each network."""
        return tuple(None if cost is None else cost.path for cost in self.costs)


def align_parts(
    tables: Sequence[CostTable], alignments: Sequence[Alignment], depth: int
) -> tuple[AlignedPart, ...]:
    """The parts of networks down to ``depth``, in the order of the first network.

    A part stands beside the one that it shares most layers with, where that is so of both, and
    these are not few of either's layers. A scope whose layers are spread over several parts of
    another network is shown by what is in it, however deep. ``alignments`` are of each other
    network with the first; where one is little, no part of it stands beside another.
    """
    partitions = [table.leaves(depth) for table in tables]
    while _split(partitions, alignments):
        pass
    first = partitions[0]
    lines: list[list[Part | None]] = [[part, *[None] * len(alignments)] for part in first]
    for number, (parts, alignment) in enumerate(zip(partitions[1:], alignments, strict=True), 1):
        partners = {} if alignment.little else _partners(first, parts, alignment)
        lines = _joined(lines, number, parts, partners, len(tables))
    differing = _differing(tables, alignments)
    return tuple(_part(line, alignments, differing) for line in lines)


_SPREAD = 0.75
"""A scope of which no other part has this share of what both have is shown by what is in it."""


def _split(partitions: list[list[Part]], alignments: Sequence[Alignment]) -> bool:
    """Take scopes apart that are spread over parts of another network; whether there were any."""
    spread: set[tuple[int, str]] = set()
    for number, alignment in enumerate(alignments, 1):
        if alignment.little:
            continue
        shared = _shared(partitions[0], partitions[number], alignment)
        for which, side in ((0, 0), (number, 1)):
            beside: dict[str, Counter[str]] = defaultdict(Counter)
            for paths, layers in shared.items():
                beside[paths[side]][paths[1 - side]] = layers
            layers_there = {p.path for p in partitions[(number, 0)[side]] if isinstance(p, Row)}
            whole = {part.path: _weight_of(part) for part in partitions[which]}
            spread |= {
                (which, path)
                for path, parts in beside.items()
                if parts.total() >= LITTLE * whole[path] and _is_spread(parts, layers_there)
            }
    divided = False
    for which, parts in enumerate(partitions):
        partitions[which] = []
        for part in parts:
            if isinstance(part, Group) and (which, part.path) in spread:
                divided = True
                partitions[which] += tree(part.rows, part.level + 1, part.level + 2)
            else:
                partitions[which].append(part)
    return divided


def _is_spread(shared: Counter[str], layers: Set[str]) -> bool:
    """Whether a scope stands beside several parts, no one for most of it, or beside one layer."""
    (most, share), *others = shared.most_common()
    return bool(others) and (most in layers or share < _SPREAD * shared.total())


def _shared(
    first: Sequence[Part], second: Sequence[Part], alignment: Alignment
) -> Counter[tuple[str, str]]:
    """How many layers each two parts share; one with weights counts more than one without."""
    homes = [
        {row.path: part.path for part in parts for row in part.rows} for parts in (first, second)
    ]
    shared = Counter[tuple[str, str]]()
    for pair in alignment.pairs:
        if pair.first and pair.second:
            shared[homes[0][pair.first.path], homes[1][pair.second.path]] += _weight(pair.first)
    return shared


def _weight(row: Row) -> int:
    return 10 if row.contraction or row.params else 1


def _weight_of(part: Part) -> int:
    return sum(map(_weight, part.rows))


def _partners(
    first: Sequence[Part], second: Sequence[Part], alignment: Alignment
) -> dict[str, str]:
    """The partner in the first network of each part of the second that has one, by paths."""
    weights = [{part.path: _weight_of(part) for part in parts} for parts in (first, second)]
    shared = {
        (one, other): layers
        for (one, other), layers in _shared(first, second, alignment).items()
        if layers >= LITTLE * max(weights[0][one], weights[1][other])
    }
    best: tuple[dict[str, str], dict[str, str]] = ({}, {})
    for (one, other), _ in sorted(
        shared.items(), key=lambda item: (-item[1], item[0][0] != item[0][1])
    ):
        best[0].setdefault(one, other)
        best[1].setdefault(other, one)
    partners = {other: one for other, one in best[1].items() if best[0][one] == other}
    alone = {part.path: part for part in first if part.path not in best[0]}
    for part in second:  # nothing in them is alike, and they have one name
        there = alone.get(part.path)
        if there is None or part.path in best[1]:
            continue
        if not (isinstance(there, Row) and isinstance(part, Row)) or not is_replaced(there, part):
            partners[part.path] = part.path
    return partners


def _joined(
    lines: list[list[Part | None]],
    number: int,
    parts: Sequence[Part],
    partners: dict[str, str],
    networks: int,
) -> list[list[Part | None]]:
    """The lines with the parts of one more network: beside a partner, or behind the part before.

    A part that another network has added too, by its name, stands beside that, unless it is of
    other operations, or stands in front of what comes before it here.
    """
    lines = list(lines)
    at = {line[0].path: line for line in lines if line[0]}
    new = {_path(line): line for line in lines if not line[0]}
    before: list[Part | None] | None = None
    for part in parts:
        if part.path in partners:
            line = at[partners[part.path]]
        elif part.path in new and _may_stand_beside(lines, new[part.path], part, before):
            line = new[part.path]
        else:
            line = [None] * networks
            if before is None:  # without any partner, all of a network stands behind the others
                lines.insert(0 if partners else len(lines), line)
            else:
                lines.insert(_index(lines, before) + 1, line)
        line[number] = part
        before = line
    return lines


def _may_stand_beside(
    lines: list[list[Part | None]],
    line: list[Part | None],
    part: Part,
    before: list[Part | None] | None,
) -> bool:
    there = {row.layer.op.kind for known in line if known is not None for row in known.rows}
    if there.isdisjoint(row.layer.op.kind for row in part.rows):
        return False
    return before is None or _index(lines, line) > _index(lines, before)


def _path(line: Sequence[Part | None]) -> str:
    return next(part.path for part in line if part is not None)


def _index(lines: list[list[Part | None]], line: list[Part | None]) -> int:
    return next(i for i, known in enumerate(lines) if known is line)


def _differing(
    tables: Sequence[CostTable], alignments: Sequence[Alignment]
) -> tuple[set[str], ...]:
    """The paths of the layers of each network that are not the same in all."""
    differing: tuple[set[str], ...] = tuple(set() for _ in tables)
    for number, alignment in enumerate(alignments, 1):
        for pair in () if alignment.little else alignment.pairs:
            if pair.verdict in ("changed", "added", "removed"):
                if pair.first:
                    differing[0].add(pair.first.path)
                if pair.second:
                    differing[number].add(pair.second.path)
    return differing


def _part(
    line: Sequence[Part | None],
    alignments: Sequence[Alignment],
    differing: tuple[set[str], ...],
) -> AlignedPart:
    first, *others = line
    return AlignedPart(
        tuple(line),
        tuple(
            _verdict(first, other, alignment)
            for other, alignment in zip(others, alignments, strict=True)
        ),
        tuple(
            tuple(row for row in part.rows if row.path in paths) if part else ()
            for part, paths in zip(line, differing, strict=True)
        ),
    )


def _verdict(first: Part | None, other: Part | None, alignment: Alignment) -> Verdict | str:
    if first is None or other is None:
        return "removed" if first else "added" if other else ""
    if _all_of(first) != _all_of(other):
        return "changed"
    if alignment.has_moved(first):
        return "moved"
    return "same" if unnumbered(first.path) == unnumbered(other.path) else "renamed"


def _all_of(cost: Cost) -> tuple[object, ...]:
    return cost.params, cost.count, cost.uncounted, cost.activations
