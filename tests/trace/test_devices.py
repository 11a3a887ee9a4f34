"""Code that asks for the device gets the one on which its tensors would be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab

CPU, CUDA, OTHER = torch.device("cpu"), torch.device("cuda", 0), torch.device("cuda", 1)


class Fn(nn.Module):
    """Calls a function after a linear layer, which is to give what is expected."""

    def __init__(self, function: Callable[[Any, Tensor], Any], expected: Any = None) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 4)
        self.register_buffer("own", torch.zeros(4))
        self.function, self.expected = function, expected

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        answer = self.function(self, y)
        assert self.expected is None or answer == self.expected
        return y  # type: ignore[no-any-return]


ASKED: dict[str, tuple[Callable[[Any, Tensor], Any], Any]] = {
    "device": (lambda m, y: y.device, CPU),
    "type of the device": (lambda m, y: y.device.type, "cpu"),
    "name": (lambda m, y: str(y.device), "cpu"),
    "is_cpu": (lambda m, y: (y.is_cpu, y.is_cuda, y.is_meta), (True, False, False)),
    "get_device": (lambda m, y: (y.get_device(), torch.get_device(y)), (-1, -1)),
    "like a parameter": (lambda m, y: y.device == m.linear.weight.device, True),
    "parameters": (lambda m, y: next(m.parameters()).device, CPU),
    "buffer": (lambda m, y: m.own.device, CPU),
    "view of a parameter": (lambda m, y: m.linear.weight.t().device, CPU),
    "default": (lambda m, y: torch.get_default_device(), CPU),
    "made": (lambda m, y: torch.empty(3, device=y.device).device, CPU),
    "made by default": (lambda m, y: torch.zeros(3).device, CPU),
    "a constant in an operation": (lambda m, y: (torch.ones(4) + y).device, CPU),
    "kept": (lambda m, y: y.to(m.linear.weight.device) is y, True),
    "cpu": (lambda m, y: y.cpu() is y, True),
    "moved": (lambda m, y: (y.to("cuda").device, y.device), (CUDA, CPU)),
    "moved by cuda": (lambda m, y: (y.cuda(1).relu().is_cuda, y.is_cuda), (True, False)),
    "moved by a number": (lambda m, y: y.to(1).get_device(), 1),
    "moved to another tensor": (lambda m, y: y.to(torch.ones(4, device="cuda:1")).device, OTHER),
    "moved and changed": (lambda m, y: y.to("cuda", torch.float16).device, CUDA),
    "moved by a keyword": (lambda m, y: (y.to(device="cuda:1") * 2).sum().device, OTHER),
    "made elsewhere": (lambda m, y: torch.zeros(4, device="cuda:1").add(1).device, OTHER),
    "like what is elsewhere": (lambda m, y: torch.empty_like(y.to("cuda:1")).device, OTHER),
    "elsewhere by a scalar": (lambda m, y: (torch.tensor(1.0) * y.cuda()).device, CUDA),
    "several results": (lambda m, y: {part.device for part in y.cuda().chunk(2)}, {CUDA}),
    "back": (lambda m, y: y.cuda().cpu().device, CPU),
    "type": (
        lambda m, y: (y.type(), y.cuda().half().type()),
        ("torch.FloatTensor", "torch.cuda.HalfTensor"),
    ),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("on_meta", [False, True])
def test_the_device_is_the_one_that_it_would_be(name: str, on_meta: bool) -> None:
    function, expected = ASKED[name]
    module = Fn(function, expected)
    module = module.to("meta") if on_meta else module
    for how in ({"input_size": (3, 4)}, {"inputs": torch.zeros(3, 4)}):
        table = costlab.analyze(module, **how)
        assert (table.total.macs, table.complete) == (48, True)
        table.graph.check()


def test_branches_are_those_of_a_real_run() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(4, 2), nn.Linear(4, 8)

        def forward(self, x: Tensor) -> Tensor:
            if x.device.type == "meta" or x.is_cuda or not x.is_cpu:
                return self.other(x)  # type: ignore[no-any-return]
            return self.one(x)  # type: ignore[no-any-return]

    for real in (False, True):
        assert costlab.analyze(Net(), (3, 4), real=real).total.macs == 24


def test_a_copy_to_another_device_is_a_row() -> None:
    table = costlab.analyze(Fn(lambda m, y: y.cuda()), (3, 4))
    assert [(row.path, row.label) for row in table.rows] == [("linear", "linear"), ("cuda", "cuda")]
