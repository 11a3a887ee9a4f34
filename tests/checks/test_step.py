"""Torch's count of a training step in named terms: nothing is left, and its fault has a name."""

from __future__ import annotations

import json

import pytest
import torch
from collection import REPRESENTATIVE, built, size
from command_line import Run
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import costlab
from costlab.errors import CostlabError

FAULT = "gradients of weights of grouped convolutions, times the groups"


@pytest.mark.parametrize("model", ["alexnet", "googlenet", "mobilenet-v1", "resnet50", "xception"])
def test_networks_of_the_catalog(model: str) -> None:
    result = costlab.reconcile(model, training_cost=True)
    assert result.explained
    (account,) = result.accounts
    terms = {term.cause: term for term in account.terms}
    grouped = model in ("alexnet", "mobilenet-v1", "xception")
    assert (FAULT in terms) == grouped
    assert all(term.fault == (cause == FAULT) for cause, term in terms.items())
    total = costlab.analyze(model, training_cost=True).total
    assert result.macs == total.training_macs
    assert terms["gradients of inputs, 2 per MAC"].units == 2 * total.input_gradient_macs


@pytest.mark.parametrize("name", REPRESENTATIVE[:3])
def test_networks_of_others(name: str) -> None:
    module = built(name)
    shape = size(module)
    module = module.to_empty(device="cpu")
    assert costlab.reconcile(module, (2, *shape[1:]), training_cost=True).explained


class Mixed(nn.Module):
    """A frozen layer, groups, attention, a part that runs again."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(16, 16).requires_grad_(False)
        self.grouped = nn.Conv1d(16, 16, 3, groups=4, padding=1)
        self.transposed = nn.ConvTranspose1d(16, 16, 1, groups=2)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.again = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

    def forward(self, x: Tensor) -> Tensor:
        y = self.transposed(self.grouped(self.frozen(x).transpose(1, 2))).transpose(1, 2)
        y, _ = self.attention(y, y, y)
        again: Tensor = checkpoint(self.again, y, use_reentrant=False)
        return again


@pytest.mark.parametrize("learns", [False, True])
def test_what_a_step_may_have(learns: bool) -> None:
    inputs = torch.zeros(2, 6, 16, requires_grad=learns)
    result = costlab.reconcile(Mixed(), inputs=inputs, training_cost=True)
    assert result.explained
    causes = {term.cause for term in result.accounts[0].terms}
    assert {FAULT, "forward, again, 2 per MAC"} < causes
    part = costlab.reconcile(Mixed(), inputs=inputs, training_cost=True, path="grouped")
    assert {term.units for term in part.accounts[0].terms if term.fault} == {
        2 * 3 * (16 * 3 * 4) * (2 * 6)
    }


def test_the_command_counts_a_step(costlab: Run) -> None:
    done = costlab("reconcile", "alexnet", "--training-cost", "--format", "json")
    assert done.returncode == 0
    data = json.loads(done.stdout)
    assert data["macs"] == 2_067_805_248
    torchs = data["counters"]["torch"]
    assert (torchs["actual"], torchs["residual"]) == (2 * 2_478_654_528, 0)
    assert torchs["faults"] == [FAULT]
    other = costlab("reconcile", "alexnet", "--training-cost", "--counter", "thop")
    assert (other.returncode, other.stderr.count("\n")) == (2, 1)


def test_a_saved_report_cannot_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("saved") / "report.json"
    path.write_text(costlab.analyze("reduced").to_json(), encoding="utf-8")
    with pytest.raises(CostlabError, match="cannot run"):
        costlab.reconcile(str(path), training_cost=True)
