"""Bounds of numbers, against the rules on the numbers inside of them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlab.sweeps.interval import LARGEST, Interval, Unsure

RULES: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a // b,
    lambda a, b: a % b,
    lambda a, b: -a + 3 * b,
    lambda a, b: abs(a - b),
    lambda a, b: (a + b + abs(a - b)) // 2,
    lambda a, b: 7 - a // 3 + 100 // b,
    lambda a, b: 100 % b,
]
ENDS = st.tuples(st.integers(-60, 60), st.integers(-60, 60)).map(sorted)


@given(ENDS, st.tuples(st.integers(1, 40), st.integers(1, 40)).map(sorted), st.sampled_from(RULES))
def test_a_rule_on_intervals_bounds_the_rule_on_their_numbers(
    a: list[int], b: list[int], rule: Callable[[Any, Any], Any]
) -> None:
    bounds = rule(Interval(*a), Interval(*b))
    for x in (a[0], sum(a) // 2, a[1]):
        for y in (b[0], sum(b) // 2, b[1]):
            assert bounds.low <= rule(x, y) <= bounds.high
            assert bounds.sign().low <= (rule(x, y) > 0) - (rule(x, y) < 0) <= bounds.sign().high
            for compare in (operator.lt, operator.ge, operator.le, operator.gt):
                truth = compare(Interval(*a), Interval(*b))
                assert isinstance(truth, Unsure) or truth == compare(x, y)


def test_an_interval_beyond_64_bits_is_an_overflow() -> None:
    assert (Interval(0, 2**62) + (2**62 - 1)).high == LARGEST
    with pytest.raises(OverflowError):
        Interval(0, 2**62) + 2**62
    with pytest.raises(TypeError):
        bool(Interval(0, 5) < 3)
