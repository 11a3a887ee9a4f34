"""Pareto fronts beside their definition, executed pair by pair."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from costlab.sweeps import front as fronts
from costlab.sweeps import keep
from costlab.sweeps.front import front
from costlab.sweeps.keep import Found, Wanted

NUMBERS = st.sampled_from(
    [
        st.integers(0, 1),
        st.integers(-3, 4),
        st.integers(0, 1000),
        st.integers(-(2**62), 2**62),
        st.integers(-(2**70), 2**70),
        st.sampled_from([0.0, -0.0, 0.1, 0.5, 1e300]),
    ]
)


def columns(count: st.SearchStrategy[int]) -> st.SearchStrategy[list[NDArray[Any]]]:
    """The values of one to five goals, of so many variants; some goals go against others."""

    def drawn(kinds: list[Any], number: int) -> st.SearchStrategy[list[NDArray[Any]]]:
        goals = [st.lists(kind, min_size=number, max_size=number).map(_array) for kind in kinds]
        return st.tuples(*goals, st.booleans()).map(lambda made: _opposed(*made))

    kinds = st.lists(NUMBERS, min_size=1, max_size=5)
    return st.tuples(kinds, count).flatmap(lambda both: drawn(*both))


def _array(values: list[Any]) -> NDArray[Any]:
    large = any(abs(value) >= 2**63 for value in values if isinstance(value, int))
    return np.array(values, object if large else None)


def _opposed(*made: Any) -> list[NDArray[Any]]:
    *goals, against = made
    if against and len(goals) > 1:
        goals[-1] = np.array([-sum(map(int, row)) for row in zip(*goals[:-1], strict=True)], object)
    return goals


def undominated(keys: list[NDArray[Any]]) -> list[int]:
    points = list(zip(*(key.tolist() for key in keys), strict=True))
    beaten = [
        any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)
        for p in points
    ]
    return [i for i, each in enumerate(beaten) if not each]


@given(columns(st.integers(0, 60)))
def test_a_front_is_what_no_other_beats(keys: list[NDArray[Any]]) -> None:
    assert front(keys).tolist() == undominated(keys)


@given(columns(st.integers(0, 40)))
def test_groups_of_many_goals_are_counted_anew(keys: list[NDArray[Any]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fronts, "_LARGEST", 2**12)
        assert front(keys).tolist() == undominated(keys)


@given(columns(st.integers(1, 60)), st.data())
def test_a_front_is_the_same_whenever_it_is_asked_for(
    keys: list[NDArray[Any]], data: st.DataObject
) -> None:
    wanted = Wanted("front", tuple(map(str, range(len(keys)))))
    found = Found.nothing(len(keys))
    begin, count = 0, len(keys[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keep, "_LATER", (data.draw(st.sampled_from([0, 3, 100])), 4))
        while begin < count:
            end = data.draw(st.integers(begin + 1, count))
            numbers = np.arange(begin, end)
            found = found.with_block(wanted, numbers, None, [key[begin:end] for key in keys])
            if data.draw(st.booleans()):  # as a store does it with what workers found
                found = Found.nothing(len(keys)).then(wanted, found)
            begin = end
    assert found.settled(wanted).indices.tolist() == undominated(keys)
