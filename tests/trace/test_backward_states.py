"""What goes back through the last states of recurrent layers, beside torch's counter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training import by_torch, step

KINDS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "lstm": (nn.LSTM, {}),
    "two layers": (nn.LSTM, {"num_layers": 2}),
    "both directions": (nn.LSTM, {"bidirectional": True}),
    "two layers of both": (nn.GRU, {"num_layers": 2, "bidirectional": True}),
}


class Last(nn.Module):
    """Some of what a recurrent layer gives."""

    def __init__(self, kind: str, taken: str) -> None:
        super().__init__()
        made, how = KINDS[kind]
        self.layer, self.taken = made(4, 5, **how), taken

    def forward(self, x: Tensor) -> Any:
        y, states = self.layer(x)
        h, c = states if isinstance(states, tuple) else (states, states)
        return {"y": y, "h": h, "c": c, "y, h": (y, h), "last h": h[-1]}[self.taken]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("taken", ["y", "h", "c", "y, h", "last h"])
def test_states_that_alone_are_used_go_back_through_all_layers(kind: str, taken: str) -> None:
    x = torch.zeros(3, 2, 4)
    table = step(Last(kind, taken), x)
    table.graph.check()
    assert table.total.training_macs == by_torch(Last(kind, taken), x)


@pytest.mark.parametrize(("taken", "added"), [("h", 0), ("c", 0), ("y, h", 2 * 5)])
def test_a_state_is_added_to_what_comes_back_beside_it(taken: str, added: int) -> None:
    x = torch.zeros(3, 2, 4)
    alone, beside = (step(Last("lstm", each), x).total for each in ("y", taken))
    assert beside.input_gradient_ops.add - alone.input_gradient_ops.add == added
    assert beside.weight_gradient_ops == alone.weight_gradient_ops
