"""A parameter that code freezes or thaws during the run learns as it does when it is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import costlab

Step = Callable[["Net", Tensor], Any]


def frozen_for_one(net: Net, x: Tensor) -> Any:
    net.d.requires_grad_(False)
    result = net.d(net.g(x))
    net.d.requires_grad_(True)
    return result


def frozen_first(net: Net, x: Tensor) -> Any:
    return frozen_for_one(net, x) + net.d(net.g(x).detach())


def frozen_last(net: Net, x: Tensor) -> Any:
    real = net.d(net.g(x).detach())
    net.d.requires_grad_(False)
    return real + net.d(net.g(x))


def thawed(net: Net, x: Tensor) -> Any:
    net.e.requires_grad_(True)
    return net.e(net.d(x))


def thawed_between(net: Net, x: Tensor) -> Any:
    return net.e(net.g(x)[:, :5]) + thawed(net, net.g(x))


def set_as_attributes(net: Net, x: Tensor) -> Any:
    for parameter in net.d.parameters():
        parameter.requires_grad = False
    result = net.d(net.g(x))
    for parameter in net.d.parameters():
        parameter.requires_grad = True
    return result


def as_values(net: Net, x: Tensor) -> Any:
    """The weights go through a product of their own, frozen and then thawed."""
    net.d.weight.requires_grad_(False)
    result = net.g(x) @ (net.d.weight * 2).mT
    net.d.weight.requires_grad_(True)
    return result + net.g(x) @ (net.d.weight * 3).mT


class Net(nn.Module):
    """``e`` is frozen at first."""

    def __init__(self, step: Step) -> None:
        super().__init__()
        self.g, self.d, self.e = nn.Linear(7, 6), nn.Linear(6, 5), nn.Linear(5, 6)
        self.e.requires_grad_(False)
        self.step = step

    def forward(self, x: Tensor) -> Any:
        return self.step(self, x)


STEPS = [
    *(frozen_for_one, frozen_first, frozen_last, set_as_attributes, thawed, thawed_between),
    as_values,
]


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("step", STEPS)
def test_a_training_step_is_autograds(step: Step, real: bool) -> None:
    net, x = Net(step), torch.rand(3, 7)
    if step is thawed:
        x = torch.rand(3, 6)
    flags = [parameter.requires_grad for parameter in net.parameters()]
    table = costlab.analyze(net, inputs=x, training_cost=True, real=real)
    assert [parameter.requires_grad for parameter in net.parameters()] == flags
    taken = table.total.params + sum(elements for _, elements in table.graph.unused)
    assert taken == sum(parameter.numel() for parameter in net.parameters())
    assert table.complete
    with FlopCounterMode(display=False) as counter:
        net(x).sum().backward()
    assert 2 * table.total.training_macs == counter.get_total_flops()
