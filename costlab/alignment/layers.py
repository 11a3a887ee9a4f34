"""The layers of two networks, paired: what is the same, changed, moved, added or removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeAlias

from costlab.alignment.known import (
    Key,
    Known,
    identity,
    identity_and_path,
    identity_of_weights,
    known_layers,
    label,
    named_shapes,
    place,
    same_there,
    shapes,
    window,
    window_there,
)
from costlab.alignment.subsequence import common
from costlab.costs.cost import Cost
from costlab.costs.kinds import kind_of
from costlab.costs.rows import Row
from costlab.costs.table import CostTable

Verdict: TypeAlias = Literal["same", "renamed", "moved", "changed", "added", "removed"]
"""``renamed`` and ``moved`` are the same but for the path, or for the place in the order."""

LITTLE = 0.25
"""Less than this share of the layers with weights in pairs is no alignment to speak of."""


class Pair(NamedTuple):
    """A layer of the first network and its partner in the second; None where it has none."""

    first: Row | None
    second: Row | None
    verdict: Verdict

    @property
    def row(self) -> Row:
        """The layer in the second network, where it is there, else in the first."""
        row = self.second or self.first
        assert row is not None
        return row


@dataclass(frozen=True)
class Alignment:
    """The layers of two networks in pairs, in the order of the second network.

    What was removed stands where it was in the first. ``aligned`` is the share of the layers with
    weights that have a partner; where it is ``little``, only exact partners are kept.
    """

    pairs: tuple[Pair, ...]
    aligned: float

    @property
    def little(self) -> bool:
        """Whether the networks have so little in common that layers are not to be compared."""
        return self.aligned < LITTLE

    @cached_property
    def count(self) -> Counter[Verdict]:
        """How many pairs there are of each verdict."""
        return Counter(pair.verdict for pair in self.pairs)

    def data(self) -> dict[str, Any]:
        """For programs: the paths of the pairs, with their verdicts."""
        return {
            "aligned": round(self.aligned, 6),
            "little": self.little,
            "layers": [
                {
                    "verdict": pair.verdict,
                    "first": pair.first and pair.first.path,
                    "second": pair.second and pair.second.path,
                }
                for pair in self.pairs
            ],
        }

    def has_moved(self, part: Cost) -> bool:
        """Whether all layers of a part of the first network are the same and stand elsewhere."""
        return all(row.path in self._moved for row in part.rows)

    @cached_property
    def _moved(self) -> frozenset[str]:
        return frozenset(
            pair.first.path for pair in self.pairs if pair.first and pair.verdict == "moved"
        )

    def grew(self, of: Callable[[Row], int]) -> list[tuple[int, Pair]]:
        """By how much each pair has more of a quantity in the second network, the most first."""
        growth = [
            ((of(pair.second) if pair.second else 0) - (of(pair.first) if pair.first else 0), pair)
            for pair in self.pairs
        ]
        return sorted((g for g in growth if g[0] > 0), key=lambda g: -g[0])


def align(first: CostTable, second: CostTable) -> Alignment:
    """Pair the layers of two networks: by what they are, their shapes and their order.

    First what is the same in operation, shapes and costs, and at the same place. In each gap
    between, either what is the same has a partner first, or what is at the same place, or what has
    the same name and shapes, whichever explains more of the gap: a part that was renamed, one
    whose widths have changed, or another kernel in a wrapper. Then what is of the same kind there,
    whatever its path. Paths decide where several layers would do. It takes milliseconds for
    thousands of layers.
    """
    return _Aligning(first.rows, second.rows).alignment()


Gap: TypeAlias = tuple[Sequence[int], Sequence[int]]
"""The numbers of layers of the first and of the second network that have no partner yet."""


def is_replaced(first: Row, second: Row) -> bool:
    """Whether one of them is depthwise and the other is not."""
    return _is_depthwise(first) != _is_depthwise(second)


def _is_depthwise(row: Row) -> bool:
    return kind_of(row).startswith("depthwise")


class _Aligning:
    """The partners that have been found, by the layers' numbers."""

    def __init__(self, first: Sequence[Row], second: Sequence[Row]) -> None:
        self.layers = known_layers(first), known_layers(second)
        self.partner: dict[int, int] = {}
        self.moved: dict[int, int] = {}
        self.arrived: set[int] = set()

    def alignment(self) -> Alignment:
        everything = tuple(range(len(known)) for known in self.layers)
        self.partner = self._found((everything[0], everything[1]), [same_there])
        for gap in self._gaps(self.partner, everything[0], everything[1]):
            candidates = [self._found(gap, keys) for keys in _CANDIDATES]
            better = max(candidates, key=self._worth)
            self.partner |= better
        self._reordered(identity_and_path)
        for key in _IN_PLACE:
            for gap in self._gaps(self.partner, *everything):
                self.partner |= self._found(self._as_many(gap), [key])
        self._reordered(identity_of_weights)
        replaced = [i for i, j in self.partner.items() if self._is_replaced(i, j)]
        for i in replaced:
            del self.partner[i]
        aligned = self._aligned()
        if aligned < LITTLE:
            self.partner = {i: j for i, j in self.partner.items() if self._surety(i, j) >= _RENAMED}
        return Alignment(tuple(self._pairs()), aligned)

    def _found(self, gap: Gap, keys: Sequence[Key]) -> dict[int, int]:
        """Partners in a gap: by the first key, then by each other one in the gaps that it left."""
        partner: dict[int, int] = {}
        for key in keys:
            for left, right in self._gaps(partner, *gap):
                known = [self.layers[0][i] for i in left], [self.layers[1][j] for j in right]
                first, second = (list(map(key, layers)) for layers in known)
                hints = [layer.hints for layer in known[0]], [layer.hints for layer in known[1]]
                pairs = common(first, second, hints)
                partner |= {left[i]: right[j] for i, j in pairs}
        return partner

    def _gaps(
        self, partner: dict[int, int], lefts: Sequence[int], rights: Sequence[int]
    ) -> list[Gap]:
        """What has no partner among those, between the ones that have."""
        gaps: list[tuple[list[int], list[int]]] = [([], [])]
        rest = iter(rights)
        for i in lefts:
            if i not in partner:
                gaps[-1][0].append(i)
                continue
            for j in rest:
                if j == partner[i]:
                    break
                gaps[-1][1].append(j)
            gaps.append(([], []))
        gaps[-1][1].extend(rest)
        return [(left, right) for left, right in gaps if left and right]

    def _reordered(self, key: Key) -> None:
        """Pair what is the same, stands elsewhere and is the only one of its key."""
        taken = {*self.partner.values(), *self.arrived}
        left = [i for i in range(len(self.layers[0])) if not self._paired(i)]
        right = [j for j in range(len(self.layers[1])) if j not in taken]
        places = _only(self.layers[1], right, key)
        for element, i in _only(self.layers[0], left, key).items():
            if element in places:
                self.moved[i] = places[element]
                self.arrived.add(places[element])

    def _as_many(self, gap: Gap) -> Gap:
        """Layers without a partner elsewhere, of kinds that both networks have as many of there."""
        first = {i: self.layers[0][i].row.label for i in gap[0] if i not in self.moved}
        second = {j: self.layers[1][j].row.label for j in gap[1] if j not in self.arrived}
        times = Counter(first.values()), Counter(second.values())
        alike = {kind for kind, number in times[0].items() if times[1][kind] == number}
        return [i for i in first if first[i] in alike], [j for j in second if second[j] in alike]

    def _paired(self, i: int) -> bool:
        return i in self.partner or i in self.moved

    def _is_replaced(self, i: int, j: int) -> bool:
        """Whether one is depthwise, and stands for the other together with a pointwise one."""
        first, second = self.layers[0][i].row, self.layers[1][j].row
        if not is_replaced(first, second):
            return False
        side, depthwise = (1, j) if _is_depthwise(second) else (0, i)
        taken = {*self.partner.values(), *self.arrived} if side else {*self.partner, *self.moved}
        for number in range(depthwise + 1, len(self.layers[side])):
            row = self.layers[side][number].row
            if row.contraction:
                return number not in taken and kind_of(row).endswith(" 1×1")
        return False

    def _surety(self, i: int, j: int) -> float:
        """How sure it is that two layers are partners."""
        first, second = self.layers[0][i], self.layers[1][j]
        if first.identity == second.identity:
            return 1.0 if first.place == second.place else _RENAMED
        if first.place == second.place:
            return 0.6 if first.window == second.window else 0.4
        if first.shapes == second.shapes:
            return 0.4
        return 0.2 if first.window == second.window else 0.0

    def _worth(self, partner: dict[int, int]) -> float:
        return sum(self._surety(i, j) for i, j in partner.items())

    def _aligned(self) -> float:
        """The share of the smaller network's layers with weights that have one, as far as sure."""
        weights = [sum(known.has_weights for known in layers) for layers in self.layers]
        shares = sum(
            self._surety(i, j) * (self.layers[0][i].has_weights or self.layers[1][j].has_weights)
            for i, j in (*self.partner.items(), *self.moved.items())
        )
        return shares / min(weights) if min(weights) else 1.0

    def _pairs(self) -> Iterable[Pair]:
        """In the order of the second; before each partner, what was removed before it."""
        sources = {j: i for i, j in (*self.partner.items(), *self.moved.items())}
        removed = [i for i in range(len(self.layers[0])) if not self._paired(i)][::-1]
        for j, second in enumerate(self.layers[1]):
            i = sources.get(j)
            while i in self.partner and removed and removed[-1] < i:
                yield Pair(self.layers[0][removed.pop()].row, None, "removed")
            if i is None:
                yield Pair(None, second.row, "added")
            else:
                yield Pair(self.layers[0][i].row, second.row, self._verdict(i, j))
        for i in reversed(removed):
            yield Pair(self.layers[0][i].row, None, "removed")

    def _verdict(self, i: int, j: int) -> Verdict:
        if i in self.moved:
            return "moved"
        surety = self._surety(i, j)
        return "same" if surety == 1 else "renamed" if surety == _RENAMED else "changed"


_RENAMED = 0.8
"""How sure it is that layers are partners that are the same and have other paths."""

_CANDIDATES: tuple[tuple[Key, ...], ...] = (
    (identity, window_there, place, window),
    (window_there, place, identity, window),
    (named_shapes, identity, window_there, place, window),
)
"""By which keys partners are looked for in a gap, the first key first."""

_IN_PLACE: tuple[Key, ...] = (shapes, label)
"""For what is left between two that are matched: another kernel, other widths."""


def _only(layers: Sequence[Known], numbers: Iterable[int], key: Key) -> dict[Hashable, int]:
    """The numbers of those layers that are the only ones of their key."""
    chosen = [(key(layers[number]), number) for number in numbers]
    times = Counter(element for element, _ in chosen)
    return {element: number for element, number in chosen if times[element] == 1}
