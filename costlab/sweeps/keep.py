"""What a sweep keeps of the variants that fulfil its condition: all, the best, or a Pareto front.

What is kept is the same however the grid is cut: variants have numbers, and of equals the earlier
ones come first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from costlab.sweeps.front import front

MOST_NAMED = 20
"""Networks that do not exist, of which it is said why."""

_PIVOTS = 8

_LATER = 2**19, 2**10
"""So many variants, in so many pieces, wait before it is asked which of them are wanted."""


@dataclass(frozen=True)
class Wanted:
    """What to keep: ``all``, the ``count`` ``best`` by a goal, or the Pareto ``front`` of several.

    Goals are expressions: the smaller the better, with ``most`` the larger the better.
    """

    kind: Literal["all", "best", "front"] = "all"
    goals: tuple[str, ...] = ()
    count: int = 0
    most: bool = False


class Piece(NamedTuple):
    """Variants by their numbers in the grid, ascending, and the values of the goals."""

    indices: NDArray[np.int64]
    keys: tuple[NDArray[Any], ...]


@dataclass(frozen=True)
class Found:
    """The variants that a search keeps, and how many it looked at and passed over.

    ``indices`` are their numbers in the grid, ascending, and ``keys`` the values of the goals.
    ``later`` ones are not yet reduced to what is wanted: that takes as long as all are many, so it
    is done when as many have come (see ``settled``). Of all that were ``seen``, ``undefined``
    networks do not exist, ``beyond`` ones have a count beyond 64 bits, and ``refused`` ones do not
    fulfil the condition.
    """

    indices: NDArray[np.int64]
    keys: tuple[NDArray[Any], ...]
    later: tuple[Piece, ...] = ()
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
        return both._with(wanted, *more.joined)

    @property
    def joined(self) -> Piece:
        """All of them, with the later ones."""
        if not self.later:
            return Piece(self.indices, self.keys)
        pieces = (Piece(self.indices, self.keys), *self.later)
        keys = zip(*(piece.keys for piece in pieces), strict=True)
        indices = np.concatenate([piece.indices for piece in pieces])
        return Piece(indices, tuple(map(np.concatenate, keys)))

    def settled(self, wanted: Wanted) -> Found:
        """A copy with what is wanted of all, none of them later."""
        if not self.later:
            return self
        indices, keys = self.joined
        some: Any = slice(None)
        if wanted.kind == "best":
            some = np.sort(np.argsort(keys[0], kind="stable")[: wanted.count])
        elif wanted.kind == "front":
            some = front(keys)
        return replace(self, indices=indices[some], keys=tuple(key[some] for key in keys), later=())

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
        """A copy with these variants, all later than its own."""
        if not len(indices):
            return self
        longer = replace(self, later=(*self.later, Piece(indices, tuple(keys))))
        many, pieces = _LATER
        count = sum(len(piece.indices) for piece in longer.later)
        soon = wanted.kind == "best" or not len(self.indices) or len(longer.later) > pieces
        return longer.settled(wanted) if soon or count > max(many, len(self.indices)) else longer

    def ordered(self, wanted: Wanted) -> NDArray[np.int64]:
        """Their numbers, the best first, else in the grid's order."""
        if not wanted.goals:
            return self.indices
        return self.indices[np.lexsort([self.indices, *reversed(self.keys)])]
