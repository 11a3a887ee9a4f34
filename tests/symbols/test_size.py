"""Sizes with expressions: what they are at every point, and what is asked of them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlab.graph.arithmetic import larger, smaller
from costlab.symbols.assumptions import Assumptions
from costlab.symbols.bounds import Bounds
from costlab.symbols.size import Size, sum_of

POINTS = st.fixed_dictionaries({name: st.integers(1, 60) for name in "abc"})
STEPS: dict[str, Callable[[Any, Any, int], Any]] = {
    "+": lambda a, b, n: a + b,
    "-": lambda a, b, n: a - b,
    "*": lambda a, b, n: a * b,
    "+n": lambda a, b, n: a + n,
    "n-": lambda a, b, n: n - a,
    "*n": lambda a, b, n: a * n,
    "//n": lambda a, b, n: a // n,
    "%n": lambda a, b, n: a % n,
    "//": lambda a, b, n: a // (abs(b) + 1),
    "%": lambda a, b, n: a % (abs(b) + 1),
    "n//": lambda a, b, n: n // (abs(b) + 1),
    "max": lambda a, b, n: larger(a, b),
    "min": lambda a, b, n: smaller(a, n),
    "abs": lambda a, b, n: abs(a),
    "square": lambda a, b, n: a**2,
}
PROGRAMS = st.lists(
    st.tuples(
        st.sampled_from(list(STEPS)), st.integers(0, 9), st.integers(0, 9), st.integers(1, 12)
    ),
    min_size=1,
    max_size=8,
)


def run(program: Any, point: Any) -> list[Any]:
    """What a program makes, step by step, of sizes or of ints."""
    values = [point[name] for name in "abc"]
    for step, one, two, number in program:
        a, b = values[one % len(values)], values[two % len(values)]
        values.append(STEPS[step](a, b, number))
    return values


def at(value: Any, point: dict[str, int]) -> Any:
    return value.at(point, {}) if isinstance(value, Size) else value


@given(PROGRAMS, POINTS, POINTS)
def test_an_expression_is_right_at_every_point_where_its_guards_hold(
    program: Any, near: dict[str, int], point: dict[str, int]
) -> None:
    of = Assumptions(near)
    sizes = run(program, of.symbols)
    if of.failed(point) is None:
        assert [at(size, point) for size in sizes] == run(program, point)
    assert [at(size, near) for size in sizes] == run(program, near)
    assert [size.hint for size in sizes if isinstance(size, Size)] == [
        at(size, near) for size in sizes if isinstance(size, Size)
    ]


@given(PROGRAMS, POINTS, POINTS)
def test_bounds_hold_at_every_point(
    program: Any, near: dict[str, int], point: dict[str, int]
) -> None:
    of = Assumptions(near)
    sizes = run(program, of.symbols)
    if of.failed(point) is None:
        for size in sizes:
            if isinstance(size, Size):
                low, high = of.bounds(size)
                assert low <= at(size, point) <= high


@given(POINTS)
def test_bounds_of_a_floor_within_another_floor_hold(point: dict[str, int]) -> None:
    of = Assumptions(point)
    third: Any = of.symbols["a"] // 3
    size = 2 * third - 3 * ((2 * third + 1) // 3) - 1
    low, high = of.bounds(size)
    assert (low, high) == (-2, 0)
    assert low <= size.hint <= high


def test_what_grows_together_has_its_least_value_at_the_edges() -> None:
    of = Assumptions({"a": 64, "b": 5})
    a, b = of.symbols.values()
    assert of.bounds(a * b - a)[0] == 0
    assert of.bounds(a * b - a // 8)[0] > 0
    assert a % 8 == 0
    assert of.bounds(8 * (a // 8) - a) == (0, 0)
    assert of.bounds(a)[0] == 8


@given(PROGRAMS, POINTS, POINTS, st.integers(-3, 40))
def test_an_answer_is_that_of_every_point_where_the_guards_hold(
    program: Any, near: dict[str, int], point: dict[str, int], number: int
) -> None:
    of = Assumptions(near)
    *_, size = run(program, of.symbols)
    answers = [size >= number, size == number, size != number, size < number, size > number]
    plain = at(size, near)
    assert answers == [
        plain >= number, plain == number, plain != number, plain < number, plain > number
    ]  # fmt: skip
    if of.failed(point) is None:
        there = at(size, point)
        assert answers == [
            there >= number, there == number, there != number, there < number, there > number
        ]  # fmt: skip


def test_one_size_has_one_form() -> None:
    of = Assumptions({"H": 224, "W": 256})
    h: Any = of.symbols["H"]
    w: Any = of.symbols["W"]
    side: Any = h
    for _ in range(5):
        side = (side + 2 - 3) // 2 + 1
    assert str(side) == "⌊(H + 31)/32⌋"
    assert str((h - 5) // 2) == str((h + 1) // 2 - 3) == "⌊(H + 1)/2⌋ - 3"
    assert str(h + -h % 7) == "7·⌊(H + 6)/7⌋"
    assert str((h + -h % 7) // 7) == "⌊(H + 6)/7⌋"
    assert str(12 * h * w // (4 * h)) == "3·W"
    assert str(larger(h, 7)) == "max(7, H)"
    assert not of.guards


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda h, w: h > 32, "H ≥ 33"),
        (lambda h, w: h < 32, "H ≥ 32"),
        (lambda h, w: h % 32 == 0, "H mod 32 = 0"),
        (lambda h, w: h % 32 == 1, "H mod 32 ≠ 1"),
        (lambda h, w: (h + 1) // 2 >= 4, "H ≥ 7"),
        (lambda h, w: h != w, "H ≠ W"),
        (lambda h, w: 2 * h > w, "2·H ≥ W + 1"),
        (lambda h, w: h == 1, "H ≥ 2"),
        (lambda h, w: range(h), "H = 224"),
        (lambda h, w: h * w == 7, "H·W ≠ 7"),
    ],
)
def test_a_guard_is_a_sentence(ask: Any, said: str) -> None:
    of = Assumptions({"H": 224, "W": 256})
    ask(*of.symbols.values())
    assert [of.sentence(guard) for guard in of.guards.values()] == [said]


def test_a_whole_floor_below_goes_too() -> None:
    of = Assumptions({"H": 224, "W": 256})
    h, w = of.symbols.values()
    assert str(h * w // (2 * (w // 32))) == "⌊H·W/(2·⌊W/32⌋)⌋"
    assert w % 32 == 0
    assert str(16 * w // (w // 32 * 32)) == "16"


def test_floors_that_grow_together_decide_beyond_doubt() -> None:
    of = Assumptions({"H": 224, "W": 256})
    high, wide = (size // 2 for size in of.symbols.values())
    assert high >= 5
    assert wide >= 5
    asked = len(of.guards)
    assert (high - 4) * (wide - 4) >= 1
    assert len(of.guards) == asked


def test_what_is_known_of_symbols_is_that_of_one_place() -> None:
    of = Assumptions({"H": 224, "W": 256})
    half: Any = of.symbols["H"] // 2
    for least in 8, 20:
        known = Bounds(of.hints)
        known.learn(of.symbols["H"] - least, "≥ 0")
        assert known.of(half * half)[0] == (least // 2) ** 2


def test_an_equation_is_asked_once() -> None:
    of = Assumptions({"H": 9, "W": 9})
    h, w = of.symbols.values()
    assert h == w
    assert w == h
    assert len(of.guards) == 1


def test_what_follows_is_not_asked_again() -> None:
    of = Assumptions({"H": 224})
    (h,) = of.symbols.values()
    assert h >= 33
    assert h >= 7
    assert h != 1
    assert (h + 1) // 2 >= 17
    assert len(of.guards) == 1
    of.where = lambda: "net.py:3"
    assert [h] * (h // 112) == [h, h]
    assert [guard.place for guard in of.guards.values()] == ["", "net.py:3"]


@given(POINTS)
def test_a_sum_of_many_is_their_sum(point: dict[str, int]) -> None:
    a, b, _ = Assumptions(point).symbols.values()
    sizes = [a, 3, a * b, a // 2, -a, 4]
    assert str(sum_of(sizes)) == str(sum(sizes))
    assert sum_of([1, 2]) == 3


def test_what_is_known_of_other_bounds_is_not_taken_for_ones_own() -> None:
    of = Assumptions({"H": 8, "W": 8})
    half = of.symbols["H"] // 2
    small, large = Bounds(of.hints), Bounds(of.hints)
    for bounds, size in (small, 6 - of.symbols["H"]), (large, of.symbols["H"] - 100):
        bounds.learn(size, "≥ 0")
        bounds.of(half)
    assert (small.of(half), large.of(half)) == ((0, 3), (50, inf))


@given(POINTS, st.integers(1, 5))
def test_what_divides_a_sum_leaves_no_floor(point: dict[str, int], number: int) -> None:
    of = Assumptions(point)
    a, b, c = of.symbols.values()
    below = a // 2 + b * c + number
    for times in a, a * b + 3 * c, of.constant(number):
        whole = times * below // below
        assert whole.key == times.key
    assert "⌊" in repr((a * below + b) // below)
