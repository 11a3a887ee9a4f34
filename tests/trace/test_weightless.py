"""Modules that are made without their weights cost what modules with weights do."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.graph import Graph
from costlab.models.module import MadeOnce
from costlab.models.python_code import model_of
from costlab.models.reference import AS_PUBLISHED
from costlab.models.symbolic_choices import Maker
from costlab.trace.symbolic_modules import fills


class Convolutions(nn.Module):
    def __init__(self, width: int = 80) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.old = nn.Parameter(torch.zeros(width, 1, 1), requires_grad=False)
        self.head = nn.Linear(width, 10)
        self.tied = nn.Linear(width, 10, bias=False)
        self.tied.weight = self.head.weight
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.trunc_normal_(parameter, std=0.02)
        self.head.to("cpu", torch.float32)

    def forward(self, x: Tensor) -> Any:
        x = (self.norm(self.conv(x)) + self.old).mean((2, 3))
        return self.head(x), self.tied(x)


class Masked(nn.Module):
    """Has a mask that is made of ones, and decides by it."""

    mask: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.register_buffer("mask", torch.tril(torch.ones(30, 30)) == 0)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x).masked_fill(self.mask, 0)
        return x[:, :, self.mask[0]]


class Positions(nn.Module):
    """Has tensors that it computes, one of which no module has registered."""

    def __init__(self) -> None:
        super().__init__()
        table = torch.zeros(32, 32)
        table[:, 0::2] = torch.sin(torch.arange(32).unsqueeze(1) * torch.rand(16))
        self.table = table
        self.norm = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 1))
        self.register_buffer("of_weight", torch.ones(70, device=self.norm.bias.device))

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(self.table, self.norm(x))


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.then = nn.LazyConv2d(70, 3), nn.Conv2d(70, 80, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self.first(x))  # type: ignore[no-any-return]


def graphs(make: Callable[[], nn.Module]) -> tuple[bool, list[Graph]]:
    """Whether weights were left out, and the graph without them and with them."""
    size = (1, 3, 32, 32)
    once = MadeOnce(Maker(make), {}, AS_PUBLISHED)
    left_out = once.has_left_out
    with_weights = model_of(lambda: make, "", {})
    assert not any(tensor.is_meta for tensor in with_weights.parameters())  # type: ignore[union-attr]
    return left_out, [
        once.network(size, AS_PUBLISHED, {}).graph,
        costlab.analyze(with_weights, size).graph,
    ]


@pytest.mark.parametrize("make", [Convolutions, Masked, Positions, Lazy])
def test_a_module_without_weights_costs_the_same(make: Callable[[], nn.Module]) -> None:
    left_out, (without, with_weights) = graphs(make)
    assert left_out
    assert without.layers == with_weights.layers
    assert without.values == with_weights.values


class AskedFor(Convolutions):
    def __init__(self, how: Callable[[nn.Module], int]) -> None:
        super().__init__()
        self.repeats = how(self)

    def forward(self, x: Tensor) -> Any:
        for _ in range(self.repeats):
            x = torch.relu(x)
        return super().forward(x)


def caught(module: Any) -> int:
    try:
        return 1 + int(module.head.weight.sum() > 0)
    except Exception:
        return 9


ASKED: dict[str, Callable[[Any], int]] = {
    "a value": lambda module: 1 + int(module.head.weight[0, 0].item() > 0),
    "a comparison": lambda module: 1 + int(bool((module.head.weight > 0).any())),
    "an index": lambda module: 1 + int(module.head.weight.argmax()),
    "an array": lambda module: 1 + int(module.head.weight.detach().numpy()[0, 0] > 0),
    "an error that is caught": caught,
    "a number drawn behind weights": lambda module: 1 + int(torch.randint(100, ())),
    "an order drawn behind weights": lambda module: 1 + int(torch.randperm(100)[0]),
    "a place in memory": lambda module: 1 + (module.head.weight.data_ptr() == 0),
    "a tensor of its own without values": lambda _: 1 + torch.ones(2).to("meta").is_meta,
    "what is changed by a weight": lambda module: (
        1 + int(torch.tensor([1.0]).copy_(module.head.weight[0, :1]) > 0)
    ),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_asks_for_values_is_made_with_all_of_them(what: str) -> None:
    left_out, (without, with_weights) = graphs(lambda: AskedFor(ASKED[what]))
    assert not left_out
    assert without.layers == with_weights.layers


def test_a_forward_that_asks_for_a_small_weight_gets_it() -> None:
    class Gated(Convolutions):
        def __init__(self) -> None:
            super().__init__()
            self.gate = nn.Parameter(torch.rand(1))

        def forward(self, x: Tensor) -> Any:
            return super().forward(x) if self.gate.item() > 0.5 else x

    left_out, (without, with_weights) = graphs(Gated)
    assert left_out
    assert without.layers == with_weights.layers


def test_random_numbers_are_left_as_they_were() -> None:
    before = torch.get_rng_state(), random.getstate()
    for make in (Convolutions, lambda: AskedFor(ASKED["a value"])):
        graphs(make)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == random.getstate()


def test_an_error_of_the_constructor_is_the_same() -> None:
    with pytest.raises(costlab.CodeError, match="groups must be a positive integer"):
        MadeOnce(Maker(lambda: nn.Conv2d(3, 100, 3, groups=0)), {}, AS_PUBLISHED)


LARGE = """
from torch import nn

def net(layers=1):
    return nn.Sequential(*(nn.Linear(2**24, 2**24, bias=False) for _ in range(layers)))
"""


def test_networks_that_are_larger_than_memory(tmp_path: Path) -> None:
    """A petabyte each, in every way to ask what they cost."""
    code, size, params = tmp_path / "large.py", (1, 2**24), 2**48
    code.write_text(LARGE, encoding="utf-8")
    name = f"{code}:net"
    assert costlab.sweep(name, {"layers": "1,2"}, input_size=size).params.tolist() == [
        params,
        2 * params,
    ]
    assert costlab.analyze(name, size, layers=3).total.params == 3 * params
    assert costlab.parameters(name).total.params == params
    assert costlab.memory(name, size).total["params_bytes"] == 4 * params
    assert costlab.formula(name, input_size="N,16777216").at(N=1).macs == params


def test_functions_that_fill_are_known_behind_what_a_tool_has_put_around_them() -> None:
    @wraps(nn.init.zeros_)
    def zeros_(tensor: Tensor) -> Tensor:
        return tensor

    assert fills({"zeros_": zeros_, "ones_": nn.init.ones_}) == {nn.init.zeros_, nn.init.ones_}
