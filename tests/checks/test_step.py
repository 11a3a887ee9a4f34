"""Torch's count of a training step in named terms: nothing is left, and its fault has a name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from collection import REPRESENTATIVE, built, size
from command_line import Run
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
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


PRODUCTS: dict[str, Any] = {
    "matmul": (lambda x, a: x @ a, (2, 6, 3, 4), (4, 5)),
    "matmul_of_stacks": (lambda x, a: x @ a, (2, 1, 3, 4), (6, 4, 5)),
    "vector_and_matrix": (lambda x, a: x @ a, (4,), (4, 5)),
    "mv": (torch.mv, (3, 4), (4,)),
    "dot": (torch.dot, (4,), (4,)),
    "inner_of_vectors": (torch.inner, (4,), (4,)),
    "inner_of_a_matrix": (torch.inner, (3, 4), (4,)),
    "stack_and_vector": (lambda x, a: x.transpose(0, 1) @ a, (2, 3, 4), (4,)),
    "vector_and_stack": (lambda x, a: a @ x, (2, 4, 5), (4,)),
    "stack_and_constant": (lambda x, a: (x * a).transpose(0, 1) @ x.new_ones(4), (2, 3, 4), (4,)),
    "stack_as_it_lies": (lambda x, a: (x * a) @ x.new_ones(4), (2, 3, 4), (4,)),
    "constant_and_stack": (lambda x, a: x.new_ones(4) @ (x * a), (2, 4, 5), (5,)),
    "tensordot": (lambda x, a: torch.tensordot(x, a, dims=2), (3, 4), (3, 4)),
    "multi_dot": (lambda x, a, b: torch.linalg.multi_dot([x, a, b]), (4,), (4, 5), (5,)),
    "baddbmm": (lambda x, a, b: torch.baddbmm(b, x, a), (2, 3, 4), (2, 4, 5), (3, 5)),
    "addbmm": (lambda x, a, b: torch.addbmm(b, x, a), (2, 3, 4), (2, 4, 5), (3, 5)),
    "addmm_": (lambda x, a: x.new_zeros(3, 5).addmm_(x, a), (3, 4), (4, 5)),
    "addmv": (lambda x, a, b: torch.addmv(b, x, a), (3, 4), (4,), (3,)),
    "einsum": (lambda x, a: torch.einsum("bij,jk->bik", x, a), (2, 3, 4), (4, 5)),
    "einsum_of_one": (lambda x, a: torch.einsum("ij,jk->ik", x, a), (3, 1), (1, 5)),
    "einsum_of_vectors": (lambda x, a: torch.einsum("ij,j->i", x, a), (3, 4), (4,)),
    "bilinear": (F.bilinear, (3, 4), (3, 6), (5, 4, 6), (5,)),
    "bilinear_of_vectors": (F.bilinear, (4,), (6,), (5, 4, 6)),
    "cdist": (torch.cdist, (30, 4), (5, 4)),
    "cdist_of_few": (torch.cdist, (3, 4), (5, 4)),
    "conv_tbc": (lambda x, a, b: torch.conv_tbc(x, a, b, 1), (7, 2, 4), (3, 4, 6), (6,)),
    "solve_triangular": (
        lambda x, a: torch.linalg.solve_triangular(a, x, upper=True), (4, 5), (4, 4)
    ),
    "solve": (torch.linalg.solve, (3, 1, 1), (3, 1, 5)),
    "solve_for_a_vector": (torch.linalg.solve, (3, 1, 1), (3, 1)),
    "inv": (lambda x, a: torch.linalg.inv(x * a), (3, 1, 1), (1,)),
    "values_have_more_heads": (
        lambda x, a, b: F.scaled_dot_product_attention(x * a, x * b, x.expand(2, 3, 3, 4)),
        (2, 1, 3, 4), (4,), (4,),
    ),
    "again": (
        lambda x, a, b, c: checkpoint(
            lambda y: torch.tanh(F.bilinear(y, a, b) @ c), x, use_reentrant=False
        ),
        (3, 4), (3, 6), (5, 4, 6), (5,),
    ),
}  # fmt: skip


class Products(nn.Module):
    """Products of each kind, of an input and of parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.factors = nn.ModuleDict(
            {
                name: nn.ParameterList(torch.ones(shape) for shape in shapes)
                for name, (_, _, *shapes) in PRODUCTS.items()
            }
        )

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        functions = (function for function, *_ in PRODUCTS.values())
        each: Any = zip(functions, inputs, self.factors.values(), strict=True)
        return tuple(function(x, *factors) for function, x, factors in each)


@pytest.mark.parametrize("learns", [False, True])
def test_products_of_every_kind(learns: bool) -> None:
    """Which of them torch has no formula for, forwards, backwards or both."""
    inputs = tuple(torch.ones(shape, requires_grad=learns) for _, shape, *_ in PRODUCTS.values())
    (account,) = costlab.reconcile(Products(), inputs=inputs, training_cost=True).accounts
    assert account.total is not None, account.problem
    assert account.residual == 0
    assert {term.what for term in account.terms if term.fault} == {
        "no formula for addbmm",
        "no formula for bilinear",
        "no formula for conv_tbc",
        "no formula for products in place",
        "no formula for products with a vector",
        "einsum over one element",
    }


class MoreInTraining(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.first(x)
        return self.second(y) if self.training else y


@pytest.mark.parametrize("training_cost", [False, True])
def test_the_counter_runs_in_the_mode_that_is_asked_for(training_cost: bool) -> None:
    how: dict[str, Any] = {"training_cost": training_cost, "counters": "torch"}
    given, learning = (
        costlab.reconcile(MoreInTraining(), (2, 4), training=training, **how)
        for training in (False, True)
    )
    assert given.explained
    assert learning.explained
    assert (given.macs, learning.macs) == ((64, 160) if training_cost else (32, 64))


@dataclass
class Batch:
    x: Tensor
    lengths: Tensor


class OfBatches(nn.Module):
    """What torch runs by faster kernels elsewhere than on ``meta``, and lengths that decide."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.out = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, batch: Any) -> dict[str, Tensor]:
        x, lengths = (batch.x, batch.lengths) if isinstance(batch, Batch) else batch.values()
        if lengths is None:
            y, _ = self.rnn(x)
        else:
            packed, _ = self.rnn(pack_padded_sequence(x, lengths.cpu(), batch_first=True))
            y, _ = pad_packed_sequence(packed, batch_first=True)
        return {"y": self.out(F.scaled_dot_product_attention(y, y, y))}


@pytest.mark.parametrize(
    "batch",
    [
        {"x": torch.rand(2, 6, 5), "lengths": None},
        {"x": torch.rand(2, 6, 5), "lengths": torch.tensor([6, 6])},
        Batch(torch.rand(2, 6, 5), torch.tensor([6, 6])),
    ],
    ids=["dict", "lengths", "dataclass"],
)
def test_steps_on_what_a_module_is_given(batch: Any) -> None:
    module = OfBatches()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    result = costlab.reconcile(module, inputs=(batch,), training_cost=True)
    assert result.explained
    assert result.accounts[0].total
    assert all(torch.equal(module.state_dict()[name], own) for name, own in before.items())
    assert all(parameter.grad is None for parameter in module.parameters())


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
