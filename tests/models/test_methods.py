"""Another method than forward: by its name, or bound to its module."""

from __future__ import annotations

from functools import wraps
from types import MethodType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab as library

CONV = 36 * 8 * 27


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def encode(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x)).mean((2, 3))

    def forward(self, x: Tensor) -> Any:
        return self.head(self.encode(x))

    @torch.no_grad()
    def generate(self, x: Tensor, steps: int = 2) -> Tensor:
        for _ in range(steps):
            x = x * self(x).sum()
        return x

    @wraps(forward)
    def also(self, x: Tensor) -> Tensor:
        return self.encode(x)


@pytest.mark.parametrize("real", [False, True])
def test_a_method_is_followed_by_name_and_bound(real: bool) -> None:
    net = Net()
    before = dict(vars(net))
    for method, macs in (("encode", CONV), ("generate", 2 * (CONV + 80)), ("also", CONV)):
        named = library.analyze(net, (1, 3, 8, 8), method=method, real=real)
        bound = library.analyze(getattr(net, method), (1, 3, 8, 8), real=real)
        assert named.graph == bound.graph
        assert (named.model, named.total.macs) == (f"Net.{method}", macs)
    assert library.analyze(net, (1, 3, 8, 8), method="encode").graph.unused == (
        ("head.weight", 80),
        ("head.bias", 10),
    )
    whole = library.analyze(net, (1, 3, 8, 8)).graph
    for same in (net.__call__, net.forward):
        assert library.analyze(same, (1, 3, 8, 8)).graph == whole
    assert vars(net) == before


def test_a_method_that_one_module_was_given() -> None:
    net = nn.Sequential(nn.Linear(2, 3))

    def twice(self: Any, x: Tensor) -> Tensor:
        y: Tensor = self(x) + self(x)
        return y

    own: Any = net
    own.twice = MethodType(twice, net)
    assert library.analyze(own.twice, (1, 2)).total.macs == 12
    with pytest.raises(library.ChoiceError, match="twice is no method of Linear: give the module"):
        library.analyze(MethodType(twice, net[0]), (1, 2))


def test_counters_run_the_method() -> None:
    net = Net()
    for method, number in (("encode", 1), ("generate", 4)):
        check = library.crosscheck(getattr(net, method), (1, 3, 8, 8), counters="torch")
        assert check.agrees
        assert len(check.of("torch", "agrees")) == number
        found = library.reconcile(net, (1, 3, 8, 8), method=method, against="torch,fvcore")
        assert found.explained
    both = library.compare(net, net, input_size=(1, 3, 8, 8), method="encode", trace=False)
    assert [table.total.macs for table in both.tables] == [CONV, CONV]


def test_a_name_that_is_none_is_one_line() -> None:
    with pytest.raises(library.UnknownNameError, match="of Net 'generat': did you mean 'generate'"):
        library.analyze(Net(), (1, 3, 8, 8), method="generat")
    with pytest.raises(library.UnknownNameError, match="known are also, encode, forward, generate"):
        library.analyze(Net(), (1, 3, 8, 8), method="training")
    with pytest.raises(library.ChoiceError, match="is the method encode already"):
        library.analyze(Net().encode, (1, 3, 8, 8), method="generate")
