"""Rules of users that say what the backward pass takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training import step
from wrapped import own_rules

import costlab
from costlab.errors import ChoiceError, TraceError
from costlab.graph.opcount import OpCount


@pytest.fixture(autouse=True)
def _no_rules_are_left() -> Iterator[None]:
    with own_rules():
        yield


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor) -> Tensor:
        return x @ w

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        raise NotImplementedError


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 5))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = Product.apply(x, self.weight)  # type: ignore[no-untyped-call]
        return result


def product(output: Tensor, x: Tensor, w: Tensor) -> costlab.StepCount:
    macs = output.numel() * w.shape[0]
    return costlab.StepCount(
        OpCount(macs=macs),
        input_gradient=OpCount(macs=macs, mul=7),
        weight_gradient=OpCount(macs=macs, add=3),
    )


def block(module: Layer, output: tuple[int, ...], *inputs: Any) -> costlab.StepCount:
    return product(torch.empty(output), torch.empty(inputs[0]), module.weight)


@pytest.mark.parametrize("learns", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(("target", "rule"), [(Product, product), (Layer, block)])
def test_a_rule_may_say_what_goes_back(
    target: Any, rule: Any, frozen: bool, learns: bool, tmp_path: Path
) -> None:
    """Each gradient where it is wanted, in the table and in a report that is saved."""
    costlab.counting(target)(rule)
    x = torch.zeros(3, 4, requires_grad=learns)
    table = step(Layer().requires_grad_(not frozen), x)
    file = tmp_path / "report.json"
    file.write_text(table.to_json())
    for total in (table.total, costlab.analyze(str(file), training_cost=True).total):
        assert not total.backward_bound
        assert not total.backward_ops_bound
        assert total.macs == 60
        assert total.input_gradient_macs == 60 * learns
        assert total.weight_gradient_macs == 60 * (not frozen)
        assert total.input_gradient_ops.mul == 7 * learns
        assert total.weight_gradient_ops.add == 3 * (not frozen)
    assert "60" in json.dumps(json.loads(table.to_json())["graph"]["layers"])


def test_a_rule_that_does_not_is_a_lower_bound() -> None:
    costlab.counting(Product)(lambda output, x, w: OpCount(macs=60))
    assert step(Layer(), torch.zeros(3, 4)).total.backward_bound == "at least"


def test_inside_of_vmap_it_counts_for_each_of_the_batch() -> None:
    costlab.counting(torch.ops.aten.mm)(product)

    class Mapped(Layer):
        def forward(self, x: Tensor) -> Tensor:
            return torch.vmap(lambda one: torch.mm(one, self.weight))(x)

    total = step(Mapped(), torch.zeros(2, 3, 4)).total
    assert (total.macs, total.weight_gradient_macs) == (120, 120)


@pytest.mark.parametrize("wrong", [3, None, OpCount(mul=-1)])
def test_a_count_that_is_none_is_refused(wrong: Any) -> None:
    costlab.counting(Product)(lambda output, x, w: costlab.StepCount(OpCount(), wrong))
    with pytest.raises((ChoiceError, TraceError), match="the rule for Product"):
        step(Layer(), torch.zeros(3, 4))
