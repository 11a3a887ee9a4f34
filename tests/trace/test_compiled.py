"""Compiled and scripted code inside of a model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import costlab

pytestmark = pytest.mark.filterwarnings("ignore")  # of torch, when dynamo and jit are loaded


class Compiles(nn.Module):
    def __init__(self, compiled: list[str]) -> None:
        super().__init__()

        def backend(graph: Any, _: Any) -> Any:
            compiled.append("a graph")
            return graph

        self.out = nn.Linear(4, 2)
        plain = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.inner: Any = torch.compile(plain, backend=backend)

        def head(x: Tensor) -> Tensor:
            return torch.relu(self.out(x))

        self.head: Any = torch.compile(head, backend=backend)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.inner(x))
        return y


@pytest.mark.parametrize("real", [False, True])
def test_what_is_compiled_is_followed_as_what_it_was_made_of(real: bool) -> None:
    compiled: list[str] = []
    table = costlab.analyze(Compiles(compiled), inputs=torch.rand(3, 4), real=real)
    assert [row.label for row in table.rows] == ["linear", "relu", "linear", "relu"]
    assert table.total.macs == 3 * (16 + 8)
    assert compiled == []


def test_a_scripted_module_inside_is_named() -> None:
    jit: Any = torch.jit
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(jit.script(nn.ReLU())))
    with pytest.raises(costlab.TraceError, match=r"^1\.0 is a scripted module"):
        costlab.analyze(module, (3, 4))
