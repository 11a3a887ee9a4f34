"""Layers that are timed alone: which calls are one, what they take, and what they take at least."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab
from costlab.devices.files import device_named
from costlab.models.reference import Run
from costlab.roofline.bounds import BoundedRows, Roofline
from costlab.timing.layers import Layer, layers
from costlab.timing.subjects import ready, subject


def _layers(net: nn.Module, size: Any) -> dict[str, Layer]:
    """The layers of a network, each of which was run once and gave what its last row says."""
    one = subject(net, size, Run(), "cpu")
    with ready([one]):
        found = layers(one)
        for path, layer in found.items():
            given = layer.run()
            while isinstance(given, tuple):
                given = given[0]
            shapes = {row.output for row in layer.rows}
            assert tuple(given.shape) in shapes, path
    return found


class Norm(nn.Module):
    """A formula of its own, without modules in it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(16))

    def forward(self, x: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * self.scale


class Mixed(nn.Module):
    """Layers that several rows are of, and a product outside of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = Norm()
        self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
        self.lstm = nn.LSTM(16, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.nothing = nn.Identity()
        self.block = nn.Sequential(nn.Linear(16, 16), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.norm(x))
        x, _ = self.attention(x, x, x)
        x, _ = self.lstm(self.nothing(x))
        x = self.block(x)
        return x @ x.transpose(1, 2)


def test_a_layer_is_a_call_in_which_no_other_module_is_called() -> None:
    found = _layers(Mixed(), (2, 5, 16))
    assert list(found) == ["norm", "norm@2", "attention", "lstm", "block.0", "block.1"]
    table = costlab.analyze(Mixed(), (2, 5, 16))
    macs = {path: sum(row.macs for row in layer.rows) for path, layer in found.items()}
    assert macs["lstm"] == 2 * (10 * 32 * (16 + 8)) + 2 * (10 * 32 * (16 + 8))
    assert macs["attention"] == 10 * 16 * 48 + 2 * (2 * 4 * 5 * 5 * 4) + 10 * 16 * 16
    assert table.total.macs - sum(macs.values()) == 2 * 5 * 16 * 5


def test_several_rows_take_what_they_take_fused() -> None:
    """What they hand on to each other is in no bound: one kernel may keep it."""
    net = nn.Sequential(nn.LSTM(16, 8, num_layers=2))
    found = _layers(net, (5, 2, 16))
    rows = BoundedRows(costlab.analyze(net, (5, 2, 16)), Roofline(device_named("h100-sxm")))
    bound = rows.as_one(found["0"].rows)
    own, states = sum(weight.numel() for weight in net.parameters()), 2 * 2 * (2 * 8)
    assert bound.read == 4 * (5 * 2 * 16 + own + states)
    assert bound.macs == 10 * 32 * (16 + 8) + 10 * 32 * (8 + 8)
    assert bound.read < rows.one_by_one(found["0"].rows).read


def test_a_single_row_takes_what_costlab_bounds_has_of_it() -> None:
    """In place, too, where nothing is written that was not there."""
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(inplace=True))
    rows = BoundedRows(costlab.analyze(net, (2, 8)), Roofline(device_named("h100-sxm")))
    for path, layer in _layers(net, (2, 8)).items():
        assert rows.as_one(layer.rows) == rows.of_rows[path][1]


class Shares(nn.Module):
    """One module at two places, called at the second one first, with another length."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Linear(4, 4)
        self.first, self.second = nn.Sequential(shared), nn.Sequential(shared)

    def forward(self, x: Tensor) -> Tensor:
        longer: Tensor = self.second(torch.cat((x, x)))
        result: Tensor = self.first(x) + longer[:1]
        return result


def test_a_shared_layer_is_where_it_is_called() -> None:
    found = _layers(Shares(), (3, 4))
    assert {path: layer.rows[0].output for path, layer in found.items()} == {
        "second.0": (6, 4),
        "first.0": (3, 4),
    }


class Same(nn.Module):
    """Asks whether what it takes is one tensor, and writes to it."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        assert a is b
        return a.add_(1.0)


class CallsSame(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.same = Same()

    def forward(self, x: Tensor) -> Tensor:
        x = x * 2
        result: Tensor = self.same(x, b=x)
        return result


def test_what_is_one_tensor_stays_one() -> None:
    assert list(_layers(CallsSame(), (2, 4))) == ["same"]


class Sometimes(nn.Module):
    """Computes something for what is long alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x.relu() if x.shape[0] > 1 else x


class CallsSometimes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sometimes, self.linear = Sometimes(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.linear(self.sometimes(x[:1]) + self.sometimes(x))
        return result


def test_a_call_of_which_rows_are_not_known_is_none() -> None:
    """Its first call makes no row, so that its second one has the first one's path."""
    assert list(_layers(CallsSometimes(), (3, 4))) == ["linear"]


class Refuses(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("no")


class Catches(nn.Module):
    """Goes on where a module that it calls has failed."""

    def __init__(self) -> None:
        super().__init__()
        self.refuses, self.linear = Refuses(), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        with suppress(ValueError):
            x = self.refuses(x)
        result: Tensor = self.linear(x)
        return result


def test_a_module_that_fails_is_left_again() -> None:
    assert list(_layers(Catches(), (3, 4))) == ["linear"]


def test_what_is_outside_of_layers_is_said() -> None:
    text = costlab.time(
        Mixed(), input_size=(2, 5, 16), by_layer=True, device="h100-sxm", threads=1, limit=0.1
    ).to_text(500)
    assert "what forward computes outside of layers (800 MACs), and that" in text


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_a_scripted_module_is_in_what_calls_it() -> None:
    """It takes no hooks."""
    scripted: Any = torch.jit.script(nn.Linear(4, 4))
    net = nn.Sequential(scripted, nn.Sequential(scripted), nn.ReLU())
    assert list(_layers(net, (2, 4))) == ["1", "2"]
