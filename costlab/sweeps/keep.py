"""What a sweep keeps of the variants that fulfil its condition: all, the best, or a Pareto front.

What is kept is the same however the grid is cut: variants have numbers, and of equals the earlier
ones come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

MOST_NAMED = 20
"""Networks that do not exist, of which it is said why."""

_PIVOTS = 8
_PIECE = 4096


@dataclass(frozen=True)
class Wanted:
    """What to keep: ``all``, the ``count`` ``best`` by a goal, or the Pareto ``front`` of several.

    Goals are expressions: the smaller the better, with ``most`` the larger the better.
    """

    kind: Literal["all", "best", "front"] = "all"
    goals: tuple[str, ...] = ()
    count: int = 0
    most: bool = False


@dataclass(frozen=True)
class Found:
    """The variants that a search keeps, and how many it looked at and passed over.

    ``indices`` are their numbers in the grid, ascending, and ``keys`` the values of the goals. Of
    all that were ``seen``, ``undefined`` networks do not exist, ``beyond`` ones have a count beyond
    64 bits, and ``refused`` ones do not fulfil the condition.
    """

    indices: NDArray[np.int64]
    keys: tuple[NDArray[Any], ...]
    seen: int = 0
    undefined: int = 0
    beyond: int = 0
    refused: int = 0
    missing: tuple[tuple[int, int], ...] = ()
    """Of the first networks that do not exist: which choices, and the first variant of it."""

    @classmethod
    def nothing(cls, goals: int) -> Found:
        """What is found before any block is counted."""
        return cls(np.empty(0, np.int64), tuple(np.empty(0, np.int64) for _ in range(goals)))

    def passed(
        self,
        seen: int,
        undefined: int = 0,
        beyond: int = 0,
        refused: int = 0,
        missing: tuple[tuple[int, int], ...] = (),
    ) -> Found:
        """A copy with these counts added: variants looked at, and those of them passed over."""
        first = dict(reversed(self.missing + missing))
        return replace(
            self,
            missing=tuple(sorted(first.items())[:MOST_NAMED]),
            seen=self.seen + seen,
            undefined=self.undefined + undefined,
            beyond=self.beyond + beyond,
            refused=self.refused + refused,
        )

    def with_block(
        self,
        wanted: Wanted,
        numbers: NDArray[np.int64],
        chosen: NDArray[np.bool_] | None,
        keys: Sequence[NDArray[Any]],
    ) -> Found:
        """A copy with what is wanted of later variants: of the ``chosen`` ones; all if None."""
        better = self._contenders(wanted, keys)
        if chosen is None or better is None:
            chosen = better if chosen is None else chosen
        else:
            chosen = chosen & better
        positions = np.arange(len(numbers)) if chosen is None else np.flatnonzero(chosen)
        return self._with(wanted, numbers[positions], [key[positions] for key in keys])

    def then(self, wanted: Wanted, more: Found) -> Found:
        """A copy with what was found among later variants."""
        both = self.passed(more.seen, more.undefined, more.beyond, more.refused, more.missing)
        return both._with(wanted, more.indices, more.keys)

    def _contenders(self, wanted: Wanted, keys: Sequence[NDArray[Any]]) -> NDArray[np.bool_] | None:
        """Candidates that a cheap test does not rule out; None where all are."""
        if wanted.kind == "best" and len(self.indices) >= wanted.count:
            better: NDArray[np.bool_] = keys[0] < self.keys[0].max()  # of equals, earlier ones stay
            return better
        if wanted.kind == "front" and len(self.indices):
            beaten = np.zeros(len(keys[0]), np.bool_)
            for i in np.linspace(0, len(self.indices) - 1, _PIVOTS).astype(int):
                pairs = [(key, mine[i]) for key, mine in zip(keys, self.keys, strict=True)]
                worse = np.logical_and.reduce([key >= mine for key, mine in pairs])
                beaten |= worse & np.logical_or.reduce([key > mine for key, mine in pairs])
            return ~beaten
        return None

    def _with(self, wanted: Wanted, indices: NDArray[Any], keys: Sequence[NDArray[Any]]) -> Found:
        """A copy with these variants, all later than its own, reduced to what is wanted."""
        if not len(indices):
            return self
        indices = np.concatenate([self.indices, indices])
        keys = [np.concatenate(pair) for pair in zip(self.keys, keys, strict=True)]
        some: Any = slice(None)
        if wanted.kind == "best":
            some = np.sort(np.argsort(keys[0], kind="stable")[: wanted.count])
        elif wanted.kind == "front":
            some = front(keys)
        return replace(self, indices=indices[some], keys=tuple(key[some] for key in keys))

    def ordered(self, wanted: Wanted) -> NDArray[np.int64]:
        """Their numbers, the best first, else in the grid's order."""
        if not wanted.goals:
            return self.indices
        return self.indices[np.lexsort([self.indices, *reversed(self.keys)])]


def front(keys: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
    """Positions of the Pareto front, ascending: variants that no other dominates."""
    ranks = np.stack([np.unique(key, return_inverse=True)[1].reshape(-1) for key in keys], 1)
    order = np.lexsort(ranks.T[::-1])
    points = ranks[order]
    begins = np.ones(len(points), np.bool_)  # of points that are equal
    begins[1:] = (points[1:] != points[:-1]).any(1)
    best = np.zeros(int(begins.sum()), np.bool_)
    best[_unbeaten(points[begins])] = True
    return np.sort(order[best[np.cumsum(begins) - 1]])


def _unbeaten(points: NDArray[Any]) -> NDArray[np.intp]:
    """Positions of the points that no other dominates; all differ, in ascending order."""
    if points.shape[1] <= 2:  # the second has to be better than that of all before it
        second = points[:, -1]
        before = np.concatenate([[np.iinfo(np.int64).max], np.minimum.accumulate(second)[:-1]])
        return np.flatnonzero(second < before)
    if len(points) > _PIECE:  # what is beaten within its piece is out of the way
        pieces = range(0, len(points), _PIECE)
        some = np.concatenate(
            [start + _unbeaten(points[start : start + _PIECE]) for start in pieces]
        )
        if len(some) < len(points):
            return some[_unbeaten(points[some])]
    alive = np.arange(len(points))
    best: list[int] = []
    while len(alive):  # the first one left is beaten by none, as they are in order
        best.append(int(alive[0]))
        alive = alive[(points[alive] < points[alive[0]]).any(1)]
    return np.array(best, np.intp)
