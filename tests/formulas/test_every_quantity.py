"""Every quantity there is has a formula, is compared, swept and checked, by the same numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
from torch import Tensor, nn

import costlab as library
from costlab.costs.of_runs import OF_RUNS
from costlab.costs.quantities import OF_TRAINING, QUANTITIES, TIME_BOUNDS, quantities
from costlab.errors import ChoiceError, UnknownNameError

NAMES = [*QUANTITIES, *OF_TRAINING, *OF_RUNS, *TIME_BOUNDS]
AT = {"N": 3, "H": 20, "W": 14}
HOW: dict[str, Any] = {"device": "h100-sxm", "optimizer": "adamw"}


class Net(nn.Module):
    """Has something of every quantity."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 5).requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        x = nn.functional.max_pool2d(self.norm(self.stem(x)).sigmoid(), 2)
        return self.head(x.mean((2, 3)))


MODELS: dict[str, tuple[Any, int, dict[str, Any]]] = {
    "module": (Net(), 3, {"input_size": "N,3,H,W"}),
    "catalog": ("naive/branch5x5", 192, {}),
}
EACH = pytest.mark.parametrize("which", MODELS)


@cache
def known(which: str) -> dict[str, int]:
    """What a table, a run, a step and a device say at one size."""
    model, channels, _ = MODELS[which]
    size = (AT["N"], channels, AT["H"], AT["W"])
    total = library.analyze(model, size, training_cost=True).total
    of_layers = {name: one.of(total) for name, one in quantities(training_cost=True).items()}
    step = library.memory(model, size, training=True, optimizer="adamw").total
    run = library.memory(model, size).total
    held = {
        name: (step if one.optimizer else run)[name.removeprefix("training_")]
        for name, one in OF_RUNS.items()
    }
    times = library.bounds(model, size, device="h100-sxm")
    least = {"time_bound": times.one_by_one.least, "time_bound_fused": times.fused.least}
    return of_layers | held | least


def formula(which: str) -> library.Formula:
    model, _, size = MODELS[which]
    return library.formula(model, "" if size else "N", quantities=NAMES, **size, **HOW)


@EACH
def test_a_formula_has_every_quantity_and_shows_it(which: str) -> None:
    function = formula(which)
    there = function.at(**AT)
    assert {name: int(there[name]) for name in NAMES} == known(which)
    text = function.to_text()
    assert [name for name in NAMES if f"\n{name} =" not in text] == []


def test_two_formulas_are_compared_by_every_quantity() -> None:
    one, other = map(formula, MODELS)
    text = library.compare(one, other).to_text()
    assert [name for name in NAMES if f"\n{name} of Net =" not in text] == []


@EACH
def test_every_quantity_is_swept_and_may_be_a_condition_and_a_goal(which: str) -> None:
    model, _, size = MODELS[which]
    vary = {"N": [2, 3, 4], "H": [20], "W": [14]}
    rows = library.sweep(model, vary, quantities=NAMES, **size, **HOW)
    at = rows[rows["N"].eq(AT["N"])].iloc[0]
    assert {name: at[name] for name in NAMES} == known(which)
    where = " and ".join(f"{name} <= {number}" for name, number in known(which).items())
    goal = " + ".join(NAMES)
    rows = library.sweep(model, vary, where=where, maximize=goal, **size, **HOW)
    assert rows.N.max() == AT["N"]


@EACH
@pytest.mark.parametrize("varied", [False, True])
def test_every_quantity_is_checked(which: str, varied: bool) -> None:
    model, channels, size = MODELS[which]
    limits = [f"{name} == {number}" for name, number in known(which).items()]
    if varied:
        how = {"vary": {name: [number] for name, number in AT.items()}, **size}
    else:
        how = {"input_size": (AT["N"], channels, AT["H"], AT["W"])}
    assert library.check(model, *limits, **how, **HOW).holds


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam"])
def test_what_a_step_holds_has_what_its_optimizer_keeps(optimizer: str) -> None:
    names = "optimizer_bytes,training_peak_bytes"
    function = library.formula(Net(), input_size="N,3,H,W", quantities=names, optimizer=optimizer)
    step = library.memory(Net(), (3, 3, 20, 14), training=True, optimizer=optimizer)
    assert function.at(**AT).optimizer_bytes == step.total["optimizer_bytes"]
    assert function.at(**AT).training_peak_bytes == step.peak_bytes


def test_an_optimizer_is_of_a_step_and_has_a_name() -> None:
    with pytest.raises(ChoiceError, match="such as optimizer_bytes"):
        library.formula("lenet5", optimizer="adam", quantities="peak_bytes")
    with pytest.raises(ChoiceError, match="such as optimizer_bytes"):
        library.check("lenet5", "macs < 1", optimizer="adam")
    with pytest.raises(UnknownNameError, match="did you mean 'adam'"):
        library.formula("lenet5", optimizer="adan", quantities="saved_bytes")
    with pytest.raises(UnknownNameError, match="did you mean 'optimizer_bytes'"):
        library.formula("lenet5", quantities="optimiser_bytes")
