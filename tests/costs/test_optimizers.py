"""An optimizer's step: the operations of torch's own, counted while it runs, and its state."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import costlab
from costlab.costs.optimizers import STEPS

_ARITHMETIC: dict[str, dict[str, int]] = {
    "mul_": {"mul": 1},
    "lerp_": {"add": 2, "mul": 1},  # a + (b − a)·w
    "addcmul_": {"mul": 2, "add": 1},  # a + w·b·c
    "addcdiv_": {"mul": 1, "div": 1, "add": 1},  # a + w·b / c
    "sqrt": {"special": 1},
    "div": {"div": 1},
}


_NONE = {"detach", "_local_scalar_dense", "clone", "lift_fresh", "zeros_like"}


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = Counter[str]()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name, first = func.overloadpacket.__name__, args[0] if args else None
        counts = _ARITHMETIC.get(name, {})
        if name == "add_":  # a + w·b
            counts = {"add": 1, "mul": int(kwargs.get("alpha", 1) != 1)}
        elif not counts:
            assert name in _NONE or "record_function" in name, name
        if isinstance(first, Tensor) and first.dim():  # counters of steps have no dimension
            for kind, number in counts.items():
                self.count[kind] += number * first.numel()
        return func(*args, **kwargs)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda params: torch.optim.SGD(params, 0.1, foreach=False),
    "momentum": lambda params: torch.optim.SGD(params, 0.1, momentum=0.9, foreach=False),
    "adam": lambda params: torch.optim.Adam(params, foreach=False),
    "adamw": lambda params: torch.optim.AdamW(params, foreach=False),
}


class Some(nn.Module):
    """Parameters that learn, that are frozen, and that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 5).requires_grad_(False)
        self.last, self.unread = nn.Linear(5, 2), nn.Linear(7, 7)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.last(self.first(x))
        return result


@pytest.mark.parametrize("name", STEPS)
def test_a_step_is_torchs_own(name: str) -> None:
    module = Some()
    optimizer = OPTIMIZERS[name](module.parameters())
    for _ in range(2):  # the first step of momentum copies
        module.zero_grad()
        module(torch.ones(4, 3)).sum().backward()
        with _Counting() as counting:
            optimizer.step()
    table = costlab.analyze(Some(), (4, 3), training_cost=True)
    step = json.loads(table.to_json())["optimizers"][name]
    kinds = ("mul", "add", "div", "special")
    assert {kind: step[kind] for kind in kinds} == {kind: counting.count[kind] for kind in kinds}
    assert step["elements"] == 5 * 2 + 2
    tensors = [
        value.numel()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor) and value.dim()
    ]
    assert step["state"] == sum(tensors)
    assert f"{name} {sum(counting.count.values())}" in " ".join(table.to_text().split())


def test_without_a_step_there_is_none() -> None:
    assert "optimizers" not in json.loads(costlab.analyze("reduced").to_json())
