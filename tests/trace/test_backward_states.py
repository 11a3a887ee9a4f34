"""What goes back through the last states of recurrent layers, beside torch's counter."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from oracle import backwards_recurrent
from oracle.backwards import Elements
from torch import Tensor, nn
from training import by_torch, step

from costlab.graph.opcount import OpCount

KINDS: dict[str, tuple[type[nn.Module], dict[str, Any]]] = {
    "lstm": (nn.LSTM, {}),
    "two layers": (nn.LSTM, {"num_layers": 2}),
    "both directions": (nn.LSTM, {"bidirectional": True}),
    "two layers of both": (nn.GRU, {"num_layers": 2, "bidirectional": True}),
    "projected": (nn.LSTM, {"proj_size": 3}),
    "two projected layers of both": (
        nn.LSTM,
        {"proj_size": 3, "num_layers": 2, "bidirectional": True},
    ),
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
        return {
            "y": y,
            "h": h,
            "c": c,
            "y, h": (y, h),
            "h, c": (h, c),
            "y, c": (y, c),
            "last h": h[-1],
        }[self.taken]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("taken", ["y", "h", "c", "y, h", "h, c", "y, c", "last h"])
def test_states_that_alone_are_used_go_back_through_all_layers(kind: str, taken: str) -> None:
    x = torch.zeros(3, 2, 4)
    table = step(Last(kind, taken), x)
    table.graph.check()
    assert table.total.training_macs == by_torch(Last(kind, taken), x)


LEARNS = [*filter(any, product((False, True), repeat=4))]
"""Whether the input does, the projection, the first memory, and the other parameters."""


class Projected(nn.Module):
    """Some of what an LSTM gives, projected or not, from a first memory of its own."""

    def __init__(self, taken: str, learns: tuple[bool, ...], width: int) -> None:
        super().__init__()
        self.layer = nn.LSTM(4, 5, proj_size=width)
        self.first: Tensor
        self.register_buffer("first", torch.zeros(1, 2, width or 5))
        self.memory = nn.Parameter(torch.rand(1, 2, 5), learns[2])
        for name, parameter in self.layer.named_parameters():
            parameter.requires_grad_(learns[1 if "hr" in name else 3])
        self.taken = taken

    def forward(self, x: Tensor) -> Any:
        y, (_, c) = self.layer(x, (self.first, self.memory))
        return {"y": y, "c": c, "y, c": (y, c)}[self.taken]


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("taken", ["y", "c", "y, c"])
@pytest.mark.parametrize("width", [0, 3])
def test_what_learns_and_what_is_used_say_what_is_computed(
    steps: int, taken: str, width: int
) -> None:
    """Multiply-adds by torch's counter; other operations, and gradients, by the definition."""
    for learns in LEARNS:
        module = Projected(taken, learns, width).double()
        x = torch.rand(steps, 2, 4, dtype=torch.float64, requires_grad=learns[0])
        table = step(module, x)
        results = module(x)
        results = results if isinstance(results, tuple) else (results,)
        if not results[0].requires_grad:
            assert not table.total.input_gradient_macs + table.total.weight_gradient_macs
            continue
        sum(result.sum() for result in results).backward()
        own = [p.detach().numpy() for p in module.layer.parameters()]
        names = {"x": x.grad, "c": module.memory.grad}
        names |= dict(zip("wubdp", [p.grad for p in module.layer.parameters()], strict=False))
        t = Elements()
        given = backwards_recurrent.recurrent(
            t,
            "lstm",
            x.detach().numpy(),
            own[:4],
            (module.first[0].numpy(), module.memory.detach()[0].numpy()),
            np.ones((steps, 2, width or 5)) if "y" in taken else None,
            {name for name, gradient in names.items() if gradient is not None},
            own[4] if width else None,
            np.ones((2, 5)) if "c" in taken else None,
        )
        for name, gradient in names.items():
            if gradient is not None:
                np.testing.assert_allclose(given[name], gradient.numpy().reshape(given[name].shape))
        total = table.total
        assert total.input_gradient_ops + total.weight_gradient_ops == OpCount(*vars(t).values())
        if width:  # without, torch's counter does not see what oneDNN computes
            assert total.training_macs == by_torch(module, x)


@pytest.mark.parametrize("width", [0, 3])
def test_a_state_is_added_to_the_outputs_beside_it(width: int) -> None:
    x = torch.zeros(3, 2, 4)
    kind = "projected" if width else "lstm"
    alone, beside, h = (
        total.input_gradient_ops.add + total.weight_gradient_ops.add
        for total in (step(Last(kind, taken), x).total for taken in ("y", "y, h", "h"))
    )
    assert beside - alone == 2 * (width or 5)
    assert alone - h == 2 * 2 * (width or 5)  # outputs that are not used add nothing at two steps
