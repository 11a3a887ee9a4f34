"""Formulas: exact at every size, valid where they say, and the same rules as the table's."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
import sympy
from command_line import Run, RunProcess
from hypothesis import given, settings
from hypothesis import strategies as st
from sampled import LARGE, without
from sympy import Abs, Max, Min, Mod, Symbol, floor
from sympy.abc import x

import costlab as library
from costlab.costs.quantities import QUANTITIES
from costlab.formulas import symbolic
from costlab.formulas.formula import Formula
from costlab.render.formats import render

NAMES = list(library.architectures())
H, W = (symbolic.symbol(name) for name in "HW")


def numbers(name: str) -> list[str]:
    entry = library.architectures()[name]
    return [each for each in entry.choices.keys() - entry.sizing if entry.takes_many(each)]


@cache
def of_numbers(name: str) -> Formula:
    """With every choice as a symbol that can be one."""
    return library.formula(name, ["N", *numbers(name)])


def exact(formula: Formula, values: dict[str, Any]) -> dict[str, int]:
    """The expressions with numbers, by sympy alone."""
    at = {Symbol(name): sympy.Rational(str(value)) for name, value in values.items()}
    expressions = {quantity: sympy.sympify(formula[quantity]) for quantity in QUANTITIES}
    return {
        quantity: int(each.xreplace({s: at[Symbol(s.name)] for s in each.free_symbols}))
        for quantity, each in expressions.items()
    }


@st.composite
def variants(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Values for every symbol of a formula, near where the network begins and far from it."""
    entry = library.architectures()[name]
    side = st.integers(1, 400)
    values: dict[str, Any] = {"N": draw(st.integers(1, 9)), "C": draw(st.integers(1, 300))}
    values |= {"H": draw(side), "W": draw(side)}
    for each in numbers(name):
        if isinstance(entry.choices[each], float):
            values[each] = float(Fraction(draw(st.integers(1, 200)), 100))
        else:
            values[each] = draw(st.integers(1, 300 if each != "k5" else 9))
    return values


@pytest.mark.parametrize("name", without(LARGE, NAMES))
@settings(max_examples=12)
@given(st.data())
def test_a_formula_is_exact_at_every_size(name: str, data: st.DataObject) -> None:
    values = data.draw(variants(name))
    formula = of_numbers(name)
    choices = {key: value for key, value in values.items() if key not in "NCHW"}
    try:
        total = library.analyze(name, [values[side] for side in "NCHW"], **choices).total
    except library.ShapeError:
        with pytest.raises(library.ShapeError):
            formula.at(**values)
        return
    table = {name: quantity.of(total) for name, quantity in QUANTITIES.items()}
    assert exact(formula, values) == table
    assert exact(formula.at(**values), {}) == table


@pytest.mark.parametrize("name", NAMES)
def test_a_formula_says_where_it_begins(name: str) -> None:
    """At the least height and width there is a network, below there is none."""
    formula = library.formula(name)
    bounds = dict(re.findall(r"^([HW]) ≥ (\d+)$", "\n".join(formula.requires), re.MULTILINE))
    least = {side: int(bounds.get(side, 1)) for side in "HW"}
    if not any("=" in each for each in formula.requires):
        formula.at(**least)
    for side in bounds:
        with pytest.raises(library.ShapeError):
            formula.at(**least | {side: least[side] - 1})


def test_what_a_formula_requires_beside_bounds() -> None:
    assert library.formula("googlenet").requires == ("H ≥ 31", "W ≥ 31")
    assert library.formula("reduced", ["c5r"]).requires == ()
    assert "2·⌊k5/2⌋ + 1 = k5" in library.formula("googlenet", ["k5"]).requires
    grouped = library.formula("alexnet(variant='grouped')")
    assert grouped.requires == ("H ≥ 67", "W ≥ 67")
    assert "⌊(H+9)/16⌋ = ⌊(H+1)/16⌋" in library.formula("bn-inception").requires


@pytest.mark.parametrize(
    ("nested", "tidied"),
    [
        (floor((floor(H / 2) + 3) / 5), floor((H + 6) / 10)),
        (-floor(-H / 2), floor((H + 1) / 2)),
        (-floor((3 - floor((H + 1) / 2)) / 2) + 1, floor((H + 1) / 4)),
        (floor((H + W + Abs(H - W)) / 2), Max(H, W)),
        (floor((H + W - Abs(H - W)) / 2), Min(H, W)),
        (Max(H, 3) + 2, Max(H + 2, 5)),
        (floor(x / 2), floor(x / 2)),
    ],
)
def test_nested_floors_become_one_floor(nested: sympy.Expr, tidied: sympy.Expr) -> None:
    assert symbolic.text(nested) == symbolic.text(tidied)
    assert len(symbolic.tidy(nested).atoms(floor)) == len(tidied.atoms(floor))
    for number in range(1, 40):
        at = {H: number, W: 17, x: sympy.Rational(number, 3)}
        assert nested.subs(at) == symbolic.tidy(nested).subs(at)


def test_a_floor_that_is_not_of_whole_numbers_stays() -> None:
    width = Symbol("width", positive=True)
    assert symbolic.tidy(floor(-width / 2)) == floor(-width / 2)
    assert symbolic.tidy(floor(floor(32 * width) / 2)) == floor(16 * width)


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (800 * H * W, "800·H·W"),
        (1024 * H**2 + 12345678, "1,024·H² + 12,345,678"),
        (floor((H - 5) / 2) * W, "W·⌊(H-5)/2⌋"),
        (floor(H / 4), "⌊H/4⌋"),
        (Max(8, floor(32 * Symbol("width", positive=True))), "max(8,⌊32·width⌋)"),
        (Mod(H, W) + Abs(x), "abs(x) + mod(H,W)"),
        (1234567, "1,234,567"),
    ],
)
def test_a_formula_is_printed_as_people_write_it(expression: Any, text: str) -> None:
    assert symbolic.text(expression) == text


def test_the_formula_of_a_branch_is_printed(costlab: Run) -> None:
    done = costlab("formula", "naive/branch5x5")
    assert (done.returncode, done.stderr) == (0, "")
    assert "macs = 800·C·H·W\n" in done.stdout
    assert "C=192, H=W=28, as published, gives 120,422,400 MACs" in done.stdout


def test_a_bound_on_a_floor_is_rounded_up() -> None:
    """Three times ⌊H/4⌋ is 7 or more from ⌊H/4⌋ = 3 on."""
    assert symbolic.requirements([(3 * floor(H / 4) >= 7, "")]) == ["H ≥ 12"]


def test_a_network_that_cannot_exist_has_no_formula() -> None:
    formula = library.formula("googlenet(ceil=False)", "k5")
    with pytest.raises(library.ShapeError, match="not defined at k5=4: it needs"):
        formula.at(k5=4)
    assert formula.at(k5=3).requires == library.formula("googlenet(ceil=False, k5=3)").requires


def test_symbols_for_choices_and_numbers_for_symbols() -> None:
    formula = library.formula("reduced/branch5x5", ["c5r", "c5"], {"H": 28, "W": 28}, factored=True)
    assert formula.symbols == ("C", "c5", "c5r")
    assert "macs = 784·c5r·(C + 25·c5)" in formula.to_text()
    assert formula.at(C=192, c5=32, c5r=16).macs == 12_443_648
    assert "macs = 12,443,648" in formula.at(C=192, c5=32, c5r=16).to_text()


@pytest.mark.parametrize(
    "model", ["googlenet", "mobilenet-v1(width=0.5)", "googlenet/inception_3a", "lenet5"]
)
def test_its_python_code_is_the_formula(model: str) -> None:
    formula = library.formula(model, ["N"])
    found: dict[str, Any] = {}
    exec(formula.to_sympy(), found)
    values = {"N": 2, "C": 3, "H": 301, "W": 333}
    for quantity in ("macs", "params", "flops", "activations"):
        at = {found[name]: value for name, value in values.items()}
        assert sympy.sympify(found[quantity]).subs(at) == exact(formula, values)[quantity]


def test_a_formula_in_latex_markdown_and_data() -> None:
    formula = library.formula("reduced/branch5x5", ["c5r"])
    assert r"\mathrm{macs} &= C \cdot H \cdot W \cdot \mathit{c5r}" in formula.to_latex()
    assert "```math\n\\begin{aligned}\n\\mathrm{macs} &= " in formula.to_markdown()
    macs = formula.data()["formulas"]["macs"]
    assert (macs["formula"], macs["value"]) == ("C*H*W*c5r + 800*H*W*c5r", 12_443_648)
    assert set(formula.to_frame().quantity) == set(QUANTITIES)
    with pytest.raises(library.CostlabError, match="sympy is a format of formulas"):
        render(library.analyze("naive"), "sympy")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["naive", "--symbol", "c7"], "unknown choice of naive 'c7'"),
        (["googlenet", "--symbol", "bn"], "each value builds a different network"),
        (["mobilenet-v1", "--symbol", "resolution"], "use H and W"),
        (["naive", "--at", "c1=3"], "unknown symbol 'c1'"),
        (["naive", "--at", "H"], "write NAME=VALUE"),
        (["naive", "--at", "H=3,H=4"], "H is given twice"),
        (["naive", "--at", "H=x"], "write NAME=VALUE"),
        (["googlenet", "--at", "H=W=20"], "not defined at H=20, W=20: it needs H ≥ 31, W ≥ 31"),
        (["mine.py:Net"], "an input size says what goes in, with names for what varies"),
        (["reduced/branch", "--symbol", "c3"], "unknown part of reduced 'branch'"),
    ],
)
def test_a_wrong_call_of_formula_is_one_line(costlab: Run, args: list[str], said: str) -> None:
    done = costlab("formula", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_formula_in_ascii(costlab_process: RunProcess) -> None:
    done = costlab_process("formula", "vgg11", env={"PYTHONIOENCODING": "ascii", "PATH": ""})
    assert "73,728*floor(H/2)*floor(W/2)" in done.stdout


def test_gradients_of_many_parts_of_one_map_are_added_in_a_formula_too() -> None:
    formula = library.formula("lenet5", training_cost=True)
    for side in 32, 45:
        there = formula.at(C=1, H=side, W=32)
        total = library.analyze("lenet5", (1, 1, side, 32), training_cost=True).total
        assert there.training_macs == total.training_macs
        assert there.training_other == total.training_other
