"""The language of conditions and goals, and the bounds of numbers, each against Python itself."""

from __future__ import annotations

import operator
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import costlab as library
from costlab.sweeps.expression import condition, goal
from costlab.sweeps.interval import LARGEST, Interval, Unsure

LEAVES = st.sampled_from(["a", "b", "c", "7", "2.5", "1e3", "0"])


def numbers_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds(
            "({} {} {})".format,
            st.sampled_from("abc"),
            st.sampled_from(["//", "%"]),
            st.integers(1, 9),
        ),
        st.builds("-{}".format, inner),
    )


NUMBERS = st.recursive(LEAVES, numbers_of, max_leaves=6)
COMPARISONS = st.builds(
    "{} {} {}".format, NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS
)
TRUTHS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("({} < {} <= {})".format, NUMBERS, NUMBERS, NUMBERS),
    ),
    max_leaves=4,
)


def oracle(text: str, values: dict[str, int]) -> bool | None:
    """What Python says of the text with exact fractions; None where it divides by 0."""
    import ast

    tree = ast.parse(text, mode="eval")

    class Fractions(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            written = ast.Constant(ast.get_source_segment(text, node))
            return ast.Call(ast.Name("Fraction", ast.Load()), [written], [])

    code = compile(ast.fix_missing_locations(Fractions().visit(tree)), "", "eval")
    fractions = {name: Fraction(value) for name, value in values.items()}
    try:
        return bool(eval(code, {"Fraction": Fraction}, fractions))
    except ZeroDivisionError:
        return None


@settings(max_examples=300)
@given(TRUTHS, st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=8))
def test_conditions_are_what_python_says(text: str, points: list[tuple[int, ...]]) -> None:
    read = condition(text, {"a": "number", "b": "number", "c": "number"})
    said = [oracle(text, dict(zip("abc", point, strict=True))) for point in points]
    arrays = {
        name: np.array(column)
        for name, column in zip("abc", zip(*points, strict=True), strict=True)
    }
    found, known = (np.broadcast_to(each, len(points)) for each in read(arrays))
    for point, truth, ours, there in zip(points, said, found, known, strict=True):
        alone = read(dict(zip("abc", point, strict=True)))
        assert bool(there) == bool(alone[1])
        if truth is None:
            assert not there  # Python stops at the first division by 0
        elif there:
            assert truth == bool(ours) == bool(alone[0])
    bounds = {
        name: Interval(int(column.min()), int(column.max())) for name, column in arrays.items()
    }
    whole, _ = read(bounds)
    if not isinstance(whole, Unsure) and None not in said and known.all():
        assert set(said) == {bool(whole)}


def test_what_is_divided_by_0_is_refused() -> None:
    vary = {"c5r": [8, 16, 24]}
    for where in ("macs/(c5r-16) < 1e9", "not macs/(c5r-16) < 5", "macs/(c5r-16) != 5"):
        frame = library.sweep("reduced", vary, where=where)
        assert 16 not in frame.c5r.tolist()
    frame = library.sweep("reduced", vary, minimize="1/(c5r-16)")
    assert frame.c5r.tolist() == [8, 24]
    assert frame.attrs["refused"] == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("mac < 5", "unknown name 'mac': did you mean 'macs'?; at column 1, before 'mac < 5'"),
        ("macs < ", "something is missing at the end, in 'macs <'"),
        ("macs < 5 and ", "something is missing at the end"),
        ("macs < 120M", "(120 million is 120e6) at column 10, before '0M'"),
        ("macs < 5 && aux", "invalid syntax (write and) at column 11"),
        ("macs", "this is a number: compare it, as in macs < 120e6; at column 1"),
        ("macs < 5 and params", "this is a number: compare it, as in macs < 120e6; at column 14"),
        ("macs = 5", "invalid syntax (equal is ==) at column 6, before '= 5'"),
        (
            "macs ** 2 < 5",
            "no part of the language (+ - * / // %, == < and the like, and or not); at",
        ),
        ("__import__('os').system('x') < 1", "no part of the language"),
        ("[macs for macs in ()]", "no part of the language"),
        ("macs % 0 == 1", "// and % take a whole number from 1; at column 8"),
        ("macs // c5r > 1", "// and % take a whole number from 1; at column 9"),
        ("'plain' < 'x'", "only numbers are smaller or larger; at column 1"),
        ("macs == 'plain'", "this is a word: a number is wanted"),
        ("not macs", "this is a number: compare it"),
        ("é < 5 and macs", "unknown name 'é'"),
        ("(" * 500, ""),
        ("+".join(["c5r"] * 600) + " > 1", "this is too long"),
        ("macs < 1e999999999", "this number is beyond reason; at column 8"),
        ("macs < 1e-999999999", "this number is beyond reason; at column 8"),
    ],
)
def test_a_mistake_is_pointed_at(text: str, said: str) -> None:
    with pytest.raises(library.ExpressionError) as raised:
        library.sweep("reduced", {"c5r": [16]}, where=text)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_columns_are_counted_in_characters() -> None:
    with pytest.raises(library.ExpressionError, match="at column 17, before 'nope'"):
        condition("'é×' == 'a' and nope", {})


def test_words_and_switches_may_be_compared() -> None:
    frame = library.sweep(
        "googlenet",
        {"stem": "plain,separable", "bn": "True,False"},
        where="stem == 'separable' and not bn",
    )
    assert frame[["stem", "bn"]].values.tolist() == [["separable", False]]
    assert frame.macs.tolist() == [1_498_677_248]


def test_goals_are_numbers() -> None:
    number, known = goal("macs / 2 + 1", {"macs": "number"})({"macs": 3})
    assert (number.numerator, number.denominator, known) == (5, 2, True)
    with pytest.raises(library.ExpressionError, match="a number is wanted, such as macs"):
        library.sweep("reduced", {"c5r": [16]}, minimize="macs < 5")


# Bounds


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
def test_bounds_hold(a: list[int], b: list[int], rule: Callable[[Any, Any], Any]) -> None:
    bounds = rule(Interval(*a), Interval(*b))
    for x in (a[0], sum(a) // 2, a[1]):
        for y in (b[0], sum(b) // 2, b[1]):
            assert bounds.low <= rule(x, y) <= bounds.high
            for compare in (operator.lt, operator.ge, operator.le, operator.gt):
                truth = compare(Interval(*a), Interval(*b))
                assert isinstance(truth, Unsure) or truth == compare(x, y)


def test_bounds_end_with_64_bits() -> None:
    assert (Interval(0, 2**62) + (2**62 - 1)).high == LARGEST
    with pytest.raises(OverflowError):
        Interval(0, 2**62) + 2**62
    with pytest.raises(TypeError):
        bool(Interval(0, 5) < 3)
