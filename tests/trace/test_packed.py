"""Sequences of several lengths, packed and padded again, on shapes: as in a real run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

import costlab

X, LENGTHS = torch.zeros(3, 4, 8), torch.tensor([2, 4, 3])


def through(layer: nn.Module, x: Tensor, lengths: Any, **how: Any) -> Any:
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, states = layer(packed)
    return pad_packed_sequence(output, batch_first=True, **how), states


def in_order(layer: nn.Module, x: Tensor, lengths: Tensor) -> Any:
    packed = pack_padded_sequence(x, lengths.sort(descending=True)[0], batch_first=True)
    return layer(packed)[0].data


WAYS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], int]] = {
    "given lengths": (through, (LENGTHS,), 9),
    "a list of lengths": (lambda f, x: through(f, x, [4, 1, 2]), (), 7),
    "lengths of a mask": (lambda f, x, m: through(f, x, m.sum(1)), (torch.ones(3, 4).bool(),), 12),
    "to a length": (lambda f, x, n: through(f, x, n, total_length=6), (LENGTHS,), 9),
    "sorted": (in_order, (LENGTHS,), 9),
    "by its items": (lambda f, x: f(pack_sequence([x[0], x[1, :2]]))[0].data, (), 6),
}


class Sentences(nn.Module):
    def __init__(self, function: Callable[..., Any], layer: nn.Module) -> None:
        super().__init__()
        self.function, self.layer = function, layer

    def forward(self, *args: Any) -> Any:
        return self.function(self.layer, *args)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("name", WAYS)
def test_known_lengths_decide_what_is_computed(name: str, kind: Any) -> None:
    function, more, steps = WAYS[name]
    module = Sentences(function, kind(8, 5, batch_first=True))
    table = costlab.analyze(module, inputs=(X, *more))
    real = costlab.analyze(module, inputs=(X, *more), real=True)
    gates = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}[kind]
    assert table.total.macs == real.total.macs == steps * gates * 5 * (8 + 5)
    assert (table.total.count, table.complete) == (real.total.count, True)
    assert table.graph.outputs == real.graph.outputs
    assert bool(table.trace and table.trace.graph.decisions) == bool(more)


def test_lengths_that_are_not_known_are_an_error() -> None:
    module = Sentences(lambda f, x: through(f, x, x.sum((1, 2)).long() + 1), nn.LSTM(8, 5))
    with pytest.raises(costlab.TraceError, match=r"needs the values of a tensor.*real=True"):
        costlab.analyze(module, inputs=X)
