"""The cross-check by counters that have totals only: through the terms of their conventions."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from command_line import Run
from torch import Tensor, nn
from torch.nn import functional as F

import costlab as library
from costlab.checks.by_terms import ByTerms
from costlab.checks.crosscheck import CrossCheck, CrossChecks
from costlab.counters import Counter, CounterTotal, find, reconcilable
from costlab.errors import how_to_install

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the counters' own
    pytest.mark.usefixtures("quiet"),
]


def counter(name: str) -> Counter:
    registered = find(name)
    assert registered is not None
    return registered


def of_totals() -> list[str]:
    """The counters that have no numbers of layers."""
    return [name for name in reconcilable() if counter(name).measure is None]


def checked(name: str, model: Any, size: tuple[int, ...] | None = None) -> CrossCheck:
    check = library.crosscheck(model, size, counters=name)
    reasons = {row.because for row in check.rows if row.ours}
    if any(because.startswith("not installed") for because in reasons):
        pytest.skip(f"{name} is not installed")
    return check


def changed(monkeypatch: pytest.MonkeyPatch, name: str, total: Any) -> None:
    """Registers a counter that gives another total."""
    file = import_module(f"costlab.counters.{name}")
    monkeypatch.setattr(file, "COUNTER", replace(counter(name), total=total))


def said(check: CrossCheck, name: str) -> dict[str, tuple[str, str]]:
    """What is said of the layers that have multiply-adds."""
    return {row.path: (row.verdict, row.because) for row in check.of(name) if row.ours}


@pytest.mark.parametrize("name", of_totals())
def test_each_counter_agrees_on_a_network_of_the_catalog(name: str) -> None:
    check = checked(name, "reduced")
    assert check.agrees, check.to_text(200)
    assert {verdict for verdict, _ in said(check, name).values()} == {"agrees"}
    text = " ".join(check.to_text().split())
    by = "totals of modules" if counter(name).by_module else "total alone"
    assert f"contractions of reduced (by its {by}, in named terms)." in text


@pytest.mark.parametrize("name", reconcilable())
def test_counters_say_whether_they_tell_of_modules(name: str) -> None:
    account = ByTerms(library.analyze("reduced/branch5x5")).account(counter(name))
    if account.absent:
        pytest.skip(account.problem)
    assert account.total is not None
    has_modules = any(path for path in account.total.by_path)
    assert has_modules == counter(name).by_module


class Mixed(nn.Module):
    """Contractions of modules and functions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.linear = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(self.up(self.conv(x)))
        return F.linear(y, self.linear.weight.T).mT @ y


SIZE = (2, 3, 5, 8)
MACS = {"conv": 8640, "up": 5120, "linear": 6400, "linear_1": 6400, "matmul": 6400}


def test_what_a_counter_does_not_see_or_has_wrong_is_said_by_layer() -> None:
    check = checked("thop", Mixed(), SIZE)
    assert {row.path: row.ours for row in check.of("thop") if row.ours} == MACS
    fault = "known fault of thop: transposed convolutions, on the output grid, +15,360"
    unseen = ("not covered", "it counts no multiply-adds of such a call")
    assert said(check, "thop") == {
        "conv": ("agrees", ""),
        "up": ("known fault", fault),
        "linear": ("agrees", ""),
        "linear_1": unseen,
        "matmul": unseen,
    }
    assert check.agrees


def test_a_total_alone_is_compared_with_all_of_the_model() -> None:
    check = checked("ptflops", Mixed(), SIZE)
    of_all = ("agrees", "with all of the model, by its terms")
    assert said(check, "ptflops") == {
        **dict.fromkeys(("conv", "up", "linear"), of_all),
        **dict.fromkeys(
            ("linear_1", "matmul"), ("not covered", "it counts no multiply-adds of such a call")
        ),
    }


def test_one_more_of_a_module_is_a_difference_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def one_more(module: nn.Module, inputs: tuple[Tensor, ...]) -> CounterTotal:
        more = {path: units + (path == "linear") for path, units in true(module, inputs).items()}
        return CounterTotal("0.1.1", sum(more.values()), by_path=more)

    def true(module: nn.Module, inputs: tuple[Tensor, ...]) -> dict[str, int]:
        return {"conv": 8640, "up": 4 * 5120, "linear": 6400}

    changed(monkeypatch, "thop", one_more)
    monkeypatch.setattr("costlab.checks.asking._missing", lambda counter: "")
    check = library.crosscheck(Mixed(), SIZE, counters="thop")
    verdicts = said(check, "thop")
    assert not check.agrees
    assert verdicts["linear"] == (
        "differs",
        "it says 6,401 for linear, and its terms come to 6,400, +1",
    )
    assert (verdicts["conv"][0], verdicts["up"][0]) == ("agrees", "known fault")
    assert verdicts["matmul"][0] == "differs"  # it is in no module but the model


def test_one_more_in_all_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    units = 8640 + 5120 + 6400 + 2 * 4 * 5 * 8 + 2 * 4 * 10 * 16 + 2 * 4 * 10 * 5
    for more, agrees in ((0, True), (1, False)):
        total = CounterTotal("0.7.5", units + more)
        changed(monkeypatch, "ptflops", lambda module, inputs, total=total: total)
        monkeypatch.setattr("costlab.checks.asking._missing", lambda counter: "")
        check = library.crosscheck(Mixed(), SIZE, counters="ptflops")
        assert check.agrees is agrees
    because = f"it says {units + 1:,} for the model, and its terms come to {units:,}, +1"
    assert set(said(check, "ptflops").values()) == {("differs", because)}


def test_a_counter_that_counts_calls_inside_of_modules_again_has_them_twice() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.MultiheadAttention(8, 2)

        def forward(self, x: Tensor) -> Any:
            return self.inner(x, x, x)[0]

    check = checked("ptflops", Attends(), (3, 2, 8))
    assert said(check, "ptflops")["inner.attention"] == (
        "known fault",
        "known fault of ptflops: multi-head attention, 1 per MAC, score and scaled query, once "
        "more, +288",
    )


@pytest.mark.parametrize("name", [name for name in reconcilable() if counter(name).versions])
def test_a_version_that_is_not_known_is_said_to_be_one(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    linear = nn.Sequential(nn.Linear(3, 4, bias=False))
    units = 24 * counter(name).unit
    changed(monkeypatch, name, lambda module, inputs: CounterTotal("9.1", units))
    monkeypatch.setattr("costlab.checks.asking._missing", lambda counter: "")
    (account,) = library.reconcile(linear, (2, 3), counters=name).accounts
    assert f"is 9.1, and its terms are known of {name}" in account.remark
    if counter(name).measure is None:
        check = library.crosscheck(linear, (2, 3), counters=name)
        assert check.agrees
        assert "is 9.1, and its terms" in check.notes[name]
        assert check.data()["notes"] == check.notes


@pytest.mark.parametrize("name", ["ptflops", "fvcore"])
@pytest.mark.parametrize("layer", [nn.Linear(3, 4), nn.ReLU()])
def test_a_counter_that_gives_no_number_says_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, layer: nn.Module
) -> None:
    """Of a model without multiply-adds too, where there is nothing to confirm."""

    def fails(*given: Any) -> Any:
        raise RuntimeError("no such kernel")

    changed(monkeypatch, name, fails)
    monkeypatch.setattr("costlab.checks.crosscheck.measure", fails)
    monkeypatch.setattr("costlab.checks.asking._missing", lambda counter: "")
    check = library.crosscheck(layer, (2, 3), counters=name)
    assert not check.agrees
    model = type(layer).__name__
    expected = f"{name} says nothing of {model}: it failed with RuntimeError: no such kernel."
    assert check.verdict(name).text == expected
    assert check.headline() == f"{model}: {name} failed"


def test_a_counter_that_is_not_there_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = replace(counter("fvcore"), package="no_such_package")
    monkeypatch.setattr(import_module("costlab.counters.fvcore"), "COUNTER", missing)
    check = library.crosscheck(nn.Linear(3, 4), (2, 3), counters="fvcore")
    assert f"not installed: {how_to_install('counters')}" in check.verdict("fvcore").text


def test_what_is_left_over_is_said_where_there_is_nothing_to_compare(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changed(monkeypatch, "ptflops", lambda module, inputs: CounterTotal("0.7.5", 22))
    monkeypatch.setattr("costlab.checks.asking._missing", lambda counter: "")
    checks = [library.crosscheck(nn.ReLU(), size, counters="ptflops") for size in ((2, 3), (11,))]
    assert [check.agrees for check in checks] == [False, True]
    assert "+10 of its total by no term" in checks[0].verdict("ptflops").text
    runs = CrossChecks(tuple(checks)).data()["runs"]
    assert ["+10" in run["notes"]["ptflops"] for run in runs] == [True, False]


def test_no_more_than_all_macs_are_confirmed() -> None:
    """Each layer of a module that is compared as a whole has its own MACs."""

    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(8, 8)
            self.attention = nn.MultiheadAttention(8, 2)

        def forward(self, x: Tensor) -> Any:
            return self.attention(x, x, x)[0], self.gru(x)[0]

    check = library.crosscheck(Beside(), (3, 2, 8), counters="fvcore")
    total = check.table.total.macs
    confirmed = [row for row in check.of("fvcore", "agrees") if row.ours]
    assert [row.path.split(".")[0] for row in confirmed] == ["attention"] * 3
    assert sum(row.ours for row in confirmed) == total - 3 * 2 * 2 * 3 * 8 * 8
    assert "44.2% of the MACs" in check.verdict("fvcore").text


def test_all_counters_are_given_by_one_word(costlab: Run) -> None:
    done = costlab("crosscheck", "reduced", "--counter", "fvcore,ptflops", "--format", "csv")
    assert done.returncode in (0, 1)  # where ptflops is not installed, it confirms nothing
    assert {line.split(",")[2] for line in done.stdout.splitlines()[1:]} == {"fvcore", "ptflops"}


def test_one_more_that_is_in_no_layer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    total = CounterTotal("0.1.1", 25, by_path={"0": 24})
    changed(monkeypatch, "thop", lambda module, inputs: total)
    monkeypatch.setattr("costlab.checks.asking._missing", lambda counter: "")
    check = library.crosscheck(nn.Sequential(nn.Linear(3, 4)), (2, 3), counters="thop")
    assert said(check, "thop") == {"0": ("agrees", "")}
    assert "+1 of its total by no term" in check.verdict("thop").text
