"""Other counters' totals, rebuilt from our table: to the last unit, or with what is left over."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from command_line import Run
from torch import Tensor, nn
from torch.nn import functional as F
from wrapped import Attends

import costlab as library
from costlab.counters import Counter, find
from costlab.counters.quantities import macs
from costlab.counters.terms import Params, Term, has_contraction

pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # the counters' own
    pytest.mark.usefixtures("quiet"),
]


class InSeveralPlaces(nn.Module):
    """A convolution in three places: once in a block that stands in two."""

    def __init__(self) -> None:
        super().__init__()
        conv = nn.Conv2d(6, 6, 3, padding=1)
        self.first = nn.Sequential(conv, nn.BatchNorm2d(6))
        self.second = nn.Sequential(self.first, nn.Sequential(conv))

    def forward(self, x: Tensor) -> Any:
        return self.second(self.first(x))


def test_a_module_in_several_places_is_explained_for_each_counter() -> None:
    found = library.reconcile(InSeveralPlaces().eval(), input_size=(2, 6, 8, 10))
    assert not any(account.residual for account in found.accounts)
    again = {
        account.counter: sum(term.units for term in account.terms if "several" in term.cause)
        for account in found.told
    }
    conv, outputs = 2 * 6 * 8 * 10 * 6 * 9, 2 * 6 * 8 * 10
    assert again["fvcore"] == again["torch"] == again["torchinfo"] == 0
    assert again["ptflops"] == 3 * (3 - 1) * (conv + outputs) + 2 * (2 - 1) * 2 * outputs
    assert again["thop"] == 3 * (9 - 1) * conv + 2 * (4 - 1) * 4 * outputs


class ByFunction(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu(x), 2)


def test_a_function_that_ptflops_counts_is_counted_twice_only_where_a_module_calls_it() -> None:
    once, twice = (
        {
            (term.cause, term.fault): term.units
            for term in library.reconcile(module, (1, 2, 4, 4), against=["ptflops"]).told[0].terms
        }
        for module in (ByFunction(), nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))
    )
    assert once == {
        ("activations, 1 per element, by function", False): 32,
        ("pooling, 1 per input, by function", False): 32,
    }
    assert twice == once | {
        ("activations called by modules, counted twice", True): 32,
        ("pooling called by modules, counted twice", True): 32,
    }


class Recurs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.linear = nn.LSTM(10, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(self.lstm(x)[0])
        return result


def counter(name: str) -> Counter:
    found = find(name)
    assert found is not None
    return found


def changed(monkeypatch: pytest.MonkeyPatch, name: str, **what: Any) -> None:
    """Registers a counter otherwise, such as with another convention."""
    file = import_module(f"costlab.counters.{name}")
    monkeypatch.setattr(file, "COUNTER", replace(counter(name), **what))


def is_about(term: Term, what: Any) -> bool:
    """Whether one of its selectors is that, or has that name."""
    return any(what in (selector, getattr(selector, "name", "")) for selector in term.where)


def test_what_is_not_explained_is_said_with_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, what in (("ptflops", "nn.LSTM"), ("fvcore", has_contraction)):
        terms = counter(name).convention
        without = tuple(term for term in terms if not is_about(term, what))
        changed(monkeypatch, name, convention=without)
    found = library.reconcile(Recurs(), (2, 6, 10), against=["ptflops", "fvcore"])
    assert not found.explained
    text = " ".join(found.to_text().split())
    by = found.accounts[0].residual
    said = (
        f"ptflops: {by:+,} units are not explained; layers of which its convention says nothing: "
    )
    assert by > 0
    assert f"{said}lstm" in text
    assert "fvcore: +1,944 units are not explained; lstm (+1,872), linear (+72)." in text


def test_a_wrong_convention_leaves_a_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = Term("half", where=(has_contraction,), units={macs: 2})
    changed(monkeypatch, "fvcore", convention=(twice,))
    (account,) = library.reconcile("pointwise", against=["fvcore"]).accounts
    assert account.residual == -2304


class Parameters(nn.Module):
    """Ten of each kind: read, twice there, not read, frozen, not of a module, and buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.frozen = nn.Linear(5, 2, bias=False), nn.Linear(2, 5, bias=False)
        self.first, self.second = nn.Linear(5, 2, bias=False), nn.Linear(5, 2, bias=False)
        self.second.weight = self.first.weight
        self.aux = nn.Linear(5, 2, bias=False)
        self.own = nn.Parameter(torch.zeros(10))
        self.norm = nn.BatchNorm1d(5)
        self.frozen.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.frozen(self.read(x)))
        result: Tensor = (self.first(x) + self.second(x)) * self.own.sum()
        return result


def test_params_are_told_apart_by_why_counters_differ() -> None:
    """Running statistics are buffers, and no counter's params."""
    found = library.reconcile(Parameters(), input_size=(3, 5))
    assert found.explained
    assert found.table.total.params == 50
    terms = {
        account.counter: {term.cause: term.units for term in account.params}
        for account in found.told
    }
    read, others = {"that are read": 50}, {"that nothing reads": 10}
    assert terms["fvcore"] == read | others
    assert terms["torch"] == {}
    assert terms["ptflops"] == terms["ptflops_aten"] == read | others | {"that are frozen": -10}
    assert terms["thop"] == read | {
        "of modules that it does not know, or that it does not see called": -10,
        "of modules in several places, or a tensor in several modules, once more for each": 10,
    }
    # 10 that are there twice, less the 10 of aux and 10 of its own that it takes for them
    assert terms["torchinfo"] == read | others
    for account in found.told:
        assert account.total is not None
        assert (account.total.params or 0) == sum(terms[account.counter].values())
    text = " ".join(found.to_text().split())
    assert "fvcore says 60 params: 50 that are read, 10 that nothing reads." in text
    data = json.loads(found.to_json())["counters"]["ptflops"]["params"]
    assert data == {"actual": 50, "terms": terms["ptflops"], "residual": 0}


def test_a_wrong_convention_of_params_leaves_a_residual(monkeypatch: pytest.MonkeyPatch) -> None:
    changed(monkeypatch, "ptflops", params=Params("all"))
    found = library.reconcile(Parameters(), (3, 5), against=["ptflops"])
    assert not found.explained
    assert found.accounts[0].params_residual == -10
    assert "−10 not explained." in " ".join(found.to_text().split())


def test_units_of_layers_add_up_to_a_counters_total() -> None:
    """The terms add up to the totals, scope by scope; where a counter tells, it says the same."""
    found = library.reconcile("reduced", depth=1)
    told = set()
    for account in found.told:
        assert account.total is not None
        assert sum(part.units for part in account.parts) == account.total.total
        for path in account.total.by_path:
            assert account.at(path).residual == 0, (account.counter, path)
            told.add(account.counter)
        assert account.differing() == []
    assert (tuple(found), len(found)) == (found.accounts, len(found.accounts))
    assert told >= {"fvcore", "torch", "thop", "torchinfo"}
    text = found.to_text(100)
    assert "branch5x5" in text
    assert not any(f"{account.counter} says" in text for account in found.accounts)
    for layer in found.data()["layers"]:
        for name, counted in layer["counters"].items():
            assert counted["actual"] in (None, counted["units"]), (layer["path"], name)


def test_a_residual_of_the_whole_model_stays_with_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that does not tell by part leaves the whole model's residual."""
    changed(monkeypatch, "ptflops", convention=counter("ptflops").convention[1:])
    found = library.reconcile("reduced", against=["ptflops"], path="branch5x5")
    assert found.accounts[0].residual == 128_049_152
    assert not found.explained


def test_a_part_of_a_model_is_reconciled(costlab: Run) -> None:
    found = library.reconcile(
        "googlenet", against=["fvcore", "ptflops"], path="inception_3a/branch5x5", depth=1
    )
    fvcore, ptflops = found.accounts
    assert (found.macs, fvcore.reported, fvcore.residual) == (12_443_648, 12_443_648, 0)
    assert (ptflops.reported, ptflops.residual) == (None, 0)
    assert sum(term.units for term in ptflops.terms) > 12_443_648
    assert [layer["path"].rpartition(".")[2] for layer in found.data()["layers"]] == [
        "reduce",
        "reduce_relu",
        "conv",
        "relu",
    ]
    assert "inception_3a.branch5x5 of googlenet" in found.to_text(100)
    done = costlab("reconcile", "reduced", "--counter", "fvcore", "--path", "branch5")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'branch5x5'" in done.stderr


def test_reconcile_on_the_command_line(costlab: Run) -> None:
    done = costlab("reconcile", "reduced", "--counter", "fvcore,torch", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    data = json.loads(done.stdout)
    assert data["explained"] is True
    assert data["counters"]["torch"]["actual"] == 2 * 128_049_152
    assert data["counters"]["fvcore"]["terms"] == {
        "contractions, 1 per MAC": 128_049_152,
        "norms, 2 per element of batch norm": 2 * 28 * 28 * 368,
    }
    done = costlab("reconcile", "reduced", "--counter", "fvcoer")
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'fvcore'" in done.stderr


def test_a_counter_that_was_named_and_did_not_run_exits_1(
    costlab: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For one that was not named, and is not there, all that ran may be explained."""
    changed(monkeypatch, "thop", package="no_such_package")
    for named, code in ((["--counter", "fvcore,thop"], 1), ([], 0), (["--counter", "fvcore"], 0)):
        done = costlab("reconcile", "pointwise", *named)
        assert (done.returncode, done.stderr) == (code, "")
        said = re.search(r"\bthop\b[^.:]*: not installed", done.stdout)
        assert bool(said) == (named != ["--counter", "fvcore"])


@pytest.mark.parametrize("layers", [1, 2])
def test_an_lstm_over_packed_sequences_is_no_one_call_of_onednn(layers: int) -> None:
    packed = nn.utils.rnn.pack_padded_sequence(torch.ones(5, 3, 4), torch.tensor([5, 3, 2]))
    lstm = nn.LSTM(4, 6, layers, bidirectional=True)
    counters = ["torch", "fvcore"]
    account = library.reconcile(lstm, inputs=(packed,), against=counters)
    assert account.explained
    assert "no formula for an LSTM" not in account.to_text()
    assert library.reconcile(lstm, inputs=torch.ones(5, 3, 4), against=counters).explained


def test_macs_that_a_counter_does_not_see_are_said() -> None:
    said = library.reconcile(Attends(), (2, 5, 8), against=["thop", "fvcore"]).to_markdown()
    assert "Not seen by thop: 800 MACs of attention." in said


def test_a_counter_that_lacks_what_it_needs_is_not_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "needy_counter.py").write_text("import no_such_package\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    changed(monkeypatch, "thop", package="needy_counter")
    found = library.reconcile("pointwise", against="thop")
    assert not found.explained
    (account,) = found.accounts
    assert account.problem == (
        "it cannot be imported: ModuleNotFoundError: No module named 'no_such_package'"
    )


@pytest.mark.filterwarnings("ignore")
def test_what_is_left_over_of_vmap_is_said_to_be_of_it() -> None:
    """Hooks and functions put in torch's place see one of the batch."""

    class Mapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 5)

        def forward(self, x: Tensor) -> Any:
            return torch.vmap(self.linear)(x)

    found = library.reconcile(Mapped(), (3, 2, 4), counters=["torch", "ptflops"])
    torchs, other = found.accounts
    assert (torchs.residual, torchs.remark) == (0, "")
    assert other.residual != 0
    assert not found.explained
    assert "inside of a transform of torch.func, such as vmap" in other.remark
    assert other.remark in " ".join(found.to_text().split())


@pytest.mark.parametrize("training", [False, True])
def test_a_part_that_is_not_there_is_refused_with_those_that_are(training: bool) -> None:
    expected = "unknown part of reduced 'nope': known are branch1x1, branch3x3"
    with pytest.raises(library.UnknownNameError, match=expected):
        library.reconcile("reduced", counters="torch", path="nope", training_cost=training)
