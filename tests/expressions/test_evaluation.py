"""Values, against Python's own arithmetic: on fractions, arrays and bounds."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from subprocess import run
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import examples

from costlab.errors import ExpressionError
from costlab.expressions.expression import Expression, Values
from costlab.expressions.nodes import Variable
from costlab.expressions.parser import Names, condition, number
from costlab.graph.arithmetic import Ratio
from costlab.sweeps.interval import Interval, Unsure

LEAVES = st.sampled_from(["a", "b", "c", "7", "2.5", "1e3", "0"])
NAMES = Names(dict.fromkeys("abc", "number"))


def numbers_of(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("{} {} {}".format, inner, st.sampled_from("+-*/"), inner),
        st.builds("({}) {} {}".format, inner, st.sampled_from(["//", "%"]), st.integers(1, 9)),
        st.builds("-{}".format, inner),
    )


NUMBERS = st.recursive(LEAVES, numbers_of, max_leaves=6)
COMPARISONS = st.builds(
    "{} {} {}".format, NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), NUMBERS
)
TRUTHS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not {}".format, inner),
        st.builds("({} < {} <= {})".format, NUMBERS, NUMBERS, NUMBERS),
    ),
    max_leaves=4,
)
POINT = st.tuples(*[st.integers(0, 50)] * 3)
FRACTIONS = st.tuples(*[st.fractions(-50, 50, max_denominator=12)] * 3)


def supply(**values: Any) -> Values:
    return lambda reference: values[reference.name]


def python_value(text: str, values: dict[str, Fraction]) -> Any:
    """What Python says of the text with exact fractions; None where it divides by 0."""
    tree = ast.parse(text, mode="eval")

    class Exact(ast.NodeTransformer):
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            written = ast.Constant(ast.get_source_segment(text, node))
            return ast.Call(ast.Name("Fraction", ast.Load()), [written], [])

    code = compile(ast.fix_missing_locations(Exact().visit(tree)), "", "eval")
    try:
        return eval(code, {"Fraction": Fraction}, dict(values))
    except ZeroDivisionError:
        return None


@settings(max_examples=examples(120), deadline=None)
@given(NUMBERS, FRACTIONS)
def test_numbers_are_what_python_says(text: str, point: tuple[Fraction, ...]) -> None:
    values = dict(zip("abc", point, strict=True))
    expected = python_value(text, values)
    expression = number(text, NAMES)
    if expected is None:
        with pytest.raises(ExpressionError, match="this is 0, and divides"):
            expression.one(supply(**values))
    else:
        assert expression.one(supply(**values)) == expected


@settings(max_examples=examples(80), deadline=None)
@given(TRUTHS, st.lists(POINT, min_size=1, max_size=8))
def test_conditions_are_what_python_says(text: str, points: list[tuple[int, ...]]) -> None:
    """On single numbers, on arrays of them, and on their bounds."""
    expression = condition(text, NAMES)
    columns = dict(zip("abc", zip(*points, strict=True), strict=True))
    expected = [
        python_value(text, {name: Fraction(column[i]) for name, column in columns.items()})
        for i in range(len(points))
    ]
    arrays = {name: np.array(column) for name, column in columns.items()}
    objects = {name: np.array(column, object) for name, column in columns.items()}
    with np.errstate(all="ignore"):
        results = [expression(supply(**each)) for each in (arrays, objects)]
    alone = [expression(supply(**dict(zip("abc", point, strict=True)))) for point in points]
    for truth, known in results:
        truths, knowns = (np.broadcast_to(each, len(points)) for each in (truth, known))
        for i, python in enumerate(expected):
            assert bool(knowns[i]) == bool(alone[i][1])
            if python is None:
                assert not knowns[i]  # Python stops at the first division by 0
            elif knowns[i]:
                assert bool(python) == bool(truths[i]) == bool(alone[i][0])
    bounds = {name: Interval(min(column), max(column)) for name, column in columns.items()}
    sure, known = expression(supply(**bounds))
    if not isinstance(sure, Unsure) and not isinstance(known, Unsure) and known:
        assert {bool(each) for each in expected if each is not None} <= {bool(sure)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.6 G / 1 M", 1600),
        ("a / 3 % 2", Fraction(5, 3)),
        ("a / 2 // 2", 2),
        ("-a // 3 + a % 4", -4 + 3),
        ("2 - 3 - 4", -5),
        ("2 / 3 / 4", Fraction(1, 6)),
        ("a - -a", 22),
    ],
)
def test_an_expression_with_a_has_the_value_computed_by_hand(text: str, value: Fraction) -> None:
    result = number(text, NAMES).one(supply(a=11))
    assert (result, type(result)) == (value, Fraction)


@pytest.mark.parametrize("kind", ["a", "b", "c"])
def test_ratios_and_fractions_are_numbers(kind: str) -> None:
    values = {"a": Fraction(1, 3), "b": Ratio(1, 3), "c": Ratio(np.array(1), 3)}
    truth, known = condition(f"{kind} * 3 == 1 and {kind} < 0.34", NAMES)(supply(**values))
    assert bool(truth)
    assert known is True


def test_quotients_are_kept_as_two_whole_numbers() -> None:
    value, known = number("a / 2 + 1", NAMES)(supply(a=3))
    assert (value.numerator, value.denominator, known) == (5, 2, True)


def test_denominators_stay_positive() -> None:
    for divisor in (-2, np.array([-2]), Interval(-2, -2)):
        value, _ = number("1 / a", NAMES)(supply(a=divisor))
        low = getattr(value.denominator, "low", value.denominator)
        assert low > 0


def test_one_number_divided_by_0_is_pointed_at() -> None:
    with pytest.raises(ExpressionError, match=r"this is 0, and divides \(column 10, before 'a - 2"):
        condition("1 < 7 / (a - 2) or a == 2", NAMES).one(supply(a=2))


def test_parsing_and_counting_single_numbers_does_not_import_numpy() -> None:
    script = (
        "import sys\n"
        "from costlab.expressions.parser import Names, number\n"
        "assert number('a / 3 % 2', Names({'a': 'number'})).one(lambda name: 11) < 2\n"
        "from costlab.expressions import tables\n"
        "assert not {'numpy', 'torch', 'pandas', 'sympy'} & set(sys.modules)\n"
    )
    assert run([sys.executable, "-c", script], check=False).returncode == 0


JOINED: dict[str, Callable[[Iterable[bool]], bool]] = {
    "and": all,
    "or": any,
    "==": lambda truths: len({*truths}) == 1,
    "!=": lambda truths: len({*truths}) == 2,
}


EQUAL = st.builds("not ({}) {} ({})".format, TRUTHS, st.sampled_from(["==", "!="]), TRUTHS)


@given(st.one_of(TRUTHS, TRUTHS.map("not ({})".format), EQUAL), FRACTIONS)
def test_what_is_joined_is_as_true_as_the_whole(
    text: str, point: tuple[Fraction, Fraction, Fraction]
) -> None:
    """Also what the parts divide by 0 is what the whole does, and so is what they are called."""
    values = supply(**dict(zip("abc", point, strict=True)))
    whole = condition(text, NAMES)

    def truth(one: Expression) -> bool | None:
        try:
            return bool(one.one(values))
        except ExpressionError:
            return None

    def compare_with_its_parts(one: Expression) -> None:
        assert truth(condition(one.written, NAMES)) == truth(one)
        joint, parts = one.joined()
        truths = [truth(part) for part in parts]
        if parts:
            assert truth(one) == (None if None in truths else JOINED[joint](map(bool, truths)))
            assert len(parts) > 1
        for part in parts:
            compare_with_its_parts(part)

    compare_with_its_parts(whole)


@given(COMPARISONS, FRACTIONS)
def test_the_sides_of_a_comparison(text: str, point: tuple[Fraction, Fraction, Fraction]) -> None:
    values = supply(**dict(zip("abc", point, strict=True)))
    whole = condition(text, NAMES)
    sides = whole.sides()
    assert sides is not None
    left, sign, right = sides
    try:
        holds = whole.one(values)
    except ExpressionError:
        return
    assert (
        eval(f"left {sign} right", {"left": left.one(values), "right": right.one(values)}) == holds
    )


def test_what_compares_no_two_numbers_has_no_sides() -> None:
    for text in ("a < b < c", "not a < b < c", "a < b or a > b", "(a < b) == (b < c)", "True"):
        assert condition(text, NAMES).sides() is None


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
def test_not_turns_what_is_compared(sign: str) -> None:
    """Whatever the numbers are, and twice is not at all."""
    plain, turned, twice = (
        condition(text.format(sign), NAMES).sides()
        for text in ("a {} b", "not a {} b", "not not (a {} b)")
    )
    assert plain
    assert turned
    assert twice
    assert twice[1] == sign
    for numbers in ((1, 2), (2, 2), (3, 2)):
        assert eval(f"{numbers[0]} {sign} {numbers[1]}") != eval(
            f"{numbers[0]} {turned[1]} {numbers[1]}"
        )


@pytest.mark.parametrize(
    ("text", "joint", "written"),
    [
        ("a < b or (b < c and a < c or not b < a)", "or", "a < b|b < c and a < c|not b < a"),
        ("(a < (b) <= (c - 1) * 2\n and True)", "and", "a < (b)|(b) <= (c - 1) * 2|True"),
        ("not (a < b and (b < c or a < c))", "or", "not a < b|not (b < c or a < c)"),
        ("not (not (a < b) or a < b < c)", "and", "not not (a < b)|not a < b < c"),
        ("not not (a < b or b < c)", "or", "a < b|b < c"),
        ("not (a < b) == (b < c)", "!=", "a < b|b < c"),
        ("not a < b", "", ""),
        ("True", "", ""),
    ],
)
def test_parts_are_called_as_they_are_written(text: str, joint: str, written: str) -> None:
    """Also those of what is not so, which have a ``not`` of their own."""
    sign, parts = condition(text, NAMES).joined()
    assert (sign, "|".join(part.written for part in parts)) == (joint, written)


def _named(values: dict[str, int], variable: Variable) -> int:
    return values[variable.name]
