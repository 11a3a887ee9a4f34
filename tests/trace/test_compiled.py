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


class Branches(nn.Module):
    """What scripts have: flags, constants, modules in a list, an argument with a default."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.lines = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6)])
        self.times = 3
        self.shift: Tensor
        self.register_buffer("shift", torch.ones(4, 1, 1))

    def forward(self, x: Tensor, scale: float = 2.0) -> tuple[Tensor, Tensor]:
        y = torch.relu(self.norm(self.conv(x))) * scale + self.shift
        for line in self.lines:
            y = line(y)
        if self.training:
            y = torch.cat([y, y])
        for _ in range(self.times):
            y = y.sigmoid()
        return y, x


class Around(nn.Module):
    def __init__(self, inner: Any, **named: Any) -> None:
        super().__init__()
        self.first, self.inner, self.named = nn.Conv2d(3, 3, 1), inner, named

    def forward(self, x: Tensor) -> Any:
        return self.inner(self.first(x), **self.named)[0]


jit: Any = torch.jit
IMAGES = torch.rand(2, 3, 8, 8)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("named", [{}, {"scale": 3.0}])
def test_a_scripted_module_is_followed_by_its_graph(
    named: dict[str, Any], training: bool, real: bool
) -> None:
    """Its flags, and what it counts up, are as they were."""
    plain, script = Branches(), jit.script(Branches())
    before = {name: tensor.clone() for name, tensor in script.state_dict().items()}
    how: dict[str, Any] = {"inputs": IMAGES, "real": real, "training": training}
    expected = costlab.analyze(Around(plain, **named), **how)
    for _ in range(2):
        table = costlab.analyze(Around(script, **named), **how)
        assert table.complete
        assert table.total.count == expected.total.count
        assert table.total.params == expected.total.params
        assert table.graph.outputs == expected.graph.outputs
        assert table.graph.unused == ()
        assert {row.path.partition(".")[0] for row in table.rows} == {"first", "inner"}
        table.graph.check()
    assert script.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in script.state_dict().items())


@pytest.mark.filterwarnings("ignore")
def test_scripted_and_recorded_modules_alone() -> None:
    plain = Branches().eval()
    expected = costlab.analyze(plain, inputs=IMAGES)
    recorded = jit.trace(Branches().eval(), IMAGES)
    for module in (jit.script(Branches()), recorded, nn.Sequential(recorded)):
        table = costlab.analyze(module, inputs=IMAGES)
        assert table.total.count == expected.total.count
        assert table.total.params == expected.total.params
    assert costlab.analyze(recorded, inputs=IMAGES).model == "Branches"
    assert costlab.crosscheck(Around(jit.script(plain)), inputs=IMAGES, counters="torch").agrees


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return x


@pytest.mark.filterwarnings("ignore")
def test_a_scripted_module_that_changes_itself_is_refused_by_its_path() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.Sequential(jit.script(Counts())))
    with pytest.raises(costlab.TraceError, match=r"^1\.0 is a scripted module that changes itself"):
        costlab.analyze(module, (3, 4))
