"""Shapes of torch's functions do not take its compiler, and leave nothing of that behind."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

import costlab
from costlab.isolation import dynamo_aside as dynamo_aside_module
from costlab.isolation.dynamo_aside import dynamo_aside


@pytest.fixture(autouse=True)
def _without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    monkeypatch.delitem(vars(torch), "_dynamo", raising=False)
    monkeypatch.setattr(dynamo_aside_module, "active_count", lambda: 1)  # whatever tests left


def test_a_mark_is_taken_back_and_nothing_is_imported() -> None:
    def shape() -> int:
        return 3

    marked = torch._disable_dynamo(shape)  # type: ignore[attr-defined]
    with dynamo_aside():
        assert (marked(), marked()) == (3, 3)
        assert vars(shape)
    assert vars(shape) == {}
    assert "torch._dynamo" not in sys.modules


def test_a_module_that_asks_for_shapes_is_followed_without_the_compiler() -> None:
    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.where(x > 0, x.clamp(0, 7), x * 0.25).sinc()

    table = costlab.analyze(Net(), (3, 1, 5, 7, 1))  # of a size that no other test has asked for
    assert table.uncounted == () or [row.label for row in table.uncounted] == ["sinc"]
    assert "torch._dynamo" not in sys.modules


def test_a_first_run_on_shapes_lets_go_as_later_ones_do() -> None:
    """What imports the compiler on the way keeps frames of the model, and all that these hold."""

    class Net(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = x + 1
            y = torch.cat([y, x])
            y = y * 2
            return y * 3

    size = 4 * 3 * 11  # one that no other test has asked for
    live = costlab.memory(Net(), (3, 11)).timeline.live
    assert live == [0, size, 3 * size, 4 * size, 4 * size]
    assert "torch._dynamo" not in sys.modules


def test_another_thread_may_import_the_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dynamo_aside_module, "active_count", lambda: 2)
    with dynamo_aside():
        assert "torch._dynamo" not in sys.modules


def test_what_needs_the_compiler_itself_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = SimpleNamespace(config=SimpleNamespace(verbose=False))
    monkeypatch.setattr(dynamo_aside_module, "import_module", {"torch._dynamo": whole}.get)
    with dynamo_aside():
        assert sys.modules["torch._dynamo"].config is whole.config
        assert "torch._dynamo" not in sys.modules  # so that it is imported
