"""What a training step of a module computes backwards, beside torch's counter."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from collection import REPRESENTATIVE, SMALL, built, size
from sampled import sampled
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from training import by_torch, step, with_torchs_fault

import costlab


class Frozen(nn.Module):
    """The first layer is frozen, the weight of another too, and one is used without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 16), nn.Linear(16, 32)
        self.third, self.aside = nn.Linear(32, 4), nn.Linear(8, 4)
        self.first.requires_grad_(False)
        self.third.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        y = self.third(torch.relu(self.second(self.first(x))))
        with torch.no_grad():
            y = y + self.aside(x)
        return y, self.aside(x).detach(), self.aside(x).data


class Cut(nn.Module):
    """Gradients that are cut in other ways."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.other = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            mask = self.other(x)
        before = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        mask = mask + self.other(x)
        torch.set_grad_enabled(before)
        with torch.no_grad(), torch.enable_grad():
            y = self.own(x)
        cut = functional.linear(y, self.own.weight.detach())
        chosen: Tensor = cut + (mask > 0) * self.own(y).argmax()
        return chosen


class Tied(nn.Module):
    """One weight in three places, one of them transposed; a layer whose result goes nowhere."""

    def __init__(self) -> None:
        super().__init__()
        self.own, self.unread = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        self.unread(x).sum()
        y: Tensor = self.own(self.own(x)) @ self.own.weight.t()
        return y


class Biased(nn.Module):
    """Attention with a learnt bias for each pair, of queries that want no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.values, self.bias = nn.Linear(8, 6), nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, self.values(x), self.bias)


class Multiplied(nn.Module):
    """A parameter as an operand of a product."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.zeros(2, 8, 5))

    def forward(self, x: Tensor) -> Tensor:
        return torch.bmm(x, self.place) + torch.einsum("bij,bjk->bik", x, self.place)


x, image = torch.zeros(2, 4, 8), torch.zeros(2, 4, 9, 9)
MODULES: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
    "frozen": (Frozen(), (x,)),
    "cut": (Cut(), (x,)),
    "tied": (Tied(), (x,)),
    "biased attention": (Biased(), (x,)),
    "multiplied": (Multiplied(), (x,)),
    "an input that wants a gradient": (nn.Linear(8, 8), (x.clone().requires_grad_(),)),
    "nothing learns": (nn.Linear(8, 8).requires_grad_(False), (x,)),
    "gru": (nn.GRU(8, 6), (x,)),
    "lstm, batch first, two layers": (nn.LSTM(8, 6, 2, batch_first=True), (x,)),
    "rnn, both directions": (nn.RNN(8, 6, bidirectional=True), (x,)),
    "rnn without a batch": (nn.RNN(8, 6), (torch.zeros(5, 8),)),
    "rnn of a learnt state": (nn.RNN(8, 6), (x, torch.zeros(1, 4, 6, requires_grad=True))),
    "cell": (nn.GRUCell(8, 6), (torch.zeros(2, 8),)),
    "multi-head attention": (nn.MultiheadAttention(8, 2), (x, x, x)),
    "encoder layer": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), (x,)),
    "transposed convolution": (nn.ConvTranspose2d(4, 6, 3, 2), (image,)),
    "grouped convolution": (nn.Conv2d(4, 6, 3, 2, groups=2), (image,)),
    "grouped transposed": (nn.ConvTranspose2d(4, 6, 3, groups=2), (image,)),
    "two convolutions": (nn.Sequential(nn.Conv1d(4, 6, 3), nn.Conv1d(6, 4, 3)), (x,)),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_step_is_what_torch_counts_through_backward(name: str) -> None:
    module, inputs = MODULES[name]
    table = step(module.train(), *inputs)
    table.graph.check()
    assert table.total.backward_bound == ""
    assert with_torchs_fault(table) == by_torch(module, *inputs)


@pytest.mark.parametrize("name", sampled(REPRESENTATIVE, *SMALL))
def test_a_step_of_a_model_of_pytorchcv_is_what_torch_counts(name: str) -> None:
    module = built(name).train()
    images = torch.empty(2, *size(module)[1:], device="meta")
    assert with_torchs_fault(step(module, images)) == by_torch(module, images)


class Checkpointed(nn.Module):
    """A layer, and then some that keep nothing."""

    def __init__(self, body: nn.Module, **how: Any) -> None:
        super().__init__()
        self.before, self.body, self.how = nn.Linear(8, 8), body, how

    def forward(self, x: Tensor) -> Any:
        return checkpoint(self.body, self.before(x), **self.how)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.last(torch.relu(self.first(x)))
        return y


def layers(*last: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), *last)


BODIES: dict[str, nn.Module] = {
    "one layer": nn.Linear(8, 8),
    "a layer last": layers(),
    "an activation last": layers(nn.GELU()),
    "a view last": layers(nn.Flatten()),
    "a norm last": layers(nn.LayerNorm(8)),
    "dropout last": layers(nn.Dropout()),
    "a residual": Residual(),
    "attention": nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
    "the first is frozen": nn.Sequential(nn.Linear(8, 8).requires_grad_(False), layers()),
}


@pytest.mark.parametrize("how", ["as needed", "all of it", "reentrant"])
@pytest.mark.parametrize("body", BODIES)
def test_what_a_checkpoint_runs_again_is_counted(body: str, how: str, tmp_path: Path) -> None:
    options = {"use_reentrant": how == "reentrant"}
    if how == "all of it":
        options["early_stop"] = False
    module = Checkpointed(BODIES[body], **options).train()
    table = costlab.analyze(module, inputs=(x,), training=True, training_cost=True)
    assert table.total.backward_bound == ""
    assert table.total.training_macs == by_torch(copy.deepcopy(module), x)
    if how == "reentrant":
        again = [row for row in table.rows if row.path.startswith("body") and row.macs]
        assert table.total.recomputed_macs == sum(row.macs for row in again)
    saved = tmp_path / "saved.json"
    saved.write_text(table.to_json(), encoding="utf-8")
    read = costlab.analyze(str(saved), training_cost=True)
    assert [row.backward for row in read.rows] == [row.backward for row in table.rows]


class Doubled(torch.autograd.Function):
    """A product whose backward pass is the user's own code."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        return x @ weight

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return None, None


class UsesDoubled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.weight = nn.Linear(8, 8), nn.Parameter(torch.zeros(8, 8))

    def forward(self, x: Tensor) -> Any:
        return Doubled.apply(self.before(x), self.weight)  # type: ignore[no-untyped-call]


def test_what_user_code_computes_backwards_is_not_known() -> None:
    table = step(UsesDoubled(), x)
    product = table.rows[-1]
    assert (product.label, product.backward_bound) == ("linear", "unknown")
    assert table.total.backward_bound == "at least"
    assert table.data()["rows"][-1]["input_gradient_macs"] is None
    assert table.total.weight_gradient_macs == 8 * 8 * 8  # of the layer before it


def test_the_module_is_as_it_was() -> None:
    module = Frozen().train()
    step(module, x)
    wanted = [parameter.requires_grad for parameter in module.parameters()]
    assert wanted == [False, False, True, True, False, True, True, True]
    assert all(parameter.grad is None for parameter in module.parameters())
    assert torch.is_grad_enabled()


def test_a_real_run_says_the_same() -> None:
    _, inputs = MODULES["frozen"]
    real = costlab.analyze(Frozen(), inputs=inputs, training_cost=True, real=True)
    assert real.data()["rows"] == step(Frozen(), *inputs).data()["rows"]
