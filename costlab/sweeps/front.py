"""The Pareto front: variants that no other one dominates.

One dominates another that it is at least as good as in all goals, and better in one. By Kung,
Luccio and Preparata (1975): of the lower and the upper half by one goal, none of the upper beats
one of the lower, and one of the lower beats what it is as good as in the goals that are left. All
halves of one size are compared at once, as groups: a logarithm of steps for each goal but two, each
of them a sort of what is not yet beaten, however many are on the front.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]

_LARGEST = 2**62


def front(keys: Sequence[NDArray[Any]]) -> NDArray[np.intp]:
    """Positions of the front, ascending, by the values of each goal: small is good."""
    ranks = [_ranks(key) for key in keys]
    if not len(ranks[0]):
        return np.empty(0, np.intp)
    ranks.sort(key=lambda rank: int(rank.max()))  # few values are soon halved
    while len(ranks) < 2:
        ranks.insert(0, np.zeros_like(ranks[0]))
    return np.sort(_unbeaten(np.zeros_like(ranks[0]), ranks))


def _unbeaten(groups: Numbers, goals: list[Numbers]) -> NDArray[np.intp]:
    """Positions of the variants that none of their group dominates; of two goals or more."""
    first, *others = goals
    if len(others) == 1:
        return _unbeaten_by_two(groups, first, others[0])
    left = np.arange(len(groups))
    for pairs, lower in _halves(first):
        rest = _of(others, left)
        left = left[~_beaten(_within(groups[left], pairs[left]), lower[left], rest)]
    return left[_unbeaten(_within(groups[left], first[left]), _of(others, left))]


def _beaten(groups: Numbers, best: NDArray[np.bool_], goals: list[Numbers]) -> NDArray[np.bool_]:
    """Which are not of the best, but some of the best of their group is as good in all goals."""
    first, *others = goals
    if len(others) == 1:
        return _beaten_by_two(groups, best, first, others[0])
    beaten = np.zeros(len(groups), np.bool_)
    for pairs, lower in _halves(first):
        some = np.flatnonzero((lower == best) & ~beaten)
        inside = _within(groups[some], pairs[some])
        beaten[some] = _beaten(inside, best[some], _of(others, some))
    some = np.flatnonzero(~beaten)
    beaten[some] = _beaten(_within(groups[some], first[some]), best[some], _of(others, some))
    return beaten


def _unbeaten_by_two(groups: Numbers, first: Numbers, second: Numbers) -> NDArray[np.intp]:
    """In the order of both, the second is less than that of all before, or both are equal."""
    order = np.argsort(_within(_within(groups, first), second))
    value, first = _descending(groups[order], second[order]), first[order]
    least = np.minimum.accumulate(value)
    begins = np.ones(len(order), np.bool_)
    begins[1:] = least[1:] < least[:-1]
    first_of_least = first[begins][np.cumsum(begins) - 1]
    best: NDArray[np.intp] = order[(value == least) & (first == first_of_least)]
    return best


def _beaten_by_two(
    groups: Numbers, best: NDArray[np.bool_], first: Numbers, second: Numbers
) -> NDArray[np.bool_]:
    """In the order of the first, of equals the best before, some second of the best is no more."""
    order = np.argsort(_within(groups, 2 * first + ~best))
    is_best = best[order]
    value = _descending(groups[order], second[order])
    least = np.minimum.accumulate(np.where(is_best, value, 1))
    beaten = np.empty(len(order), np.bool_)
    beaten[order] = ~is_best & (value >= least)
    return beaten


def _descending(groups: Numbers, numbers: Numbers) -> Numbers:
    """Ranks such that those of each group, which are one after the other, are below all before."""
    begins = np.zeros(len(groups), np.int64)
    begins[1:] = groups[1:] != groups[:-1]
    below: Numbers = numbers - (np.cumsum(begins) + 1) * (numbers.max(initial=0) + 1)
    return below


def _halves(ranks: Numbers) -> Iterator[tuple[Numbers, NDArray[np.bool_]]]:
    """Groups of ranks, ever smaller, and which are in the lower half of theirs."""
    for bit in reversed(range(int(ranks.max(initial=0)).bit_length())):
        yield ranks >> (bit + 1), ranks >> bit & 1 == 0


def _within(groups: Numbers, numbers: Numbers) -> Numbers:
    """Groups of what is in one group and has one number, in the order of both."""
    count = int(numbers.max(initial=0)) + 1
    if int(groups.max(initial=0)) + 1 > _LARGEST // count:
        groups = _ranks(groups)
    return groups * count + numbers


def _of(goals: list[Numbers], some: NDArray[np.intp]) -> list[Numbers]:
    return [goal[some] for goal in goals]


def _ranks(values: NDArray[Any]) -> Numbers:
    ranks: Numbers = np.unique(values, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return ranks
