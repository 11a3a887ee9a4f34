"""The longest common subsequence of two sequences; among several, one whose hints agree.

By rows of bits (Hyyrö 2004): a row of 2,000 is one number, so 2,000 against 2,000 are 2,000 sums
of such numbers, some milliseconds.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence

Hints = Sequence[Sequence[Hashable]]
"""For each element what else it is known by, the strongest first; all have equally many."""


def common(
    first: Sequence[Hashable], second: Sequence[Hashable], hints: tuple[Hints, Hints]
) -> list[tuple[int, int]]:
    """The pairs of a longest common subsequence, in order.

    Where an element could have one of several partners without making it shorter, it has the next
    one of the same hint.
    """
    ends = 0  # what the ends have in common, hints too, belongs to a longest one
    shorter = min(len(first), len(second))
    while ends < shorter and first[ends] == second[ends] and hints[0][ends] == hints[1][ends]:
        ends += 1
    return [(i, i) for i in range(ends)] + [
        (i + ends, j + ends)
        for i, j in _Table(first[ends:], second[ends:], (hints[0][ends:], hints[1][ends:])).walk()
    ]


class _Table:
    """How long the longest common subsequence of every two ends of the sequences is."""

    def __init__(
        self, first: Sequence[Hashable], second: Sequence[Hashable], hints: tuple[Hints, Hints]
    ) -> None:
        self.first, self.second, self.hints = first, second, hints
        self.width = len(second)
        self.rows = self._rows()
        self.places = tuple(
            _places(elements, known) for elements, known in zip((first, second), hints, strict=True)
        )

    def _rows(self) -> list[int]:
        """For each end of the first, a bit for each element of the second, its last one lowest.

        A bit is set where the subsequence gets longer when the second's end begins there.
        """
        everything = (1 << self.width) - 1
        where: dict[Hashable, int] = defaultdict(int)
        for bit, element in enumerate(reversed(self.second)):
            where[element] |= 1 << bit
        unset, rows = everything, [0]
        for element in reversed(self.first):
            matches = unset & where.get(element, 0)
            unset = ((unset + matches) | (unset - matches)) & everything
            rows.append(everything & ~unset)
        rows.reverse()
        return rows

    def length(self, i: int, j: int) -> int:
        """That of the ends that begin at ``i`` and ``j``."""
        return (self.rows[i] & ((1 << (self.width - j)) - 1)).bit_count()

    def walk(self) -> list[tuple[int, int]]:
        """The pairs, from the front."""
        pairs = []
        i, j, left = 0, 0, self.length(0, 0)
        while left:
            i, j = self._next(i, j, left)
            pairs.append((i, j))
            i, j, left = i + 1, j + 1, left - 1
        return pairs

    def _next(self, i: int, j: int, left: int) -> tuple[int, int]:
        """The next pair from there, which must leave ``left`` in all."""
        while True:
            equal = self.first[i] == self.second[j]
            for level, (one, other) in enumerate(
                zip(self.hints[0][i], self.hints[1][j], strict=True)
            ):
                if equal and one == other:
                    return i, j
                further_j = self._place(1, level, self.first[i], one, j)
                further_i = self._place(0, level, self.second[j], other, i)
                if further_j is not None and self.length(i, further_j) == left:
                    return i, further_j
                if further_i is not None and self.length(further_i, j) == left:
                    return further_i, j
            if equal:
                return i, j
            if self.length(i + 1, j) != left:
                j += 1
            else:
                i += 1

    def _place(
        self, which: int, level: int, element: Hashable, hint: Hashable, start: int
    ) -> int | None:
        """The next place of that element with that hint in one of the sequences."""
        places = self.places[which].get((level, element, hint), ())
        at = bisect_left(places, start)
        return places[at] if at < len(places) else None


def _places(elements: Sequence[Hashable], hints: Hints) -> dict[Hashable, list[int]]:
    places: dict[Hashable, list[int]] = defaultdict(list)
    for place, (element, known) in enumerate(zip(elements, hints, strict=True)):
        for level, hint in enumerate(known):
            places[level, element, hint].append(place)
    return places
