"""One rule, three kinds of numbers: ints, sympy symbols and numpy arrays go through one code."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy

import costlab
from costlab import catalog
from costlab.costs import CostTable, costs

MODULES = {
    "naive": ["c1", "c3", "c5"],
    "reduced": ["c1", "c3r", "c3", "c5r", "c5", "cp"],
}
QUANTITIES = ["macs", "params", "other", "flops", "activations"]
SIZES = [(1, 192, 28, 28), (2, 480, 14, 14), (3, 5, 7, 9)]


def table(model: str, size: tuple[Any, ...], choices: dict[str, Any]) -> CostTable:
    return costs(catalog.architecture(model).graph(size, **choices))


@pytest.mark.parametrize("model", MODULES)
def test_symbols_give_the_formula(model: str) -> None:
    size = sympy.symbols("N C H W", integer=True, positive=True)
    choices = {name: sympy.Symbol(name, integer=True, positive=True) for name in MODULES[model]}
    formula = table(model, size, choices).total
    for n, numbers in enumerate(SIZES):
        widths = {name: 3 + 7 * i + n for i, name in enumerate(choices)}
        exact = table(model, numbers, widths).total
        at = dict(zip(size, numbers, strict=True)) | {
            symbol: widths[name] for name, symbol in choices.items()
        }
        for quantity in QUANTITIES:
            assert getattr(formula, quantity).subs(at) == getattr(exact, quantity)


def test_the_formula_of_the_naive_5x5_branch() -> None:
    n, c, h, w = sympy.symbols("N C H W", integer=True, positive=True)
    branch = table("naive", (n, c, h, w), {}).at("branch5x5")
    assert sympy.simplify(branch.total.macs - 800 * n * c * h * w) == 0


@pytest.mark.parametrize("model", MODULES)
def test_arrays_give_every_variant_at_once(model: str) -> None:
    rng = np.random.default_rng(0)
    variants = 50
    sizes = [rng.integers(1, 40, variants) for _ in range(4)]
    widths = {name: rng.integers(1, 100, variants) for name in MODULES[model]}
    swept = table(model, tuple(sizes), widths).total
    for i in range(variants):
        exact = table(
            model,
            tuple(int(size[i]) for size in sizes),
            {name: int(width[i]) for name, width in widths.items()},
        ).total
        for quantity in QUANTITIES:
            assert getattr(swept, quantity)[i] == getattr(exact, quantity)


def test_arrays_say_where_the_network_does_not_exist() -> None:
    """A variant that raises with ints is marked by a condition with arrays."""
    widths = np.array([16, 0, 8])
    graph = catalog.architecture("reduced").graph((1, 192, 28, 28), c5r=widths)
    exists = np.logical_and.reduce([holds for holds, _ in graph.conditions])
    assert exists.tolist() == [True, False, True]
    with pytest.raises(costlab.ShapeError):
        costlab.analyze("reduced", c5r=0)


def test_ints_leave_no_condition_open() -> None:
    assert costlab.analyze("googlenet").graph.conditions == ()
